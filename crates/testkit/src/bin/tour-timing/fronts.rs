//! The three fronts, each doing the same operations with warm keys and warm connections.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use dsma_testkit::Dsm;
use serde_json::{Value, json};

use crate::{Key, Operation};

/// The input of every operation.
const DATA: [u8; 1024] = [0x5a; 1024];

/// Enough calls for a steady median, or so much time, whichever comes first.
const CALLS: usize = 2000;
const TIME: Duration = Duration::from_millis(400);

/// Calls in the C example, which measures itself: the program's start is no part of it.
const C_CALLS: u32 = 500;

/// A way in.
pub(crate) trait Front {
    /// What the table calls it.
    fn title(&self) -> &'static str;

    /// Microseconds of one warm call.
    fn micros(&self, operation: Operation, key: &Key) -> f64;
}

/// enclave-host's REST surface over one kept connection.
pub(crate) struct Rest {
    host: Dsm,
}

impl Rest {
    pub(crate) fn new(host: Dsm) -> Self {
        Self { host }
    }
}

impl Front for Rest {
    fn title(&self) -> &'static str {
        "REST (enclave-host)"
    }

    fn micros(&self, operation: Operation, key: &Key) -> f64 {
        let data = base64_simd::STANDARD.encode_to_string(DATA);
        let (path, body) = match operation {
            Operation::Encrypt => {
                ("/crypto/v1/encrypt", json!({"key": {"kid": key.kid}, "alg": "AES", "mode": "GCM", "tag_len": 128, "plain": data}))
            }
            Operation::SignRsa | Operation::SignEc => {
                ("/crypto/v1/sign", json!({"key": {"kid": key.kid}, "hash_alg": "SHA256", "data": data}))
            }
        };
        let answer = self.host.request("POST", path, Some(body.clone())).success().json();
        let result = if operation == Operation::Encrypt { "cipher" } else { "signature" };
        assert!(answer[result].is_string(), "{path} answers without {result}: {answer}");
        median(|| post(&self.host, path, &body))
    }
}

fn post(host: &Dsm, path: &str, body: &Value) {
    let _ = host.request("POST", path, Some(body.clone())).success();
}

/// The library as a PKCS#11 module in this process.
pub(crate) struct Pkcs11Module {
    session: Session,
}

impl Pkcs11Module {
    pub(crate) fn load(library: &Path) -> Self {
        let module = Pkcs11::new(library).unwrap_or_else(|e| panic!("{} does not load: {e}", library.display()));
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("C_Initialize");
        let slot = module.get_slots_with_token().expect("C_GetSlotList").into_iter().next().expect("one slot for one DSM");
        let session = module.open_rw_session(slot).expect("C_OpenSession");
        // The API key is in the configuration: no PIN.
        session.login(UserType::User, None).expect("C_Login");
        Self { session }
    }

    fn find(&self, operation: Operation, key: &Key) -> ObjectHandle {
        let class = if operation == Operation::Encrypt { ObjectClass::SECRET_KEY } else { ObjectClass::PRIVATE_KEY };
        let template = [Attribute::Class(class), Attribute::Label(key.name.clone().into_bytes())];
        let found = self.session.find_objects(&template).expect("C_FindObjects");
        assert_eq!(found.len(), 1, "one object is called {}", key.name);
        found[0]
    }
}

impl Front for Pkcs11Module {
    fn title(&self) -> &'static str {
        "PKCS#11 (libdsma.so)"
    }

    fn micros(&self, operation: Operation, key: &Key) -> f64 {
        let object = self.find(operation, key);
        let mut calls = 0_u32;
        let mut call = || match operation {
            Operation::Encrypt => {
                // A GCM key must not see an IV twice, not even here.
                calls += 1;
                let mut iv = [0; 12];
                iv[..4].copy_from_slice(&calls.to_be_bytes());
                let parameters = GcmParams::new(&mut iv, &[], 128.into()).expect("GCM parameters");
                let cipher = self.session.encrypt(&Mechanism::AesGcm(parameters), object, &DATA).expect("C_Encrypt");
                assert_eq!(cipher.len(), DATA.len() + 16);
            }
            Operation::SignRsa => {
                self.session.sign(&Mechanism::Sha256RsaPkcs, object, &DATA).expect("C_Sign");
            }
            Operation::SignEc => {
                self.session.sign(&Mechanism::EcdsaSha256, object, &DATA).expect("C_Sign");
            }
        };
        // The first use fetches the key.
        call();
        median(call)
    }
}

/// `examples/c/dsma-file`, a process for each row.
pub(crate) struct CExample {
    program: PathBuf,
}

impl CExample {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program }
    }
}

impl Front for CExample {
    fn title(&self) -> &'static str {
        "C API (examples/c)"
    }

    /// Its own mean, from a line such as `sign: 500 times, 12.34 us each, ...`.
    fn micros(&self, operation: Operation, key: &Key) -> f64 {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::write(&input, DATA).expect("the input is written");
        let mut command = Command::new(&self.program);
        command.args(["-n", &C_CALLS.to_string()]);
        match operation {
            Operation::Encrypt => command.arg("encrypt"),
            Operation::SignRsa => command.args(["sign", "rsa-pkcs1"]),
            Operation::SignEc => command.args(["sign", "ecdsa"]),
        };
        let done = command.arg(&key.name).arg(input).arg(output).output().unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{} failed: {said}", self.program.display());
        let micros = said.split(" us each").next().and_then(|head| head.rsplit(' ').next()).and_then(|number| number.parse().ok());
        micros.unwrap_or_else(|| panic!("{} told no time: {said}", self.program.display()))
    }
}

/// Median of the calls' times in microseconds.
fn median(mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut times = Vec::with_capacity(CALLS);
    while times.len() < CALLS && (times.len() < 20 || begin.elapsed() < TIME) {
        let start = Instant::now();
        call();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}
