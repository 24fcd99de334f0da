//! The backend: one thread in its own process, which costs as little as it can.
//!
//! It answers a chat request with the stream that its prompt orders, or with a short reply, and any OTLP export with
//! 200: as a second process it is the sink of limpid's telemetry (`GET /seen` tells how many bytes it was sent, `GET /h2c`
//! how many HTTP/2 connections are open). An
//! event's stamp is taken right before it is written, so how late a timer fires does not count as latency.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::h2c;
use crate::wire::{Message, Order, SHORT_REPLY, end_events, now_ns, role_event, text_event};

/// Serves for ever.
pub(crate) async fn run(port: u16) -> io::Result<()> {
    let listener = listen(port)?;
    loop {
        // Out of descriptors: others will end.
        let Ok((socket, _)) = listener.accept().await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        // A client that goes away at once or in the middle is the client's affair.
        tokio::spawn(async move {
            socket.set_nodelay(true).ok()?;
            either(socket).await.ok()
        });
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(4096)
}

/// HTTP/2 by its first bytes, else HTTP/1.1.
async fn either(socket: TcpStream) -> io::Result<()> {
    let mut begin = [0; 3];
    // A client that writes less at first waits for nothing here: no method of HTTP/1.1 has the name.
    let n = socket.peek(&mut begin).await?;
    if begin[..n] == *b"PRI" { h2c::serve(socket).await } else { serve(socket).await }
}

/// One connection, request after request.
async fn serve(mut socket: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        let (mut message, mut body) = (Message::default(), Vec::new());
        while !message.done() {
            let n = socket.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            message.feed(&buffer[..n], &mut body).map_err(io::Error::other)?;
        }
        if message.first_line.contains("/chat/completions") {
            match Order::find(&body) {
                Some(order) => stream(&mut socket, order).await?,
                None => socket.write_all(counted("application/json", SHORT_REPLY).as_bytes()).await?,
            }
        } else {
            let seen = SEEN.fetch_add(body.len() as u64, Ordering::Relaxed);
            let reply = match message.first_line.split(' ').nth(1) {
                Some("/seen") => seen.to_string(),
                Some("/h2c") => h2c::OPEN.load(Ordering::Relaxed).to_string(),
                _ => String::new(),
            };
            socket.write_all(counted("application/x-protobuf", &reply).as_bytes()).await?;
        }
    }
}

/// Bytes of exports.
static SEEN: AtomicU64 = AtomicU64::new(0);

fn counted(kind: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// What a server needs before its head goes out (the template, the tokenizer). It is fair to Traefik too: 3.7.15 breaks
/// off one stream in ten whose head comes within microseconds ("use of closed network connection").
pub(crate) const THINKING: Duration = Duration::from_millis(5);

/// A stream on its schedule, each event a chunk and a write of its own.
async fn stream(socket: &mut TcpStream, order: Order) -> io::Result<()> {
    let mut due = Instant::now() + Duration::from_micros(order.first_us);
    sleep(THINKING).await;
    let mut head =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    head.extend_from_slice(&chunk(&role_event(order.stream)));
    socket.write_all(&head).await?;
    for event in 0..order.events {
        wait(socket, due, order.gap_us).await?;
        socket.write_all(&chunk(&text_event(order.stream, event, now_ns()))).await?;
        due += Duration::from_micros(order.gap_us);
    }
    let mut end = chunk(&end_events(order.stream, order.events));
    end.extend_from_slice(b"0\r\n\r\n");
    socket.write_all(&end).await
}

/// Waits; over a long gap it looks whether the client still is there.
async fn wait(socket: &mut TcpStream, due: Instant, gap_us: u64) -> io::Result<()> {
    if gap_us < 2_000_000 {
        sleep_until(due).await;
        return Ok(());
    }
    let mut byte = [0];
    tokio::select! {
        () = sleep_until(due) => Ok(()),
        read = socket.read(&mut byte) => Err(read.err().unwrap_or_else(|| io::Error::other("the client has gone"))),
    }
}

fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    out
}
