//! Input and output of one cipher call, which may be the same memory.
//!
//! C callers encrypt in place as a matter of course, and PKCS#11 allows it; Rust's `&[u8]` beside `&mut [u8]` does not. So the pair travels
//! as pointers with a lifetime. The primitives accept equal or disjoint ranges; of a partial overlap the input is copied first.

use std::marker::PhantomData;
use std::ptr;

use zeroize::Zeroizing;

use crate::Error;

/// The input and the output of one cipher call: the same memory, disjoint, or overlapping.
pub struct Buffers<'a> {
    input: *const u8,
    input_len: usize,
    output: *mut u8,
    output_len: usize,
    memory: PhantomData<(&'a [u8], &'a mut [u8])>,
}

impl<'a> Buffers<'a> {
    /// Disjoint buffers.
    pub fn new(input: &'a [u8], output: &'a mut [u8]) -> Self {
        Self { input: input.as_ptr(), input_len: input.len(), output: output.as_mut_ptr(), output_len: output.len(), memory: PhantomData }
    }

    /// The result takes the place of the input; both have the length of `data`.
    pub fn in_place(data: &'a mut [u8]) -> Self {
        let output = data.as_mut_ptr();
        Self { input: output, input_len: data.len(), output, output_len: data.len(), memory: PhantomData }
    }

    /// Buffers of a C caller, which may be equal or overlap in any way. Null with length 0 is an empty buffer.
    ///
    /// # Safety
    /// For the whole of `'a`, `input` is readable for `input_len` bytes and `output` writable for `output_len` bytes (any address where the
    /// length is 0), nobody else writes to either or reads the output, and no other argument of the call that these buffers are passed to
    /// (IV, additional data, tag) overlaps the output.
    pub unsafe fn from_raw(input: *const u8, input_len: usize, output: *mut u8, output_len: usize) -> Self {
        // The library gives null a meaning of its own (as output: "this is additional data"), so an empty buffer gets another address.
        let input = if input_len == 0 { ptr::dangling() } else { input };
        let output = if output_len == 0 { ptr::dangling_mut() } else { output };
        Self { input, input_len, output, output_len, memory: PhantomData }
    }

    /// Bytes of input.
    pub fn input_len(&self) -> usize {
        self.input_len
    }

    /// Room for output, in bytes.
    pub fn output_len(&self) -> usize {
        self.output_len
    }

    /// A copy of the input, overwritten when dropped.
    pub fn copy_input(&self) -> Zeroizing<Vec<u8>> {
        let mut copy = Zeroizing::new(vec![0; self.input_len]);
        // SAFETY: the input is readable for its length (constructors' contract) and the copy has been made for exactly that length.
        unsafe { ptr::copy_nonoverlapping(self.input, copy.as_mut_ptr(), self.input_len) };
        copy
    }

    /// Writes a result that was made elsewhere to the start of the output, and returns its length. The input is lost where the two
    /// overlap.
    pub fn write(&mut self, result: &[u8]) -> Result<usize, Error> {
        self.write_at(0, result)
    }

    /// Writes at an offset of the output; `OutputTooSmall` names the end of what was to be written.
    pub(crate) fn write_at(&mut self, offset: usize, result: &[u8]) -> Result<usize, Error> {
        let needed = offset.checked_add(result.len()).ok_or(Error::TooLong)?;
        self.check_room(needed)?;
        // SAFETY: `offset + result.len()` is within the writable output. `copy` allows overlap, though `result` cannot overlap by contract.
        unsafe { ptr::copy(result.as_ptr(), self.output.add(offset), result.len()) };
        Ok(result.len())
    }

    /// Overwrites the first `len` bytes of the output with zeros.
    pub(crate) fn wipe(&mut self, len: usize) {
        // SAFETY: never more than the writable output.
        unsafe { ptr::write_bytes(self.output, 0, len.min(self.output_len)) };
    }

    /// Refuses an output of less than `needed` bytes.
    pub(crate) fn check_room(&self, needed: usize) -> Result<(), Error> {
        if self.output_len < needed { Err(Error::OutputTooSmall { needed }) } else { Ok(()) }
    }

    /// The pointers for a primitive that reads all of the input and writes `written` bytes, which the output must have room for. The
    /// input is copied where the ranges overlap in a way that the primitive does not bear.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "the primitive writes through the pointer that this returns")]
    pub(super) fn prepare(&mut self, written: usize, in_place: InPlace) -> Result<Prepared, Error> {
        self.check_room(written)?;
        let (input, output) = (self.input.addr(), self.output.addr());
        let disjoint = self.input_len == 0 || written == 0 || input + self.input_len <= output || output + written <= input;
        let borne = disjoint || (input == output && in_place == InPlace::Borne);
        let copy = (!borne).then(|| self.copy_input());
        let input = copy.as_ref().map_or(self.input, |copy| copy.as_ptr());
        Ok(Prepared { input, output: self.output, _copy: copy })
    }
}

/// Whether a primitive can read and write the same range.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InPlace {
    /// It can.
    Borne,
    /// It cannot: output runs behind or ahead of the input.
    Copied,
}

/// Pointers that a primitive may use: equal, or of disjoint ranges. Valid while the `Buffers` it came from is borrowed or alive.
pub(super) struct Prepared {
    pub(super) input: *const u8,
    pub(super) output: *mut u8,
    /// Keeps the copy alive that `input` may point to.
    _copy: Option<Zeroizing<Vec<u8>>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AesKey, CipherParams, Key};

    /// Every way in which a C caller's buffers can lie over each other, for a mode of each kind.
    #[test]
    fn overlap_in_any_direction_is_as_good_as_none() {
        let key = Key::Aes(AesKey::from_bytes(&[1; 16]).unwrap());
        let (gcm, cbc) = (CipherParams::AesGcm { iv: &[2; 12], aad: b"" }, CipherParams::AesCbc { iv: &[3; 16], padding: true });
        let plain: Vec<u8> = (0..64).collect();
        let (ctr, cfb, ofb) =
            (CipherParams::AesCtr { iv: &[4; 16] }, CipherParams::AesCfb { iv: &[5; 16] }, CipherParams::AesOfb { iv: &[6; 16] });
        let (ccm, wrap) = (CipherParams::AesCcm { iv: &[7; 12], aad: b"aad" }, CipherParams::AesKw);
        for (params, tag_len) in [(gcm, 16), (gcm, 8), (cbc, 0), (ctr, 0), (cfb, 0), (ofb, 0), (ccm, 10), (wrap, 0)] {
            let len = key.encrypted_len(&params, plain.len());
            let (mut expected, mut tag) = (vec![0; len], vec![0; tag_len]);
            key.encrypt(&params, Buffers::new(&plain, &mut expected), &mut tag).unwrap();
            for (input_at, output_at) in [(0, 0), (0, 1), (1, 0), (0, 16), (16, 0), (0, 63), (63, 0), (0, 100), (100, 0)] {
                let mut memory = [0; 300];
                let base = memory.as_mut_ptr();
                memory[input_at..input_at + plain.len()].copy_from_slice(&plain);
                let mut overlapped_tag = vec![0; tag_len];
                // SAFETY: both ranges lie within `memory`, which nobody else uses during the call.
                let data = unsafe { Buffers::from_raw(base.add(input_at), plain.len(), base.add(output_at), len) };
                assert_eq!(key.encrypt(&params, data, &mut overlapped_tag), Ok(len));
                assert_eq!(memory[output_at..output_at + len], expected, "{params:?} {input_at} {output_at}");
                assert_eq!(overlapped_tag, tag);

                memory[input_at..input_at + len].copy_from_slice(&expected);
                let base = memory.as_mut_ptr();
                // SAFETY: as above.
                let data = unsafe { Buffers::from_raw(base.add(input_at), len, base.add(output_at), plain.len()) };
                assert_eq!(key.decrypt(&params, data, &tag), Ok(plain.len()));
                assert_eq!(memory[output_at..output_at + plain.len()], plain);
            }
        }
    }

    #[test]
    fn null_is_an_empty_buffer() {
        let key = Key::Aes(AesKey::from_bytes(&[1; 16]).unwrap());
        for tag_len in [16, 12] {
            // SAFETY: both lengths are 0.
            let data = unsafe { Buffers::from_raw(ptr::null(), 0, ptr::null_mut(), 0) };
            let mut tag = vec![0; tag_len];
            assert_eq!(key.encrypt(&CipherParams::AesGcm { iv: &[0; 12], aad: b"" }, data, &mut tag), Ok(0));
        }
        // SAFETY: both lengths are 0.
        let mut data = unsafe { Buffers::from_raw(ptr::null(), 0, ptr::null_mut(), 0) };
        assert!(data.copy_input().is_empty());
        assert_eq!(data.write(b""), Ok(0));
        assert_eq!(data.write(b"x"), Err(Error::OutputTooSmall { needed: 1 }));
    }

    #[test]
    fn a_forwarded_result_is_written_over_its_input() {
        let mut memory = *b"input...";
        let mut data = Buffers::in_place(&mut memory);
        assert_eq!((data.input_len(), data.output_len()), (8, 8));
        assert_eq!(&data.copy_input()[..], b"input...");
        assert_eq!(data.write(b"result"), Ok(6));
        assert_eq!(&memory, b"result..");
    }
}
