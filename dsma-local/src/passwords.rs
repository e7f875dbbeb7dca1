//! Users' passwords: Argon2id, as RFC 9106 and OWASP recommend it, written down as a PHC string.

use argon2::{Algorithm, Argon2, Params, Version};
use base64_simd::STANDARD_NO_PAD;
use dsma_api::ApiError;
use dsma_crypto::random;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::Error;

/// KiB of memory, passes, lanes: OWASP's first choice.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
/// Characters of a password.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=1024;

/// Passwords of users that may be hashed at the same time: half of the threads, and 300 MiB. Whoever guesses does not wait his turn on the
/// threads that serve everybody else.
static PLACES: Semaphore = Semaphore::const_new(16);

/// The PHC string of a new password.
///
/// # Errors
/// 400 for one that is too short or too long; 429 where too many are hashed already.
pub(crate) fn hash(password: &str) -> Result<String, ApiError> {
    if !LENGTHS.contains(&password.chars().count()) {
        let (least, most) = (LENGTHS.start(), LENGTHS.end());
        return Err(ApiError::bad_request(format!("Invalid password: {least} to {most} characters are expected")));
    }
    in_place(&PLACES, || hash_generated(password))
}

/// The PHC string of a password that this program made.
pub(crate) fn hash_generated(password: &str) -> Result<String, Error> {
    let mut salt = [0; SALT_LEN];
    random::fill(&mut salt)?;
    let hash = derive(password, &salt, COST)?;
    let (memory, passes, lanes) = COST;
    let [salt, hash] = [&salt[..], &hash[..]].map(|bytes| STANDARD_NO_PAD.encode_to_string(bytes));
    Ok(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"))
}

/// Whether this is the password; `None` stands for a user that does not exist, and takes as long.
///
/// # Errors
/// 429 where too many are hashed already.
pub(crate) fn verify(password: &str, known: Option<&str>) -> Result<bool, ApiError> {
    in_place(&PLACES, || {
        let Some(Phc { cost, salt, hash }) = known.and_then(Phc::parse) else {
            derive(password, &[0; SALT_LEN], COST)?;
            return Ok(false);
        };
        Ok(derive(password, &salt, cost)?.ct_eq(&hash).into())
    })
}

fn in_place<T>(places: &Semaphore, work: impl FnOnce() -> Result<T, Error>) -> Result<T, ApiError> {
    let Ok(_place) = places.try_acquire() else {
        return Err(ApiError::new(429, "Too many passwords are checked at the same time: try again"));
    };
    Ok(work()?)
}

fn derive(password: &str, salt: &[u8], (memory, passes, lanes): (u32, u32, u32)) -> Result<Zeroizing<[u8; HASH_LEN]>, Error> {
    let params = Params::new(memory, passes, lanes, Some(HASH_LEN)).map_err(Error::Password)?;
    let mut hash = Zeroizing::new([0; HASH_LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut *hash)
        .map_err(Error::Password)?;
    Ok(hash)
}

/// What [`hash`] wrote.
struct Phc {
    cost: (u32, u32, u32),
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Phc {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let mut numbers = cost.split(',').map(|pair| pair.split_once('=')?.1.parse().ok());
        let cost = (numbers.next()??, numbers.next()??, numbers.next()??);
        let bytes = |text: &str| STANDARD_NO_PAD.decode_to_vec(text).ok();
        Some(Self { cost, salt: bytes(salt)?, hash: bytes(hash)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_hashed_at_once_than_there_are_places() {
        let places = Semaphore::const_new(1);
        let within = in_place(&places, || Ok(in_place(&places, || Ok(())).unwrap_err()));
        assert_eq!(within.unwrap().status, 429);
        in_place(&places, || Ok(())).unwrap();
    }

    #[test]
    fn only_the_password_itself_holds() {
        let known = hash("correct horse").unwrap();
        assert!(known.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{known}");
        assert_ne!(known, hash("correct horse").unwrap(), "salted");
        assert!(verify("correct horse", Some(&known)).unwrap());
        for wrong in ["", "correct horse ", "Correct horse"] {
            assert!(!verify(wrong, Some(&known)).unwrap(), "{wrong}");
        }
        assert!(!verify("correct horse", None).unwrap());
        assert!(!verify("correct horse", Some("nonsense")).unwrap());
        assert_eq!(hash("short").unwrap_err().status, 400);
    }
}
