//! `X-Request-ID` of answers that DSM did not give: eight letters and digits, as DSM's own.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The next one. Unlikely to repeat; it is a name for a log, not a secret.
pub(crate) fn next() -> String {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bits = SEED.hash_one(COUNT.fetch_add(1, Ordering::Relaxed));
    let mut id = String::with_capacity(8);
    for _ in 0..8 {
        // In range by the modulus.
        id.push(char::from(ALPHABET[(bits % 62) as usize]));
        bits /= 62;
    }
    id
}

#[cfg(test)]
mod tests {
    #[test]
    fn eight_letters_and_digits() {
        let (first, second) = (super::next(), super::next());
        assert_ne!(first, second);
        assert!(first.len() == 8 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
