//! Recorded exchanges as files: `tests/fixtures/streams`, and any folder of the same layout.
//!
//! One folder a recording: `request.json`, `response.meta.json` (head, server, endpoint, ending), `response.body` (the
//! transfer coding removed, a content coding kept) and `expected.json`, whose members `tests/real/facts.py` defines.

use std::path::{Path, PathBuf};

use limpid_core::{Endpoint, Observation, Tick};
use limpid_observe::{Limits, ResponseHead, ResponseObserver};
use serde_json::Value;

/// One of them.
pub(crate) struct Recording {
    /// The folder's name, after its server's where there is one.
    pub(crate) name: String,
    /// The folder.
    pub(crate) dir: PathBuf,
    /// The head and what else is known of the response.
    pub(crate) meta: Value,
    /// The body, content coding kept.
    pub(crate) body: Vec<u8>,
    /// It is one of this repository, which are small.
    pub(crate) committed: bool,
}

/// Those of this repository.
pub(crate) fn committed() -> Vec<Recording> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/streams");
    let mut all = Vec::new();
    for server in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let name = server.file_name().unwrap().to_string_lossy().into_owned();
        let of_server = read(&server).into_iter();
        all.extend(of_server.map(|r| Recording { name: format!("{name}/{}", r.name), committed: true, ..r }));
    }
    assert!(all.len() > 70, "only {} recordings", all.len());
    all
}

/// Those of one folder, by name.
pub(crate) fn read(root: &Path) -> Vec<Recording> {
    let mut all: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|dir| dir.join("expected.json").exists())
        .map(|dir| Recording {
            name: dir.file_name().unwrap().to_string_lossy().into_owned(),
            meta: json(&dir.join("response.meta.json")),
            body: std::fs::read(dir.join("response.body")).unwrap_or_default(),
            committed: false,
            dir,
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!all.is_empty(), "{} holds no recordings", root.display());
    all
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Recording {
    /// What is known of it.
    pub(crate) fn expected(&self) -> Value {
        json(&self.dir.join("expected.json"))
    }

    /// What was asked.
    pub(crate) fn request(&self) -> Value {
        json(&self.dir.join("request.json"))
    }

    /// A field of the response's head.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = self.meta["headers"].as_array()?;
        let found = headers.iter().find(|h| h[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)))?;
        found[1].as_str().map(str::to_owned)
    }

    /// The API that was called; absent where no response came.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint::from_name(self.meta["endpoint"].as_str()?).unwrap())
    }

    /// The status; absent where no response came.
    pub(crate) fn status(&self) -> Option<u16> {
        Some(self.meta["status"].as_u64()?.try_into().unwrap())
    }

    /// An observer for its body; `encoding` is the content coding.
    pub(crate) fn observer(&self, encoding: Option<&str>) -> Option<ResponseObserver> {
        let content_type = self.header("content-type");
        let head = ResponseHead {
            endpoint: self.endpoint()?,
            status: self.status()?,
            content_type: content_type.as_deref(),
            content_encoding: encoding,
        };
        Some(ResponseObserver::new(&head, Limits::default()))
    }

    /// Feeds the body in pieces that end at `cuts`; each piece comes a tick after the one before.
    pub(crate) fn observe(&self, cuts: impl IntoIterator<Item = usize>) -> Option<Observation> {
        let mut observer = self.observer(self.header("content-encoding").as_deref())?;
        let (mut from, mut tick) = (0, 0);
        for to in cuts.into_iter().chain([self.body.len()]) {
            observer.on_bytes(&self.body[from..to], Tick(tick));
            (from, tick) = (to, tick + 1);
        }
        observer.finish(Tick(tick));
        Some(observer.into_observation())
    }
}

/// What is left when the times are taken away.
pub(crate) fn timeless(mut seen: Observation) -> Observation {
    let marks = &mut seen.marks;
    for mark in [
        &mut marks.first_byte,
        &mut marks.first_event,
        &mut marks.first_token,
        &mut marks.first_content,
        &mut marks.last_token,
        &mut marks.error,
    ] {
        *mark = mark.map(|_| Tick(0));
    }
    seen.stall = seen.stall.map(|_| std::time::Duration::ZERO);
    let gaps = seen.gaps.count();
    assert_eq!(gaps, seen.token_events.saturating_sub(1));
    seen.gaps = limpid_core::GapHistogram::default();
    seen
}
