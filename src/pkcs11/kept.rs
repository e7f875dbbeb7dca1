//! Data that waits for the end of an operation in parts: overwritten when it moves, and when it goes.

use std::ops::Deref;

use zeroize::Zeroizing;

use super::{Error, Result};

/// The least that is taken from the memory.
const LEAST: usize = 256;

/// Bytes that grow at the end. A vector's own growth would give the old memory back as it is.
#[derive(Default)]
pub(super) struct Kept(Zeroizing<Vec<u8>>);

impl Kept {
    /// Adds a part.
    ///
    /// # Errors
    /// [`Error::HostMemory`]; nothing has been added.
    pub(super) fn add(&mut self, part: &[u8]) -> Result {
        let needed = self.0.len().checked_add(part.len()).ok_or(Error::HostMemory)?;
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::new());
            let room = needed.max(self.0.capacity().saturating_mul(2)).max(LEAST);
            larger.try_reserve_exact(room).map_err(|_| Error::HostMemory)?;
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(part);
        Ok(())
    }

    /// Drops so many bytes from the front, or all.
    pub(super) fn drop_front(&mut self, len: usize) {
        let len = len.min(self.0.len());
        self.0.drain(..len);
    }

    /// All of it, as a vector.
    pub(super) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_added_and_not_what_was_dropped() {
        let whole: Vec<u8> = (0..10_000_u32).map(|number| number as u8).collect();
        let mut kept = Kept::default();
        for part in whole.chunks(33) {
            kept.add(part).unwrap();
        }
        assert_eq!(kept[..], whole);
        kept.drop_front(9_000);
        assert_eq!(kept[..], whole[9_000..]);
        kept.drop_front(2_000);
        assert!(kept.is_empty());
    }
}
