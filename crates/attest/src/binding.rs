//! What ties a document to a key: `user_data`, as the vendor's published enclave client (em-app) fills it.

use aws_lc_rs::digest::{SHA256, digest};

use crate::{Document, Error};

/// The prefix that keeps the form with a configuration apart from that without.
const WITH_CONFIG: u8 = 0x01;

/// The 64 bytes of `user_data` for a key, given as DER SubjectPublicKeyInfo.
///
/// Without an app configuration: `SHA256(spki)` and 32 zero bytes. With one: `SHA256(0x01 || SHA256(spki) || config_id)` and the
/// configuration's id.
#[must_use]
pub fn user_data(spki_der: &[u8], config_id: Option<&[u8; 32]>) -> [u8; 64] {
    let key = digest(&SHA256, spki_der);
    let mut bound = [0; 64];
    let (first, second) = bound.split_at_mut(32);
    match config_id {
        None => first.copy_from_slice(key.as_ref()),
        Some(config_id) => {
            let all = [&[WITH_CONFIG], key.as_ref(), config_id.as_slice()].concat();
            first.copy_from_slice(digest(&SHA256, &all).as_ref());
            second.copy_from_slice(config_id);
        }
    }
    bound
}

/// Checks that a document was made for this key, and returns the id of the app configuration that it names, if it does.
///
/// # Errors
/// [`Error::Binding`].
pub fn check(document: &Document, spki_der: &[u8]) -> Result<Option<[u8; 32]>, Error> {
    let refused = |problem: &str| Error::Binding { problem: problem.to_owned() };
    let seen = document.user_data.as_deref().ok_or_else(|| refused("its user_data is null"))?;
    let seen: &[u8; 64] =
        seen.try_into().map_err(|_| Error::Binding { problem: format!("its user_data has {} bytes, and 64 are expected", seen.len()) })?;
    let mut config_id = [0; 32];
    config_id.copy_from_slice(&seen[32..]);
    // An id of 32 zero bytes is no SHA-256 of anything: zero means none.
    let config_id = (config_id != [0; 32]).then_some(config_id);
    if *seen == user_data(spki_der, config_id.as_ref()) {
        return Ok(config_id);
    }
    Err(refused("its user_data is the hash of another key; make the request anew, with a document for its key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with OpenSSL: `printf %s spki | openssl dgst -sha256`, and the same of 0x01, that hash and 32 bytes of 0x07.
    #[test]
    fn both_forms_are_those_of_the_published_client() {
        let plain = user_data(b"spki", None);
        assert_eq!(hex::encode(&plain[..32]), "6feecc8c16c5551d9feb3eb5f77e2da773bf68bd9ef9c52927ceb2c86e56892b");
        assert_eq!(plain[32..], [0; 32]);
        let with_config = user_data(b"spki", Some(&[7; 32]));
        assert_eq!(hex::encode(&with_config[..32]), "8fb1417f41b6fc496d3a9122055b8ebd3163a63aece2d5610e8ca7deec35be3b");
        assert_eq!(with_config[32..], [7; 32]);
    }
}
