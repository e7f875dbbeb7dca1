//! DSM's answers, written straight into one buffer that is overwritten after it was sent: an answer may be plaintext.

use base64_simd::STANDARD;
use hyper::body::Bytes;
use uuid::Uuid;
use zeroize::Zeroizing;

/// An answer of known names and values that need no escaping.
pub(super) struct Reply(Zeroizing<Vec<u8>>);

impl Reply {
    /// Begins with `kid`, as every answer does. `content` is the length of all binary values together: the buffer must not grow,
    /// because growing would leave a copy behind.
    pub(super) fn new(kid: Uuid, content: usize) -> Self {
        let mut json = Zeroizing::new(Vec::with_capacity(128 + content.div_ceil(3) * 4 + 16));
        json.extend_from_slice(b"{\"kid\":\"");
        json.extend_from_slice(kid.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
        json.push(b'"');
        Self(json)
    }

    /// Adds binary.
    pub(super) fn blob(mut self, name: &str, value: &[u8]) -> Self {
        self.name(name);
        self.0.push(b'"');
        STANDARD.encode_append(value, &mut *self.0);
        self.0.push(b'"');
        self
    }

    /// Adds a truth value.
    pub(super) fn truth(mut self, name: &str, value: bool) -> Self {
        self.name(name);
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        Bytes::from_owner(self.0)
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_the_wire_types_write() {
        let kid = Uuid::from_u128(7);
        let written = Reply::new(kid, 3).blob("cipher", b"c").blob("iv", b"i").blob("tag", b"t").finish();
        let typed =
            dsma_api::EncryptResponse { kid: Some(kid), cipher: b"c"[..].into(), iv: Some(b"i"[..].into()), tag: Some(b"t"[..].into()) };
        assert_eq!(written, serde_json::to_vec(&typed).unwrap());
        let written = Reply::new(kid, 0).truth("result", true).finish();
        assert_eq!(written, serde_json::to_vec(&dsma_api::VerifyResponse { kid: Some(kid), result: true }).unwrap());
    }
}
