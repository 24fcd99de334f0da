//! The upstream's own key in place of the client's.

use limpid_proxy::UpstreamKey;
use limpid_testkit::{RawServer, request};

use crate::common::{CHAT, Rig, always, split, upstream};

#[tokio::test]
async fn the_clients_key_names_it_and_goes_no_further() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
    let mut only = upstream("only", &server.url());
    only.key = UpstreamKey::new("openai", "sk-upstream-canary").ok();
    let rig = Rig::with(vec![only], |config| config.keys.name("sk-client-canary".into(), "team-a", None)).await;
    let fields = [("X-Before", "1"), ("Authorization", "Bearer sk-client-canary"), ("X-After", "2")];
    assert_eq!(rig.ask(&request("POST", CHAT, &fields, b"{}")).await.status, 200);
    assert_eq!(rig.ask(&request("POST", CHAT, &[("x-api-key", "sk-client-canary")], b"{}")).await.status, 200);
    assert_eq!(rig.ask(&request("POST", CHAT, &[], b"{}")).await.status, 200);

    let heads: Vec<String> = server.requests().iter().map(|r| split(r).0).collect();
    assert!(heads[0].contains("X-Before: 1\r\nAuthorization: Bearer sk-upstream-canary\r\nX-After: 2"), "{}", heads[0]);
    for head in &heads {
        assert_eq!(head.matches("canary").count(), 1, "{head}");
        assert!(head.to_lowercase().contains("authorization: bearer sk-upstream-canary"), "{head}");
    }
    let records = rig.records(3).await;
    assert_eq!(records[0].caller.key.as_deref(), Some("team-a"));
    assert_eq!((records[1].caller.key.as_deref(), records[2].caller.key.as_deref()), (Some("team-a"), None));
    assert!(!format!("{records:?}").contains("canary"));
}
