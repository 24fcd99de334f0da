//! Decoding of the observed copy: gzip (several members), deflate (zlib-wrapped or raw), br and zstd.
//!
//! Whatever a flush of the sender completes is told at once, in pieces of 16 KiB at most, so the memory of a stream is
//! its decoder's window and one such piece. Three bounds hold: the total ([`Limits::decoded_bytes`]), the ratio
//! ([`Limits::ratio`]), without which one small read could keep the relay busy for long, and the windows: 32 KiB of
//! gzip and deflate, 16 MiB of br, 8 MiB of zstd (RFC 9659's limit for this content coding).
//!
//! A copy that ends inside its coding is no fault: what was decoded stands, and a cut body is told by its ending. Bytes
//! behind a gzip member that begin no other, and all behind the end of deflate and br, are padding.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use limpid_core::ObserverFault;
use zstd::stream::raw::{DParameter, Decoder as Zstd, Operation};

use crate::Limits;

const PIECE: usize = 16 * 1024;
/// Below this, a ratio says nothing.
const RATIO_FROM: u64 = 1024 * 1024;
const ZSTD_WINDOW_LOG: u32 = 23;
const BROTLI_WINDOW: usize = 16 << 20;

/// See the module.
pub(crate) struct Decoder {
    coding: Coding,
    piece: Box<[u8]>,
    taken: u64,
    made: u64,
    limits: Limits,
}

enum Coding {
    Gzip(Decompress),
    /// Behind a gzip member, where another may begin.
    GzipNext,
    /// Nothing is known yet, or the first byte.
    Deflate(Option<u8>),
    Inflate(Decompress),
    Brotli(Box<Brotli>),
    Zstd(Zstd<'static>),
    Over,
}

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// What one step of a decoder did.
struct Step {
    read: usize,
    wrote: usize,
    end: bool,
}

impl Decoder {
    /// The decoder for a `Content-Encoding`: `None` where there is nothing to undo, a fault for a coding that limpid
    /// does not know and for several at once.
    pub(crate) fn new(encoding: Option<&str>, limits: Limits) -> Result<Option<Decoder>, ObserverFault> {
        let Some(encoding) = encoding else { return Ok(None) };
        let mut names = encoding.split(',').map(str::trim);
        let mut names = names.by_ref().filter(|n| !n.is_empty() && !n.eq_ignore_ascii_case("identity"));
        let Some(name) = names.next() else { return Ok(None) };
        if names.next().is_some() {
            return Err(ObserverFault::UnknownCoding);
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let coding = if is("gzip") || is("x-gzip") {
            Coding::GzipNext
        } else if is("deflate") {
            Coding::Deflate(None)
        } else if is("br") {
            let alloc = StandardAlloc::default;
            Coding::Brotli(Box::new(Brotli::new_strict(alloc(), alloc(), alloc())))
        } else if is("zstd") {
            Coding::Zstd(zstd_decoder().map_err(|_| ObserverFault::Decompress)?)
        } else {
            return Err(ObserverFault::UnknownCoding);
        };
        Ok(Some(Decoder { coding, piece: vec![0; PIECE].into_boxed_slice(), taken: 0, made: 0, limits }))
    }

    /// Takes the next bytes and hands on what they decode to.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), ObserverFault>,
    ) -> Result<(), ObserverFault> {
        self.taken = self.taken.saturating_add(bytes.len() as u64);
        loop {
            bytes = self.open(bytes);
            let step = self.coding.step(bytes, &mut self.piece)?;
            bytes = bytes.get(step.read..).unwrap_or_default();
            if step.wrote > 0 {
                self.made = self.made.saturating_add(step.wrote as u64);
                self.check()?;
                sink(self.piece.get(..step.wrote).unwrap_or_default())?;
            }
            if step.end {
                self.coding = if matches!(self.coding, Coding::Gzip(_)) { Coding::GzipNext } else { Coding::Over };
            }
            let idle = step.read == 0 && step.wrote == 0 && !step.end;
            let drained = bytes.is_empty() && step.wrote < self.piece.len();
            if idle || drained {
                return Ok(());
            }
        }
    }

    /// What it holds, bytes: its window, as far as it was filled, and the piece.
    pub(crate) fn held_bytes(&self) -> usize {
        let window = match self.coding {
            Coding::Brotli(_) => BROTLI_WINDOW,
            Coding::Zstd(_) => 1 << ZSTD_WINDOW_LOG,
            _ => 32 * 1024,
        };
        usize::try_from(self.made).unwrap_or(usize::MAX).min(window) + PIECE
    }

    fn check(&self) -> Result<(), ObserverFault> {
        let by_ratio = self.taken.saturating_mul(u64::from(self.limits.ratio)).max(RATIO_FROM);
        if self.made > by_ratio || self.made > self.limits.decoded_bytes as u64 {
            return Err(ObserverFault::DecompressLimit);
        }
        Ok(())
    }

    /// Starts a gzip member, or tells zlib from raw deflate, as soon as there are bytes to tell by.
    fn open<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match (&self.coding, bytes) {
            (Coding::GzipNext, [first, ..]) => {
                let again = self.made > 0 || self.taken > bytes.len() as u64;
                let member = !again || *first == 0x1F;
                self.coding = if member { Coding::Gzip(Decompress::new_gzip(15)) } else { Coding::Over };
                bytes
            }
            (Coding::Deflate(None), [first, second, ..]) => {
                self.coding = Coding::Inflate(Decompress::new(is_zlib(*first, *second)));
                bytes
            }
            (Coding::Deflate(None), [first]) => {
                self.coding = Coding::Deflate(Some(*first));
                &[]
            }
            (Coding::Deflate(Some(first)), [second, ..]) => {
                let first = *first;
                let mut inflate = Decompress::new(is_zlib(first, *second));
                // One byte completes nothing, so there is no output; an error is told again at the next byte.
                let _ = inflate.decompress(&[first], &mut self.piece, FlushDecompress::None);
                self.coding = Coding::Inflate(inflate);
                bytes
            }
            _ => bytes,
        }
    }
}

impl Coding {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, ObserverFault> {
        match self {
            Coding::Gzip(z) | Coding::Inflate(z) => {
                let (read, wrote) = (z.total_in(), z.total_out());
                let status =
                    z.decompress(input, output, FlushDecompress::None).map_err(|_| ObserverFault::Decompress)?;
                Ok(Step {
                    read: difference(z.total_in(), read),
                    wrote: difference(z.total_out(), wrote),
                    end: status == Status::StreamEnd,
                })
            }
            Coding::Brotli(state) => {
                let (mut left, mut read, mut room, mut wrote, mut total) = (input.len(), 0, output.len(), 0, 0);
                let result = BrotliDecompressStream(
                    &mut left, &mut read, input, &mut room, &mut wrote, output, &mut total, state,
                );
                match result {
                    BrotliResult::ResultFailure => Err(ObserverFault::Decompress),
                    BrotliResult::ResultSuccess => Ok(Step { read, wrote, end: true }),
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                        Ok(Step { read, wrote, end: false })
                    }
                }
            }
            Coding::Zstd(z) => {
                let done = z.run_on_buffers(input, output).map_err(|_| ObserverFault::Decompress)?;
                Ok(Step { read: done.bytes_read, wrote: done.bytes_written, end: false })
            }
            Coding::GzipNext | Coding::Deflate(_) | Coding::Over => {
                Ok(Step { read: input.len(), wrote: 0, end: false })
            }
        }
    }
}

/// RFC 1950: the method is 8, and the two bytes are a multiple of 31.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0F == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

fn zstd_decoder() -> std::io::Result<Zstd<'static>> {
    let mut decoder = Zstd::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
    Ok(decoder)
}

#[cfg(test)]
mod tests;
