//! Uploads that are larger than anybody should hold: they pass as they come, and no faster than the upstream takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use limpid_testkit::request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::common::{CHAT, Rig, SOON, Sponge, chunk, for_models, split, upstream};

const MIB: usize = 1 << 20;
/// The body of the large upload.
const LARGE: usize = 200 * MIB;
const PIECE: usize = 64 << 10;
/// Longer than an upload of that size takes on a slow machine.
const LONG: Duration = Duration::from_secs(120);

/// Bytes that tell where they stand: a piece that is lost, doubled or moved changes what follows.
fn piece(number: usize, into: &mut [u8]) {
    for (word, bytes) in (0_u64..).zip(into.chunks_mut(8)) {
        let value = (number as u64) << 32 | word;
        bytes.copy_from_slice(&value.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    }
}

/// Reads a head, and then so many bytes of a body, which must be the pieces in their order.
async fn reads_them_all(far: &mut TcpStream, size: usize) {
    let mut byte = [0];
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        far.read_exact(&mut byte).await.unwrap();
        head.push(byte[0]);
    }
    let (mut got, mut want) = (vec![0; PIECE], vec![0; PIECE]);
    for number in 0..size / PIECE {
        far.read_exact(&mut got).await.unwrap();
        piece(number, &mut want);
        assert!(got == want, "piece {number} differs");
    }
    far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
}

/// Writes the body, telling how much has gone.
async fn writes_them_all(client: &mut TcpStream, size: usize, gone: &AtomicU64) {
    let mut bytes = vec![0; PIECE];
    for number in 0..size / PIECE {
        piece(number, &mut bytes);
        client.write_all(&bytes).await.unwrap();
        gone.fetch_add(PIECE as u64, Ordering::Relaxed);
    }
}

/// A listener and a connection to an address whose kernel buffers are small, so that what is under way is limpid's.
fn small_listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(16).unwrap()
}

async fn small_client(rig: &Rig) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 << 10).unwrap();
    socket.connect(rig.addr).await.unwrap()
}

fn large_request() -> Vec<u8> {
    request("POST", "/v1/files", &[("Content-Length", &LARGE.to_string())], b"")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_megabytes_pass_unchanged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::to(listener.local_addr().unwrap()).await;
    let mut client = TcpStream::connect(rig.addr).await.unwrap();
    client.write_all(&large_request()).await.unwrap();
    let (mut far, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    let gone = AtomicU64::new(0);
    let passing = async { tokio::join!(writes_them_all(&mut client, LARGE, &gone), reads_them_all(&mut far, LARGE)) };
    timeout(LONG, passing).await.unwrap();
    let mut answer = [0; 40];
    client.read_exact(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"\r\n\r\nok"));
    assert_eq!(rig.record().await.bytes.request, LARGE as u64);
}

/// An upstream that stops reading stops the client: what is between them is the kernel's buffers, and little of limpid's.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_read_is_not_read_ahead_of() {
    let listener = small_listener();
    let rig = Rig::to(listener.local_addr().unwrap()).await;
    let mut client = small_client(&rig).await;
    client.write_all(&large_request()).await.unwrap();
    let (mut far, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    let gone = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&gone);
    let writing = tokio::spawn(async move {
        writes_them_all(&mut client, LARGE, &count).await;
        client
    });
    // All buffers are full once nothing more goes.
    let mut before = u64::MAX;
    while before != gone.load(Ordering::Relaxed) {
        before = gone.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // limpid's two sockets are the kernel's to size: up to 6 MiB to read and 4 MiB to write.
    assert!(before < 16 * MIB as u64, "{before} bytes are under way");
    timeout(LONG, reads_them_all(&mut far, LARGE)).await.unwrap();
    drop(writing.await.unwrap());
    assert_eq!(rig.record().await.bytes.request, LARGE as u64);
}

/// A chat request whose `model` stands behind so many bytes of an image.
fn image_first(size: usize) -> (Vec<u8>, Vec<u8>) {
    let begin =
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,"#;
    let early = [begin.as_bytes(), &vec![b'A'; size]].concat();
    (early, br#""}}]}],"model":"big-1"}"#.to_vec())
}

/// A form whose `model` stands behind so many bytes of a file.
fn file_first(size: usize) -> (Vec<u8>, Vec<u8>) {
    let begin = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
    let early = [begin.as_bytes(), &vec![0xff; size]].concat();
    let late = "\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nbig-1\r\n--b--\r\n";
    (early, late.as_bytes().to_vec())
}

/// What stands behind the bound is not waited for: the model is unknown, and the request is up before it has come.
#[tokio::test]
async fn a_model_behind_megabytes_holds_nothing_up() {
    const SIZE: usize = 3 * MIB;
    let form = ("Content-Type", "multipart/form-data; boundary=b");
    let cases = [
        (CHAT, ("Content-Type", "application/json"), image_first(SIZE)),
        ("/v1/audio/transcriptions", form, file_first(SIZE)),
        ("/v1/images/edits", form, file_first(SIZE)),
    ];
    for (path, kind, (early, late)) in cases {
        for by_model in [false, true] {
            let length = early.len() + late.len();
            // As long as the upstream's own, which takes its place.
            let host = ("Host", "127.0.0.1:55555");
            let head = request("POST", path, &[host, kind, ("Content-Length", &length.to_string())], b"");
            let mut far = Sponge::start(head.len() + length).await;
            let fallback = upstream("fallback", &format!("http://{}", far.addr));
            let models = for_models("models", "http://127.0.0.1:9", &["big-*"]);
            let upstreams = if by_model { vec![models, fallback] } else { vec![fallback] };
            let rig = Rig::with(upstreams, |config| config.routing.lookahead_bytes = MIB).await;
            let mut client = rig.client().await;
            client.send(&head).await.unwrap();
            client.send(&early).await.unwrap();
            let all_early =
                |got: &Vec<u8>| got.windows(4).any(|w| w == b"\r\n\r\n") && split(got).1.len() >= early.len();
            far.until(all_early).await;
            client.send(&late).await.unwrap();
            assert_eq!(client.read_reply(SOON).await.text(), "ok", "{path}");
            let got = far.until(|got| split(got).1.len() >= length).await;
            assert!(split(&got).1 == [&early[..], &late].concat(), "{path}: the same bytes");
            let record = rig.record().await;
            assert_eq!((record.model.requested, record.bytes.request), (None, length as u64), "{path}");
            assert_eq!(record.upstream.unwrap().name.as_ref(), "fallback", "{path}");
        }
    }
}

/// What stands before the bound is waited for: by default behind tens of MiB.
#[tokio::test]
async fn a_model_behind_a_large_image_is_found() {
    for (path, (early, late)) in [(CHAT, image_first(20 * MIB)), ("/v1/images/edits", file_first(20 * MIB))] {
        let length = early.len() + late.len();
        let mut far = Sponge::start(length).await;
        let models = for_models("models", &format!("http://{}", far.addr), &["big-*"]);
        let rig = Rig::with(vec![models, upstream("fallback", "http://127.0.0.1:9")], |_| {}).await;
        let mut client = rig.client().await;
        let fields = [("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", &length.to_string())];
        let fields = if path == CHAT { &fields[1..] } else { &fields[..] };
        client.send(&request("POST", path, fields, b"")).await.unwrap();
        client.send(&early).await.unwrap();
        client.send(&late).await.unwrap();
        assert_eq!(client.read_reply(SOON).await.text(), "ok", "{path}");
        let got = far.until(|got| split(got).1.len() >= length).await;
        assert!(split(&got).1 == [&early[..], &late].concat(), "{path}: the same bytes");
        assert_eq!(rig.record().await.model.requested.as_deref(), Some("big-1"), "{path}");
    }
}

/// The same with no length told.
#[tokio::test]
async fn nor_does_one_in_chunks() {
    let (early, late) = image_first(3 * MIB);
    let mut far = Sponge::start(usize::MAX).await;
    let rig = Rig::to(far.addr).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("Transfer-Encoding", "chunked")], b"")).await.unwrap();
    client.send(&chunk(&early)).await.unwrap();
    far.until(|got| got.len() > early.len()).await;
    client.send(&[chunk(&late), b"0\r\n\r\n".to_vec()].concat()).await.unwrap();
    far.until(|got| got.ends_with(b"0\r\n\r\n")).await;
    drop(client);
    assert_eq!(rig.record().await.model.requested, None);
}
