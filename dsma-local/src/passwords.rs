//! Users' passwords: Argon2id, as RFC 9106 and OWASP recommend it, written down as a PHC string.

use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use base64_simd::STANDARD_NO_PAD;
use dsma_api::ApiError;
use dsma_crypto::random;
use parking_lot::{Condvar, Mutex};
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use crate::error::Error;

/// KiB of memory, passes, lanes: OWASP's first choice.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
/// Characters of a password.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=1024;

/// Requests with a password that may be under way, most of them waiting: there are as many threads for them, so that whoever guesses does
/// not wait on those that serve everybody else.
pub(crate) const QUEUE: usize = 64;
static QUEUED: Semaphore = Semaphore::const_new(QUEUE);
/// Passwords of users that may be hashed at the same time: 300 MiB.
static PLACES: Places = Places::new(16);
/// How long a request waits for what others have to end before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The PHC string of a new password.
///
/// # Errors
/// 400 for one that is too short or too long; 429 where too many are hashed already.
pub(crate) fn hash(password: &str) -> Result<String, ApiError> {
    if !LENGTHS.contains(&password.chars().count()) {
        let (least, most) = (LENGTHS.start(), LENGTHS.end());
        return Err(ApiError::bad_request(format!("Invalid password: {least} to {most} characters are expected")));
    }
    let _queued = queue()?;
    in_place(&PLACES, PATIENCE, || hash_generated(password))
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

/// A place in the queue of the requests with a password.
///
/// # Errors
/// 429 where it is full.
pub(crate) fn queue() -> Result<SemaphorePermit<'static>, ApiError> {
    QUEUED.try_acquire().map_err(|_| too_many())
}

/// Refuses a request whose turn has not come.
pub(crate) fn too_many() -> ApiError {
    ApiError::new(429, "Too many passwords are checked at the same time: try again")
}

/// Whether this is the password; `None` stands for a user that does not exist, and takes as long. Whoever calls stands in the [`queue`].
///
/// # Errors
/// 429 where too many are hashed already.
pub(crate) fn verify(password: &str, known: Option<&str>) -> Result<bool, ApiError> {
    in_place(&PLACES, PATIENCE, || {
        let Some(Phc { cost, salt, hash }) = known.and_then(Phc::parse) else {
            derive(password, &[0; SALT_LEN], COST)?;
            return Ok(false);
        };
        Ok(derive(password, &salt, cost)?.ct_eq(&hash).into())
    })
}

fn in_place<T>(places: &Places, patience: Duration, work: impl FnOnce() -> Result<T, Error>) -> Result<T, ApiError> {
    let _place = places.wait(patience).ok_or_else(too_many)?;
    Ok(work()?)
}

/// A semaphore for threads. Tokio's waits in tasks alone.
struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of them, until it is dropped.
struct Place<'a>(&'a Places);

impl Places {
    const fn new(free: usize) -> Self {
        Self { free: Mutex::new(free), freed: Condvar::new() }
    }

    fn wait(&self, patience: Duration) -> Option<Place<'_>> {
        let mut free = self.free.lock();
        self.freed.wait_while_for(&mut free, |free| *free == 0, patience);
        *free = free.checked_sub(1)?;
        Some(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
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
        let places = Places::new(1);
        let within = in_place(&places, PATIENCE, || Ok(in_place(&places, Duration::ZERO, || Ok(())).unwrap_err()));
        assert_eq!(within.unwrap().status, 429);
        in_place(&places, Duration::ZERO, || Ok(())).unwrap();
    }

    #[test]
    fn whoever_waits_gets_the_place_that_is_freed() {
        let places = Places::new(1);
        let place = places.wait(Duration::ZERO);
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..5).map(|_| scope.spawn(|| places.wait(PATIENCE).is_some())).collect();
            drop(place);
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap()));
        });
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
