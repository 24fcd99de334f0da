//! Whose fault a failure is, and whether sending the same request again may help: one table, by category and reason.
//!
//! A category has a default; the reasons that differ stand beside it. `later` means after a wait, and `retry_after` of
//! the record, where the response told one, says how long. Which of the two ends lost a connection cannot be told from
//! here, so a broken one is `network`.
//!
//! | category | fault | again | but |
//! |---|---|---|---|
//! | `ok` | – | – | |
//! | `client_request` | client | no | `request_timeout` (408), `request_body_timeout`, `conflict` (409): later |
//! | `auth`, `quota`, `policy` | client | no | |
//! | `rate_limit` | client | later | |
//! | `overloaded`, `unavailable` | upstream | later | `bad_gateway`: yes |
//! | `upstream_error` | upstream | yes | `out_of_memory`, `engine_dead`: later; `not_supported`: no |
//! | `network` | network | yes | `dns`, `connect_refused`, `connect_failed`, `unreachable`: later; `tls`: no; `bad_response`, `response_head_too_large`: upstream, no; `stream_refused`: upstream, later; `resend_too_large`: upstream |
//! | `timeout` | upstream | later | `connect_timeout`, `dns_timeout`, `ping_timeout`: network |
//! | `stream_error` | upstream | yes | `cut_off`: network; `out_of_memory`, `engine_dead`: later |
//! | `cancelled` | client | no | `shutdown`: limpid, yes |
//! | `rejected` | client | no | `draining`: limpid, later |
//! | `internal` | limpid | no | `no_descriptors`, `no_ports`, `no_memory`, `no_threads`: later |

use limpid_core::{Category, Fault, Retryable};

#[expect(clippy::match_same_arms, reason = "an arm for each cell of the table")]
/// Fault and retry; `None` for what went well.
pub(super) fn of(category: Category, reason: &str) -> Option<(Fault, Retryable)> {
    use Fault::{Client, Limpid, Network, Upstream};
    use Retryable::{Later, No, Yes};
    Some(match (category, reason) {
        (Category::Ok, _) => return None,
        (Category::ClientRequest, "request_timeout" | "request_body_timeout" | "conflict")
        | (Category::RateLimit, _) => (Client, Later),
        (Category::ClientRequest | Category::Auth | Category::Quota | Category::Policy, _) => (Client, No),
        (Category::Unavailable, "bad_gateway") => (Upstream, Yes),
        (Category::Overloaded | Category::Unavailable, _) => (Upstream, Later),
        (Category::UpstreamError, "not_supported") => (Upstream, No),
        (Category::UpstreamError | Category::StreamError, "out_of_memory" | "engine_dead") => (Upstream, Later),
        (Category::StreamError, "cut_off") => (Network, Yes),
        (Category::UpstreamError | Category::StreamError, _) => (Upstream, Yes),
        (Category::Network, "dns" | "connect_refused" | "connect_failed" | "unreachable") => (Network, Later),
        (Category::Network, "tls") => (Network, No),
        (Category::Network, "bad_response" | "response_head_too_large") => (Upstream, No),
        (Category::Network, "stream_refused") => (Upstream, Later),
        (Category::Network, "resend_too_large") => (Upstream, Yes),
        (Category::Network, _) => (Network, Yes),
        (Category::Timeout, "connect_timeout" | "dns_timeout" | "ping_timeout") => (Network, Later),
        (Category::Timeout, _) => (Upstream, Later),
        (Category::Cancelled, "shutdown") => (Limpid, Yes),
        (Category::Rejected, "draining") => (Limpid, Later),
        (Category::Cancelled | Category::Rejected, _) => (Client, No),
        (Category::Internal, "no_descriptors" | "no_ports" | "no_memory" | "no_threads") => (Limpid, Later),
        (Category::Internal, _) => (Limpid, No),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_fault_and_an_answer_and_success_has_none() {
        for category in Category::ALL {
            assert_eq!(of(*category, "some_new_reason").is_none(), *category == Category::Ok, "{category}");
        }
    }

    /// The rows of the module's table: what stands there is what is done.
    #[test]
    fn the_table_above_is_the_function_below() {
        let source = include_str!("blame.rs");
        let rows = source.lines().filter_map(|l| l.strip_prefix("//! | `"));
        let mut compared = 0;
        for row in rows {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let [categories, fault, again, but, ..] = cells[..] else { panic!("{row}") };
            if fault == "–" {
                continue;
            }
            let default = (Fault::from_name(fault).unwrap(), Retryable::from_name(again).unwrap());
            for category in categories.split(',').map(|c| Category::from_name(c.trim_matches([' ', '`'])).unwrap()) {
                assert_eq!(of(category, "other"), Some(default), "{category}");
                for group in but.split(';').filter(|b| !b.is_empty()) {
                    let (reasons, verdict) = group.split_once(": ").unwrap();
                    let mut want = default;
                    for word in verdict.split(", ") {
                        want.0 = Fault::from_name(word).unwrap_or(want.0);
                        want.1 = Retryable::from_name(word).unwrap_or(want.1);
                    }
                    let named = reasons.split('`').skip(1).step_by(2);
                    for reason in named {
                        if category == Category::Overloaded && reason == "bad_gateway" {
                            continue;
                        }
                        assert_eq!(of(category, reason), Some(want), "{category}/{reason}");
                        compared += 1;
                    }
                }
            }
        }
        assert_eq!(compared, 28);
    }

    /// The rows of docs/numbers.md about what limpid itself answers.
    #[test]
    fn the_docs_say_whose_fault_each_relay_failure_is() {
        let docs = include_str!("../../../../docs/numbers.md");
        let rows = docs.lines().skip_while(|l| !l.starts_with("### What limpid itself answers"));
        let rows: Vec<_> = rows.filter_map(|l| l.strip_prefix("| `")).collect();
        for row in &rows {
            let cells: Vec<_> = row.split(" | ").collect();
            let [reason, _status, category, _when, verdict] = cells[..] else { panic!("{row}") };
            let category = Category::from_name(category.trim_matches('`')).unwrap();
            let (fault, again) = of(category, reason.trim_matches('`')).unwrap();
            assert_eq!(verdict.trim_end_matches(" |"), format!("{fault}, {again}"), "{row}");
        }
        assert!(rows.len() > 20);
    }
}
