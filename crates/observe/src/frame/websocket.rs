//! WebSocket frames (RFC 6455 §5), in one direction: the text messages, and whether the peer said goodbye.
//!
//! Frames may be fragmented, and control frames may stand between the fragments. A message whose first frame has the bit
//! RSV1 is compressed (RFC 7692): it cannot be read here, for each may depend on all before it. A masked frame, which
//! only a client sends, is passed over: its payload is never asked for. Pings and pongs tell nothing.

use limpid_core::ObserverFault;

use super::{Outcome, recycle};

/// The longest head: two bytes, eight of length, four of mask.
const HEAD_BYTES: usize = 14;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct WebSocket {
    /// The longest text message that is kept, in bytes; `None`: none is, only frames are followed.
    limit: Option<usize>,
    head: [u8; HEAD_BYTES],
    head_read: usize,
    /// Bytes of the current frame's payload that are to come.
    payload_left: u64,
    frame: Kind,
    /// The frame ends its message.
    last: bool,
    /// The message that is under way, between its fragments too.
    message: Option<Kind>,
    text: Vec<u8>,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Text that is read.
    Text,
    /// A message that is not: binary, masked, or nobody asked.
    Passed,
    /// Between messages, or between their fragments.
    Control,
}

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// Its text; not checked to be UTF-8.
    Text(&'a [u8]),
    /// One that cannot be read here.
    Binary,
}

impl WebSocket {
    pub(crate) fn new(limit: Option<usize>) -> WebSocket {
        WebSocket {
            limit,
            head: [0; HEAD_BYTES],
            head_read: 0,
            payload_left: 0,
            frame: Kind::Control,
            last: true,
            message: None,
            text: Vec::new(),
            closed: false,
        }
    }

    /// A close frame began: nothing but the end follows.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Takes the next bytes and tells each message that they complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Message<'_>) -> Outcome) -> Outcome {
        while !bytes.is_empty() && !self.closed {
            if self.payload_left == 0 {
                let Some((first, rest)) = bytes.split_first() else { break };
                bytes = rest;
                if let Some(slot) = self.head.get_mut(self.head_read) {
                    *slot = *first;
                    self.head_read += 1;
                }
                if self.head_read < self.head_length() {
                    continue;
                }
                self.head_read = 0;
                self.begin()?;
            } else {
                let take = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
                let (payload, rest) = bytes.split_at(take);
                bytes = rest;
                self.payload_left -= take as u64;
                if self.frame == Kind::Text {
                    self.text.extend_from_slice(payload);
                }
            }
            if self.payload_left == 0 && self.last && self.frame != Kind::Control {
                self.message = None;
                sink(if self.frame == Kind::Text { Message::Text(&self.text) } else { Message::Binary })?;
                recycle(&mut self.text);
            }
        }
        Ok(())
    }

    /// How long the head is, as far as its first two bytes tell.
    fn head_length(&self) -> usize {
        if self.head_read < 2 {
            return 2;
        }
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.head[1] & 0x80 == 0 { 0 } else { 4 }
    }

    /// A head is whole: what its frame is, and how long.
    fn begin(&mut self) -> Outcome {
        let [first, second, ..] = self.head;
        let number =
            |bytes| self.head.iter().skip(2).take(bytes).fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
        let length = match second & 0x7f {
            126 => number(2),
            127 => number(8),
            short => u64::from(short),
        };
        let (opcode, masked, compressed) = (first & 0x0f, second & 0x80 != 0, first & 0x40 != 0);
        self.last = first & 0x80 != 0;
        self.payload_left = length;
        self.frame = match (opcode, self.message) {
            (CONTINUATION, Some(kind)) => kind,
            (TEXT, None) if self.limit.is_some() && compressed => return Err(ObserverFault::UnknownCoding),
            (TEXT, None) if self.limit.is_some() && !masked => Kind::Text,
            (TEXT | BINARY, None) => Kind::Passed,
            (CLOSE..=PONG, _) if self.last && length <= 125 => Kind::Control,
            // No frame of RFC 6455.
            _ => return Err(ObserverFault::Json),
        };
        if self.frame != Kind::Control {
            self.message = Some(self.frame);
        }
        self.closed = opcode == CLOSE;
        let room = self.limit.unwrap_or(usize::MAX).saturating_sub(self.text.len());
        if self.frame == Kind::Text && length > room as u64 {
            return Err(ObserverFault::TooLarge);
        }
        Ok(())
    }
}

/// Follows one direction of a WebSocket connection, and tells whether its peer said goodbye. No payload is kept.
#[derive(Debug)]
pub struct CloseWatch {
    frames: WebSocket,
    lost: bool,
}

impl Default for CloseWatch {
    fn default() -> CloseWatch {
        CloseWatch { frames: WebSocket::new(None), lost: false }
    }
}

impl CloseWatch {
    /// The next bytes of that direction.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.lost = self.lost || self.frames.feed(bytes, &mut |_| Ok(())).is_err();
    }

    /// A close frame was sent.
    pub fn closed(&self) -> bool {
        self.frames.closed() && !self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len();
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(u8::try_from(length).unwrap()),
            126..65536 => {
                bytes.push(126);
                bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    fn read(bytes: &[u8], split: usize, limit: Option<usize>) -> (Vec<String>, bool, Outcome) {
        let (mut frames, mut told, mut outcome) = (WebSocket::new(limit), Vec::new(), Ok(()));
        for part in bytes.chunks(split) {
            let done = frames.feed(part, &mut |message| {
                told.push(match message {
                    Message::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    Message::Binary => "(binary)".to_owned(),
                });
                Ok(())
            });
            if done.is_err() {
                outcome = done;
                break;
            }
        }
        (told, frames.closed(), outcome)
    }

    #[test]
    fn messages_are_found_however_they_are_split() {
        let (middle, long) = ("m".repeat(300), "l".repeat(70_000));
        let wire = [
            frame(0x81, b"one"),
            frame(0x89, b"ping"),
            frame(0x01, b"tw"),
            frame(0x8a, b""),
            frame(0x00, b""),
            frame(0x80, b"o"),
            frame(0x82, b"\0\x01"),
            frame(0x81, b""),
            frame(0x81, middle.as_bytes()),
            frame(0x81, long.as_bytes()),
            frame(0x88, b"\x03\xe8bye"),
            b"\xff\xff what follows is nothing".to_vec(),
        ]
        .concat();
        for split in [1, 2, 3, 7, 1000, wire.len()] {
            let (told, closed, outcome) = read(&wire, split, Some(1 << 20));
            assert_eq!(told, ["one", "two", "(binary)", "", &middle, &long], "{split}");
            assert_eq!((closed, outcome), (true, Ok(())));
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        let fault = |bytes: &[u8]| read(bytes, 1, Some(10)).2;
        assert_eq!(fault(&frame(0xc1, b"x")), Err(ObserverFault::UnknownCoding), "compressed");
        assert_eq!(fault(&frame(0x81, b"0123456789a")), Err(ObserverFault::TooLarge));
        assert_eq!(fault(&[frame(0x01, b"012345"), frame(0x80, b"67890")].concat()), Err(ObserverFault::TooLarge));
        assert_eq!(fault(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), Err(ObserverFault::TooLarge));
        assert_eq!(fault(&frame(0x80, b"x")), Err(ObserverFault::Json), "a continuation of nothing");
        assert_eq!(fault(&[frame(0x01, b"x"), frame(0x81, b"y")].concat()), Err(ObserverFault::Json));
        assert_eq!(fault(&frame(0x83, b"x")), Err(ObserverFault::Json), "no such frame");
        assert_eq!(fault(&frame(0x08, b"")), Err(ObserverFault::Json), "a close in fragments");
        assert_eq!(fault(&frame(0x89, &[0; 126])), Err(ObserverFault::Json), "a long ping");
        assert_eq!(fault(b"HTTP/1.1 200 OK\r\n\r\n"), Err(ObserverFault::Json));
    }

    #[test]
    fn a_goodbye_is_seen_in_masked_and_compressed_traffic_too() {
        let mut watch = CloseWatch::default();
        // A masked and compressed text of three bytes, cut in its mask; then a masked close.
        for part in [&b"\xc1\x83ma"[..], b"sk123", b"\x88\x82ma", b"sk\0\0"] {
            assert!(!watch.closed());
            watch.feed(part);
        }
        assert!(watch.closed());
        let mut watch = CloseWatch::default();
        watch.feed(b"\x83\x01x\x88\x00");
        assert!(!watch.closed(), "lost in what is no WebSocket");
    }

    proptest::proptest! {
        /// Any bytes, half of them made of frames, read the same at any split, and never grow the buffer past its limit.
        #[test]
        fn any_bytes_read_the_same_however_they_are_split(
            parts in proptest::collection::vec((0_u8..=0xff, 0_usize..200, proptest::bool::ANY), 0..20),
            split in 1_usize..40,
        ) {
            let wire: Vec<u8> = parts.iter().flat_map(|(first, length, framed)| {
                let payload = vec![*first; *length];
                if *framed { frame(*first, &payload) } else { payload }
            }).collect();
            let limit = Some(150);
            proptest::prop_assert_eq!(read(&wire, split, limit), read(&wire, wire.len().max(1), limit));
            let mut frames = WebSocket::new(limit);
            for part in wire.chunks(split) {
                if frames.feed(part, &mut |_| Ok(())).is_err() {
                    break;
                }
                proptest::prop_assert!(frames.text.len() <= 150);
            }
        }
    }
}
