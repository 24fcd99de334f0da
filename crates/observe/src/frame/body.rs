//! A body that is one JSON value: kept up to a limit, read when it is over.

use limpid_core::ObserverFault;

use super::Outcome;

/// See the module. `limit` bounds the body, in bytes.
#[derive(Debug)]
pub(crate) struct Body {
    limit: usize,
    bytes: Vec<u8>,
}

impl Body {
    pub(crate) fn new(limit: usize) -> Body {
        Body { limit, bytes: Vec::new() }
    }

    /// Keeps the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Outcome {
        if self.bytes.len().saturating_add(bytes.len()) > self.limit {
            self.bytes = Vec::new();
            return Err(ObserverFault::TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// How many bytes are kept.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole body, without a byte order mark.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
            bytes.drain(..3);
        }
        bytes
    }
}
