//! One DSM and one initialised library for the tests that disturb nobody, and keys with fresh names.

use std::path::PathBuf;
use std::sync::LazyLock;

use cryptoki_sys::*;
use dsma_testkit::Stack;
use serde_json::{Value, json};

use crate::module::Module;

/// A running DSM with a library that knows it.
pub(crate) struct Bench {
    pub(crate) stack: Stack,
    pub(crate) module: Module,
}

/// A key in DSM.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) label: String,
}

/// No test waits for a timeout unless it sets one: on a loaded machine, and under Valgrind, everything takes longer.
const PATIENCE: [(&str, u32); 3] =
    [("connect_timeout_millis", 60_000), ("request_timeout_millis", 120_000), ("retry_timeout_millis", 60_000)];

/// A configuration that waits long for DSM where it does not say itself how long.
pub(crate) fn patient(config: &str) -> String {
    let lines = PATIENCE.map(|(name, millis)| if config.contains(name) { String::new() } else { format!("{name} = {millis}\n") });
    format!("{}{config}", lines.concat())
}

/// The configuration of conformance mode of this DSM, patient.
pub(crate) fn conformance(stack: &Stack) -> PathBuf {
    let path = stack.state_dir().join("conformance.conf");
    let given = std::fs::read_to_string(&path).expect("a configuration");
    std::fs::write(&path, patient(&given)).expect("a file is written");
    path
}

static SHARED: LazyLock<Bench> = LazyLock::new(Bench::start);

/// The library is initialised and logged in for good; for tests that need no key.
pub(crate) fn shared() -> &'static Bench {
    &SHARED
}

impl Bench {
    /// A DSM and a library of one's own.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// The same with these lines more in the configuration, which else is patient.
    pub(crate) fn start_with(lines: &str) -> Self {
        let stack = Stack::start();
        let given = std::fs::read_to_string(stack.pkcs11_conf()).expect("a configuration");
        std::fs::write(stack.pkcs11_conf(), patient(&format!("{lines}{given}"))).expect("a file is written");
        let module = Module::with_config(&stack.pkcs11_conf());
        // The login lasts as long as a session is open.
        module.logged_in();
        Self { stack, module }
    }

    /// Another instance of the library, on the same DSM. It has no listing yet, so that it sees every key that was made until now.
    pub(crate) fn another(&self) -> Module {
        Module::with_config(&self.stack.pkcs11_conf())
    }

    /// Another instance, a session of it, and the private or secret objects of these keys.
    pub(crate) fn use_keys<const N: usize>(&self, keys: [&Key; N]) -> (Module, CK_SESSION_HANDLE, [CK_OBJECT_HANDLE; N]) {
        let module = self.another();
        let session = module.logged_in();
        let objects = keys.map(|key| {
            let hidden = [CKO_PRIVATE_KEY, CKO_SECRET_KEY]
                .map(|class| module.find(session, &[(CKA_CLASS, &class.to_ne_bytes()), (CKA_LABEL, key.label.as_bytes())]));
            let objects = hidden.concat();
            assert_eq!(objects.len(), 1, "{}", key.label);
            objects[0]
        });
        (module, session, objects)
    }

    /// The same for one key.
    pub(crate) fn use_key(&self, key: &Key) -> (Module, CK_SESSION_HANDLE, CK_OBJECT_HANDLE) {
        let (module, session, [object]) = self.use_keys([key]);
        (module, session, object)
    }

    /// SubjectPublicKeyInfo of a key pair, as DSM tells it.
    pub(crate) fn public_key(&self, key: &Key) -> Vec<u8> {
        let sobject = self.stack.dsm().request("GET", &format!("/crypto/v1/keys/{}", key.kid), None).success().json();
        let spki = sobject["pub_key"].as_str().expect("a public key");
        base64_simd::STANDARD.decode_to_vec(spki).expect("base64")
    }

    /// A certificate: that of the development CA.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let pem = std::fs::read_to_string(self.stack.ca_file()).expect("the dev CA's certificate");
        let begun = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
        let body: String = begun.take_while(|line| !line.starts_with('-')).collect();
        base64_simd::STANDARD.decode_to_vec(body).expect("PEM")
    }

    pub(crate) fn aes(&self) -> Key {
        self.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT"]}))
    }

    pub(crate) fn rsa(&self) -> Key {
        self.rsa_with(&["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT"])
    }

    /// With any padding: DSM's default policy allows OAEP alone.
    pub(crate) fn rsa_with(&self, key_ops: &[&str]) -> Key {
        let policy = json!({"encryption_policy": [{}], "signature_policy": [{}]});
        self.key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": key_ops, "rsa": policy}))
    }

    pub(crate) fn ec(&self) -> Key {
        self.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY", "EXPORT"]}))
    }

    /// A key of this type with these bytes, that may be exported or not.
    pub(crate) fn import(&self, obj_type: &str, value: &[u8], key_ops: &[&str], exportable: bool) -> Key {
        let mut key_ops = key_ops.to_vec();
        if exportable {
            key_ops.push("EXPORT");
        }
        let label = format!("p11 {}", uuid::Uuid::new_v4());
        let value = base64_simd::STANDARD.encode_to_string(value);
        let spec = json!({"name": label, "obj_type": obj_type, "value": value, "key_ops": key_ops});
        let made = self.stack.dsm().request("PUT", "/crypto/v1/keys", Some(spec)).success().json();
        Key { kid: made["kid"].as_str().expect("a kid").to_owned(), label }
    }

    /// Makes a key as described.
    pub(crate) fn key(&self, mut spec: Value) -> Key {
        let label = format!("p11 {}", uuid::Uuid::new_v4());
        spec["name"] = json!(label);
        Key { kid: self.stack.dsm().create_key(spec), label }
    }
}

impl Key {
    /// CKA_ID: the kid's 16 bytes.
    pub(crate) fn id(&self) -> [u8; 16] {
        *uuid::Uuid::parse_str(&self.kid).expect("a kid").as_bytes()
    }
}
