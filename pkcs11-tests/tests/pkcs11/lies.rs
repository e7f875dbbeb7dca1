//! A DSM that lies: what it says wrong ends in an error that is known and in a line of the log that says where, and what it says next is
//! taken again. The liar stands before a real DSM and changes one reply at a time.

mod exports;
mod listings;
mod made;
mod operations;
mod wire;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cryptoki_sys::*;
use dsma_testkit::{Answer, Liar};
use serde_json::{Value, json};

use crate::keys::Bench;

/// Longer than a refusal is remembered, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A DSM behind a liar. Libraries that [`Bench::another`] starts know the liar alone; what the bench itself asks DSM is true.
struct Court {
    bench: Bench,
    liar: Liar,
    log: PathBuf,
}

/// A wrong member of a reply, and what the log says of it.
struct Wrong {
    path: &'static str,
    change: Change,
    said: &'static str,
}

enum Change {
    Set(Value),
    Remove,
}

impl Court {
    fn open() -> Self {
        Self::open_with("")
    }

    /// With these lines more in the configuration.
    fn open_with(lines: &str) -> Self {
        let bench = Bench::start();
        let liar = Liar::before(&bench.stack);
        let (config, log) = (bench.stack.pkcs11_conf(), bench.stack.state_dir().join("library.log"));
        let given = std::fs::read_to_string(&config).expect("a configuration");
        let truth = bench.stack.ca_file().display().to_string();
        let text = given.replace(&bench.stack.endpoint(), &liar.endpoint()).replace(&truth, &liar.ca_file().display().to_string());
        let text = format!("{lines}{text}\n[log]\nlevel = \"debug\"\nfile = {:?}\n", log.display().to_string());
        assert!(text.contains(&liar.endpoint()) && !text.contains(&truth), "{text}");
        std::fs::write(&config, text).expect("a file is written");
        Self { bench, liar, log }
    }

    /// The next reply to this request is a lie: it is found out, with DSM's fault as the error, and told in the log with the request's path
    /// and these words. The reply after it is believed.
    fn catches<T>(
        &self,
        request: &str,
        lie: impl FnOnce(&mut Answer) + Send + 'static,
        said: &str,
        act: impl Fn() -> Result<T, CK_RV>,
    ) -> T {
        self.finds(request, lie, said, &act);
        self.believes(act)
    }

    /// The lie alone.
    fn finds<T>(&self, request: &str, lie: impl FnOnce(&mut Answer) + Send + 'static, said: &str, act: impl Fn() -> Result<T, CK_RV>) {
        let before = self.read_log().len();
        self.liar.lie(request, lie);
        let answer = act().map(drop);
        assert_eq!(answer, Err(CKR_DEVICE_ERROR), "{request}, {said}");
        assert_eq!(self.liar.pending(), 0, "{request}, {said}: the lie was not told");
        let log = self.read_log();
        let path = request.split_once(" /").expect("a method and a path").1;
        let names = |line: &str| line.contains("unusable reply") && line.contains(path) && line.contains(said);
        assert!(log[before..].lines().any(names), "{request}, {said}:\n{}", &log[before..]);
    }

    /// The same for each of these members of a JSON body.
    fn catches_each<T>(&self, request: &str, wrong: impl IntoIterator<Item = Wrong>, act: impl Fn() -> Result<T, CK_RV>) {
        for Wrong { path, change, said } in wrong {
            let lie = move |answer: &mut Answer| match change {
                Change::Set(value) => answer.set(path, value),
                Change::Remove => answer.remove(path),
            };
            self.catches(request, lie, said, &act);
        }
    }

    /// What honest replies are good for: at once, or when a refusal is forgotten.
    fn believes<T>(&self, act: impl Fn() -> Result<T, CK_RV>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match act() {
                Ok(done) => return done,
                Err(code) => assert!(Instant::now() < deadline, "{code:#x}:\n{}", self.read_log()),
            }
        }
    }

    fn read_log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether no text of the log is one of these.
    fn keeps_secret(&self, secrets: &[&str]) {
        let log = self.read_log();
        for secret in secrets {
            assert!(!secret.is_empty() && !log.contains(secret), "a secret in the log:\n{log}");
        }
    }
}

impl Drop for Court {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.keeps_secret(&[&self.bench.stack.api_key()]);
        }
    }
}

fn set(path: &'static str, value: Value, said: &'static str) -> Wrong {
    Wrong { path, change: Change::Set(value), said }
}

fn remove(path: &'static str, said: &'static str) -> Wrong {
    Wrong { path, change: Change::Remove, said }
}

/// So many bytes in base64.
fn bytes_of(len: usize) -> Value {
    json!(base64_simd::STANDARD.encode_to_string(vec![0x5a; len]))
}

/// A kid that nobody has.
fn nobody() -> Value {
    json!(uuid::Uuid::new_v4().to_string())
}
