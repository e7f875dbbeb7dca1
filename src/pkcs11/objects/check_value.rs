//! CKA_CHECK_VALUE of secret keys: three bytes that tell one key from another (section 4.10.2).

use dsma_crypto::digest::Hash;
use dsma_crypto::{Buffers, CipherParams};

use super::KeyKind;
use super::key::LocalKey;

/// The first three bytes of the encrypted zero block; of the SHA-1 digest where the key is no block cipher's. `None` for key pairs.
pub(super) fn of(key: &LocalKey) -> Option<Vec<u8>> {
    let bytes = key.secret_bytes()?;
    let (params, block_len) = match key.kind() {
        KeyKind::Aes => (CipherParams::AesEcb, 16),
        KeyKind::Des3 => (CipherParams::Des3Ecb, 8),
        _ => return Some(Hash::Sha1.digest(bytes).as_ref()[..3].to_vec()),
    };
    let mut block = [0; 16];
    key.key().ok()?.encrypt(&params, Buffers::in_place(&mut block[..block_len]), &mut []).ok()?;
    Some(block[..3].to_vec())
}
