//! A growing buffer that leaves no copy of its content behind: key material passes through it.

use std::io::{self, ErrorKind, Read, Write};

use zeroize::Zeroizing;

/// How much is read at a time.
const PIECE: usize = 16 << 10;

/// Bytes that are overwritten when the buffer grows, and when it is dropped.
#[derive(Default)]
pub(crate) struct WipedBuffer(Zeroizing<Vec<u8>>);

impl WipedBuffer {
    /// One that takes so many bytes without growing.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    /// Adds what is left of `source`.
    ///
    /// # Errors
    /// The source's.
    pub(crate) fn fill_from(&mut self, source: &mut impl Read) -> io::Result<()> {
        loop {
            self.make_room(1);
            let length = self.0.len();
            let piece = (self.0.capacity() - length).min(PIECE);
            self.0.resize(length + piece, 0);
            let read = source.read(self.0.get_mut(length..).unwrap_or_default());
            self.0.truncate(length + read.as_ref().map_or(0, |read| (*read).min(piece)));
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Vec's own growth would give the old memory back as it is.
    fn make_room(&mut self, bytes: usize) {
        let needed = self.0.len().saturating_add(bytes);
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(256)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }
}

impl Write for WipedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_everything_whatever_room_it_began_with() {
        let content: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        for room in [0, 1, content.len(), content.len() + 1] {
            let mut buffer = WipedBuffer::with_room(room);
            buffer.write_all(&content[..1000]).unwrap();
            buffer.fill_from(&mut &content[1000..]).unwrap();
            assert_eq!(*buffer.into_bytes(), content);
        }
    }
}
