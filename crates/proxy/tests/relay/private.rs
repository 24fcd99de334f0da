//! Whose request it is: limpid's own fields are read and taken out, keys pass and leave no trace.

use limpid_testkit::{RawServer, request};

use crate::common::{CHAT, Rig, always, split, text, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn limpids_own_fields_are_recorded_and_removed() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let fields = [
        ("X-First", "1"),
        ("X-Limpid-Project", "search"),
        ("x-limpid-user", "u1"),
        ("X-LIMPID-TEMPLATE", "t1"),
        ("x-limpid-session", "s1"),
        ("x-limpid-session", "s2"),
        ("x-limpid-priority", "high"),
        ("x-limpid-other", "stays"),
        ("X-Request-Id", "r-7"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    assert_eq!(rig.ask(&request("POST", CHAT, &fields, b"{}")).await.status, 200);
    let head = split(&server.requests()[0]).0;
    let kept: Vec<_> = head.lines().skip(1).collect();
    assert_eq!(
        kept,
        [
            &*format!("host: {}", server.addr()),
            "content-length: 2",
            "X-First: 1",
            "x-limpid-other: stays",
            "X-Request-Id: r-7",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ]
    );
    let record = rig.record().await;
    let caller = &record.caller;
    let told = [&caller.project, &caller.user, &caller.template, &caller.session, &caller.priority, &caller.request_id];
    assert_eq!(told.map(|t| t.as_deref().unwrap()), ["search", "u1", "t1", "s1", "high", "r-7"]);
    assert_eq!(record.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_ne!(record.span_id, caller.trace.unwrap().span_id, "a span of its own");
}

#[tokio::test]
async fn keys_pass_and_nothing_of_them_is_recorded() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| {
        config.keys.name("sk-canary-named".into(), "team-a", Some("search"));
    })
    .await;
    let carriers = [
        ("Authorization", "Bearer sk-canary-named"),
        ("Authorization", "bearer  sk-canary-unnamed"),
        ("Authorization", "Basic dXNlcjpjYW5hcnk="),
        ("x-api-key", "sk-canary-three"),
        ("api-key", "sk-canary-four"),
        ("x-goog-api-key", "sk-canary-five"),
    ];
    for (name, value) in carriers {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"canary prompt"}]}"#;
        let sent = request("POST", &format!("{CHAT}?key=canary-query"), &[(name, value)], body.as_bytes());
        assert_eq!(rig.ask(&sent).await.status, 200);
        let seen = text(server.requests().last().unwrap());
        assert!(seen.contains(&format!("\\r\\n{name}: {value}\\r\\n")), "{seen}");
    }
    let records = rig.records(carriers.len()).await;
    assert_eq!(
        (records[0].caller.key.as_deref(), records[0].caller.project.as_deref()),
        (Some("team-a"), Some("search"))
    );
    for record in &records {
        for shown in [format!("{record:?}"), serde_json::to_string(record).unwrap()] {
            assert!(!shown.contains("canary") && !shown.contains("Y2FuYXJ5") && !shown.contains("jYW5hcnk"), "{shown}");
        }
    }
    assert!(records[1..].iter().all(|r| r.caller.key.as_deref().unwrap().starts_with("k-")));
}
