//! Secrets that are made here: halves of API keys, tokens, passwords.

use base64_simd::URL_SAFE_NO_PAD;
use dsma_crypto::random;
use zeroize::Zeroizing;

use crate::error::Error;

/// Random bytes in a secret or a token.
pub(crate) const DEFAULT_SIZE: u32 = 64;

/// Random bytes in URL-safe base64, as DSM's secrets look.
pub(crate) fn make_secret(size: u32) -> Result<Zeroizing<String>, Error> {
    let mut bytes = Zeroizing::new(vec![0; size as usize]);
    random::fill(&mut bytes)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode_to_string(&*bytes)))
}
