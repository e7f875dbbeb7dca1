//! One-shot encryption with a block cipher in any mode of the library's streaming interface.

use zeroize::Zeroizing;

use crate::aws_lc::{CipherContext, Direction, MAX_BLOCK};
use crate::{Buffers, CipherParams, Error};

/// Encrypts all of the input; see [`Key::encrypt`](crate::Key::encrypt).
pub(crate) fn encrypt(key: &[u8], params: &CipherParams<'_>, mut data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
    check_tag(params, tag.len())?;
    let input_len = data.input_len();
    let mut context = CipherContext::new(key, params, Direction::Encrypt)?;
    check_blocks(params, input_len, Direction::Encrypt)?;
    data.check_room(params.encrypted_len(input_len).ok_or(Error::Unsupported)?)?;
    let mut written = context.update(&mut data)?;
    let mut last = Zeroizing::new([0; MAX_BLOCK]);
    let last_len = context.finish(&mut last)?;
    written += data.write_at(written, &last[..last_len])?;
    if !tag.is_empty() {
        context.tag(tag)?;
    }
    Ok(written)
}

/// Decrypts all of the input; see [`Key::decrypt`](crate::Key::decrypt).
pub(crate) fn decrypt(key: &[u8], params: &CipherParams<'_>, mut data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
    check_tag(params, tag.len())?;
    if padded(params) && data.output_len() < data.input_len() {
        return decrypt_tight(key, params, data);
    }
    let mut context = CipherContext::new(key, params, Direction::Decrypt)?;
    check_blocks(params, data.input_len(), Direction::Decrypt)?;
    if !tag.is_empty() {
        context.expect_tag(tag)?;
    }
    let written = context.update(&mut data)?;
    let mut last = Zeroizing::new([0; MAX_BLOCK]);
    match context.finish(&mut last).and_then(|len| data.write_at(written, &last[..len])) {
        Ok(last_len) => Ok(written + last_len),
        Err(error) => {
            data.wipe(written);
            Err(error)
        }
    }
}

/// Padded text into an output that may just hold it, or not: decided before anything is written, so that the caller can come back
/// with a larger output although the input lies in the same memory.
fn decrypt_tight(key: &[u8], params: &CipherParams<'_>, mut data: Buffers<'_>) -> Result<usize, Error> {
    let mut copy = data.copy_input();
    let len = decrypt(key, params, Buffers::in_place(&mut copy), &[])?;
    data.write(&copy[..len])
}

/// GCM takes tags of 4 to 16 bytes, the other modes none.
fn check_tag(params: &CipherParams<'_>, tag_len: usize) -> Result<(), Error> {
    let good = match params {
        CipherParams::AesGcm { .. } => (4..=16).contains(&tag_len),
        _ => tag_len == 0,
    };
    if good { Ok(()) } else { Err(Error::TagLength) }
}

/// Without padding the input is whole blocks; with it, the ciphertext is, and has at least one.
fn check_blocks(params: &CipherParams<'_>, input_len: usize, direction: Direction) -> Result<(), Error> {
    let whole = input_len.is_multiple_of(params.block_len());
    let good = match params {
        CipherParams::AesEcb | CipherParams::Des3Ecb => whole,
        CipherParams::AesCbc { padding: false, .. } | CipherParams::Des3Cbc { padding: false, .. } => whole,
        _ if padded(params) => direction == Direction::Encrypt || (input_len > 0 && whole),
        _ => true,
    };
    if good { Ok(()) } else { Err(Error::InputLength) }
}

fn padded(params: &CipherParams<'_>) -> bool {
    matches!(params, CipherParams::AesCbc { padding: true, .. } | CipherParams::Des3Cbc { padding: true, .. })
}
