//! The tour's table: what one operation costs through each front, with the key here and with the key in DSM.
//!
//! Runs inside `with-stack`. Each operation has two keys that differ in one thing: DSM may export the first and keeps the second to
//! itself. Each front is a process of its own (enclave-host; this program, which loads the library as a PKCS#11 module; the C example),
//! so DSM's audit log must show one export of the first key for each, and no operation with it. It is read after each row, and a row that
//! it does not confirm fails the tour.
#![forbid(unsafe_code)]

mod fronts;

use std::path::PathBuf;
use std::process::ExitCode;

use dsma_testkit::{Credential, Dsm};
use serde_json::{Value, json};

use fronts::{CExample, Front, Pkcs11Module, Rest};

/// One row's operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Encrypt,
    SignRsa,
    SignEc,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Encrypt, Self::SignRsa, Self::SignEc];

    fn title(self) -> &'static str {
        match self {
            Self::Encrypt => "AES-GCM encrypt, 1 KiB",
            Self::SignRsa => "RSA-2048 sign, SHA-256",
            Self::SignEc => "ECDSA P-256 sign, SHA-256",
        }
    }

    /// How DSM's audit log calls it.
    fn verb(self) -> &'static str {
        if self == Self::Encrypt { "encrypted" } else { "signed" }
    }

    fn key_spec(self, exportable: bool) -> Value {
        let mut spec = match self {
            Self::Encrypt => json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT", "APPMANAGEABLE"]}),
            Self::SignRsa => json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "APPMANAGEABLE"]}),
            Self::SignEc => json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY", "APPMANAGEABLE"]}),
        };
        if exportable && let Some(operations) = spec["key_ops"].as_array_mut() {
            operations.push("EXPORT".into());
        }
        spec["name"] = json!(format!("tour {}, {}", self.title(), if exportable { "exportable" } else { "kept in DSM" }));
        spec
    }
}

/// A key of the tour.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) name: String,
}

fn main() -> ExitCode {
    // What went wrong is the message; where in this file is noise.
    std::panic::set_hook(Box::new(|info| eprintln!("tour-timing: {}", info.payload_as_str().unwrap_or("stopped by a panic"))));
    let credential = Credential::Basic(variable("FORTANIX_API_KEY"));
    let dsm = Dsm::connect(&variable("FORTANIX_API_ENDPOINT"), &PathBuf::from(variable("FORTANIX_CA_FILE")), credential.clone());
    let host = Dsm::connect(&variable("ENCLAVE_HOST_ENDPOINT"), &PathBuf::from(variable("ENCLAVE_HOST_CA_FILE")), credential);

    let keys = Operation::ALL.map(|operation| [true, false].map(|exportable| make_key(&dsm, operation, exportable)));
    let fronts: [Box<dyn Front>; 3] = [
        Box::new(Rest::new(host)),
        Box::new(Pkcs11Module::load(&PathBuf::from(variable("DSMA_LIBRARY")))),
        Box::new(CExample::new(dsma_testkit::target_dir().join("dsma-file"))),
    ];
    println!("{:<27} {:<22} {:>11} {:>11}  {:>7}", "operation", "front", "key here", "key in DSM", "exports");
    for (operation, [exportable, kept]) in Operation::ALL.into_iter().zip(&keys) {
        for front in &fronts {
            let row = Row {
                local: Use::measure(&dsm, &**front, operation, exportable),
                forwarded: Use::measure(&dsm, &**front, operation, kept),
            };
            let (local, forwarded) = (format_micros(row.local.micros), format_micros(row.forwarded.micros));
            println!("{:<27} {:<22} {local:>11} {forwarded:>11}  {:>7}", operation.title(), front.title(), row.local.exports);
            if let Some(problem) = row.problem() {
                eprintln!("tour-timing: {}, {}: {problem}", operation.title(), front.title());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

struct Row {
    local: Use,
    forwarded: Use,
}

impl Row {
    /// Where DSM's audit log tells another story than the table.
    fn problem(&self) -> Option<String> {
        let told = |what: &str| Some(format!("DSM's audit log shows {what}"));
        match (&self.local, &self.forwarded) {
            (Use { exports, .. }, _) if *exports != 1 => told(&format!("{exports} exports by this process, not one")),
            (Use { operations, .. }, _) if *operations != 0 => told(&format!("{operations} operations in DSM with the exported key")),
            (_, Use { exports, .. }) if *exports != 0 => told("that a key was exported that DSM should keep"),
            (_, Use { operations: 0, .. }) => told("no operation with the key that DSM keeps"),
            _ => None,
        }
    }
}

/// What one front did with one key: the time of a call, and what DSM's audit log says.
struct Use {
    micros: f64,
    exports: usize,
    operations: usize,
}

impl Use {
    fn measure(dsm: &Dsm, front: &dyn Front, operation: Operation, key: &Key) -> Self {
        let logged = || (dsm.uses_of(&key.kid, "exported"), dsm.uses_of(&key.kid, operation.verb()));
        let before = logged();
        let micros = front.micros(operation, key);
        let after = logged();
        Self { micros, exports: after.0 - before.0, operations: after.1 - before.1 }
    }
}

fn make_key(dsm: &Dsm, operation: Operation, exportable: bool) -> Key {
    let spec = operation.key_spec(exportable);
    let name = spec["name"].as_str().unwrap_or_default().to_owned();
    Key { kid: dsm.create_key(spec), name }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run it inside with-stack, as `make demo` does"))
}

fn format_micros(micros: f64) -> String {
    if micros < 100.0 { format!("{micros:.2} us") } else { format!("{micros:.0} us") }
}
