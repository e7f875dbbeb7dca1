//! One export per key: under a thousand threads, after a clear, and while DSM is away.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::{AES_CTR, AES_GCM, CipherParams, UNREACHABLE, random};
use crate::stack::{AES_OPS, Bench};

#[test]
fn a_thousand_threads_export_a_key_once() {
    const THREADS: usize = 1000;
    let bench = Bench::start();
    let (key, kid) = bench.aes();
    let together = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let small = std::thread::Builder::new().stack_size(256 << 10);
            let body = || {
                let iv = [9; 12];
                let mut tag = [0; 16];
                let params = CipherParams::new(AES_GCM, &iv).tag(&mut tag);
                together.wait();
                key.encrypt(&params, b"at once").expect("encrypts");
            };
            small.spawn_scoped(scope, body).expect("a thread");
        }
    });
    assert_eq!(bench.stack.dsm().exports_of(&kid), 1);
    assert_eq!(bench.stack.dsm().uses_of(&kid, "encrypt"), 0);
    assert_eq!(bench.client.stats().exports, 1);
}

#[test]
fn a_cleared_key_is_exported_again() {
    let bench = Bench::start();
    let ((key, kid), (other, other_kid)) = (bench.aes(), bench.aes());
    let iv = random(16);
    let params = CipherParams::new(AES_CTR, &iv);
    let exports = |kid: &str| bench.stack.dsm().exports_of(kid);
    for _ in 0..3 {
        key.encrypt(&params, b"x").expect("encrypts");
        other.encrypt(&params, b"x").expect("encrypts");
    }
    assert_eq!((exports(&kid), exports(&other_kid)), (1, 1));

    assert_eq!(bench.client.clear(Some(&[])).expect("clears nothing"), 0);
    assert_eq!(bench.client.clear(Some(&[&kid])).expect("clears one"), 1);
    assert_eq!(bench.client.clear(Some(&[&kid])).expect("has been cleared"), 0);
    key.encrypt(&params, b"x").expect("encrypts");
    other.encrypt(&params, b"x").expect("encrypts");
    assert_eq!((exports(&kid), exports(&other_kid)), (2, 1));

    assert_eq!(bench.client.clear(None).expect("clears all"), 2);
    assert_eq!(bench.client.stats().cached_keys, 0);
    other.encrypt(&params, b"x").expect("encrypts");
    assert_eq!(exports(&other_kid), 2);
}

#[test]
fn a_warm_key_serves_while_dsm_is_away_and_a_cold_one_says_so() {
    let bench = Bench::start_with("retry_timeout_millis = 5000");
    let (warm, _) = bench.aes();
    let (cold, _) = bench.make("POST", json!({"obj_type": "AES", "key_size": 128, "key_ops": AES_OPS}));
    let cold = bench.client.key(&cold).expect("opens without the network");
    let iv = random(16);
    let params = CipherParams::new(AES_CTR, &iv);
    let before = warm.encrypt(&params, b"text").expect("encrypts");
    bench.stack.stop();
    assert_eq!(warm.encrypt(&params, b"text").expect("encrypts without DSM"), before);
    let failed = cold.encrypt(&params, b"text").expect_err("nobody has its material");
    assert_eq!(failed.code, UNREACHABLE);
    assert!(failed.text.contains(&bench.stack.endpoint()) && failed.text.contains("; check"), "{}", failed.text);
    bench.stack.restart();
    // The first calls may fall into the pause that the failed ones have earned.
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(failed) = cold.encrypt(&params, b"text") {
        assert!(failed.code == UNREACHABLE && Instant::now() < deadline, "when DSM is back: {failed:?}");
        #[expect(clippy::disallowed_methods, reason = "the pause ends with time alone")]
        std::thread::sleep(Duration::from_millis(20));
    }
}
