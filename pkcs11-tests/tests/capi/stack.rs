//! One DSM and one client for the tests that disturb nobody, and the keys they ask for.

use std::sync::LazyLock;

use dsma_testkit::Stack;
use serde_json::{Value, json};

use crate::api::{Client, Key};

/// A running DSM with an open client.
pub(crate) struct Bench {
    pub(crate) stack: Stack,
    pub(crate) client: Client,
}

static SHARED: LazyLock<Bench> = LazyLock::new(Bench::start);

pub(crate) fn shared() -> &'static Bench {
    &SHARED
}

impl Bench {
    /// A DSM of one's own, for a test that stops it.
    pub(crate) fn start() -> Self {
        Self::start_with("retry_timeout_millis = 60000")
    }

    /// The same with a line more in the configuration.
    pub(crate) fn start_with(line: &str) -> Self {
        let stack = Stack::start();
        let conf = std::fs::read_to_string(stack.pkcs11_conf()).expect("a configuration");
        // At the top, because a table may come below. No test waits for a timeout unless it sets one.
        let conf = format!("{line}\nconnect_timeout_millis = 60000\nrequest_timeout_millis = 120000\n{conf}");
        std::fs::write(stack.pkcs11_conf(), conf).expect("a file is written");
        let client = Client::open(&stack.pkcs11_conf()).expect("the client opens");
        Self { stack, client }
    }

    /// Makes a key in DSM and opens it by a fresh name.
    pub(crate) fn generate(&self, spec: Value) -> (Key, String) {
        let (name, kid) = self.make("POST", spec);
        (self.client.key(&name).expect("the key opens"), kid)
    }

    /// Imports a key (`value` in DSM's own encoding) with these operations and opens it by its kid. An RSA key may use any padding;
    /// DSM's default policy would allow OAEP alone.
    pub(crate) fn import(&self, obj_type: &str, value: &[u8], key_ops: &[&str]) -> Key {
        let value = base64_simd::STANDARD.encode_to_string(value);
        let mut spec = json!({"obj_type": obj_type, "value": value, "key_ops": key_ops});
        if obj_type == "RSA" {
            spec["rsa"] = json!({"encryption_policy": [{}], "signature_policy": [{}]});
        }
        let (_, kid) = self.make("PUT", spec);
        self.client.kid(&kid).expect("the key opens")
    }

    /// Makes or imports it under a fresh name; returns name and kid.
    pub(crate) fn make(&self, method: &str, mut spec: Value) -> (String, String) {
        let name = format!("capi {}", uuid::Uuid::new_v4());
        spec["name"] = json!(name);
        let made = self.stack.dsm().request(method, "/crypto/v1/keys", Some(spec)).success().json();
        (name, made["kid"].as_str().expect("a kid").to_owned())
    }

    /// An exportable AES-256 key.
    pub(crate) fn aes(&self) -> (Key, String) {
        self.generate(json!({"obj_type": "AES", "key_size": 256, "key_ops": AES_OPS}))
    }
}

pub(crate) const AES_OPS: [&str; 4] = ["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"];
pub(crate) const SIGN_OPS: [&str; 4] = ["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"];

/// Bytes of a published vector.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    text.as_bytes().chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}
