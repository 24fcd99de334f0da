//! The backend over HTTP/2 with prior knowledge: the same streams, many to a connection.
//!
//! An event is one DATA frame and, where the connection's task has nothing else to write, one write.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use crate::backend::THINKING;
use crate::wire::{Order, SHORT_REPLY, end_events, now_ns, role_event, text_event};

/// Streams that one connection may carry, as servers allow by default (nginx 128, hyper 200); limpid opens as many.
pub(crate) const STREAMS: u32 = 100;

/// Connections that are open.
pub(crate) static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Serves a connection until its client ends it.
pub(crate) async fn serve(socket: TcpStream) -> io::Result<()> {
    let mut connection =
        h2::server::Builder::new().max_concurrent_streams(STREAMS).handshake(socket).await.map_err(io::Error::other)?;
    OPEN.fetch_add(1, Ordering::Relaxed);
    while let Some(Ok((request, respond))) = connection.accept().await {
        // A client that goes away in the middle is the client's affair.
        tokio::spawn(async move { answer(request.into_body(), respond).await.ok() });
    }
    OPEN.fetch_sub(1, Ordering::Relaxed);
    Ok(())
}

async fn answer(mut upload: RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = upload.data().await {
        let data = data?;
        upload.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let head = |kind: &'static str| {
        let mut head = http::Response::new(());
        head.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        head
    };
    let Some(order) = Order::find(&body) else {
        return respond.send_response(head("application/json"), false)?.send_data(SHORT_REPLY.into(), true);
    };
    let mut due = Instant::now() + Duration::from_micros(order.first_us);
    sleep(THINKING).await;
    let mut sender = respond.send_response(head("text/event-stream; charset=utf-8"), false)?;
    sender.send_data(role_event(order.stream).into(), false)?;
    for event in 0..order.events {
        wait(&mut sender, due).await?;
        sender.send_data(text_event(order.stream, event, now_ns()).into(), false)?;
        due += Duration::from_micros(order.gap_us);
    }
    sender.send_data(end_events(order.stream, order.events).into(), true)
}

/// Waits, unless the stream is reset.
async fn wait(sender: &mut SendStream<Bytes>, due: Instant) -> Result<(), h2::Error> {
    tokio::select! {
        () = sleep_until(due) => Ok(()),
        reset = poll_fn(|cx| sender.poll_reset(cx)) => Err(reset?.into()),
    }
}
