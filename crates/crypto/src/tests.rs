//! Tests of the public interface: published vectors, another implementation (OpenSSL's command line), properties, threads.

mod agreement;
mod ciphers;
mod des3;
mod deterministic;
mod ff1;
mod formats;
mod kdf;
mod keywrap;
mod macs;
mod openssl;
mod post_quantum;
mod signatures;
mod streams;
mod threads;
mod wycheproof;

use crate::{AesKey, Buffers, CipherParams, Error, Key};

fn aes(len: usize) -> Key {
    let bytes: Vec<u8> = (0..len as u8).collect();
    Key::Aes(AesKey::from_bytes(&bytes).unwrap())
}

/// Encrypts into a buffer of exactly the length that the key announces.
fn encrypt(key: &Key, params: &CipherParams<'_>, plain: &[u8], tag: &mut [u8]) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; key.encrypted_len(params, plain.len())];
    let len = key.encrypt(params, Buffers::new(plain, &mut out), tag)?;
    assert_eq!(len, out.len(), "encrypted_len is exact");
    Ok(out)
}

fn decrypt(key: &Key, params: &CipherParams<'_>, encrypted: &[u8], tag: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; encrypted.len()];
    let len = key.decrypt(params, Buffers::new(encrypted, &mut out), tag)?;
    out.truncate(len);
    Ok(out)
}
