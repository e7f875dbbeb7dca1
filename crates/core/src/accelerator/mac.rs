//! Authentication codes: HMAC with HMAC keys, CMAC with those of block ciphers.

use dsma_api::{Blob, HashAlgorithm, MacRequest, Operation, SobjectDescriptor, VerifyMacRequest};
use dsma_crypto::{Mac, MacScheme};

use super::Accelerator;
use super::forward::wire_hash;
use crate::dsm::check_forwarded;
use crate::{CachedKey, Error, KeyRef};

const MAC: &str = "crypto/v1/mac";

impl Accelerator {
    /// The code of `data`, whole.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn mac(&self, key: &KeyRef, scheme: &MacScheme, data: &[u8]) -> Result<Mac, Error> {
        let key = self.granted(key, Operation::MacGenerate)?;
        match key.local() {
            Some(local) => Ok(local.mac(scheme, data)?),
            None => self.forward_mac(&key, scheme, data),
        }
    }

    /// Whether `mac` is the code of `data`, or its beginning: at least one byte.
    ///
    /// DSM verifies whole codes only. A truncated one under a key that stays there is compared here with the code that DSM makes, for
    /// which the key needs MACGENERATE as well.
    ///
    /// # Errors
    /// As [`Self::sign`]; a code that is another is no error.
    pub fn verify_mac(&self, key: &KeyRef, scheme: &MacScheme, data: &[u8], mac: &[u8]) -> Result<bool, Error> {
        let key = self.granted(key, Operation::MacVerify)?;
        if mac.is_empty() {
            return Ok(false);
        }
        match (key.local(), scheme) {
            (Some(local), _) => Ok(local.mac(scheme, data)?.begins_with(mac)),
            (None, MacScheme::Hmac { hash }) if mac.len() == hash.len() => self.forward_verify_mac(&key, scheme, data, mac),
            (None, MacScheme::Cmac) if mac.len() == key.block_len() => self.forward_verify_mac(&key, scheme, data, mac),
            (None, _) => Ok(self.forward_mac(&key, scheme, data)?.begins_with(mac)),
        }
    }

    fn forward_mac(&self, key: &CachedKey, scheme: &MacScheme, data: &[u8]) -> Result<Mac, Error> {
        check_forwarded(data.len())?;
        let request = MacRequest { key: Some(SobjectDescriptor::Kid(key.kid())), alg: alg(scheme), data: Blob::from(data) };
        let reply = self.counted().dsm.mac(&request)?;
        self.0.checked_use(MAC, key.kid(), reply.kid)?;
        let len = match scheme {
            MacScheme::Hmac { hash } => hash.len(),
            MacScheme::Cmac => key.block_len(),
        };
        self.0.checked_len(MAC, "mac", reply.mac.0.len() == len)?;
        Ok(Mac::from_bytes(&reply.mac.0)?)
    }

    fn forward_verify_mac(&self, key: &CachedKey, scheme: &MacScheme, data: &[u8], mac: &[u8]) -> Result<bool, Error> {
        check_forwarded(data.len())?;
        let request = VerifyMacRequest {
            key: Some(SobjectDescriptor::Kid(key.kid())),
            alg: alg(scheme),
            data: Blob::from(data),
            mac: Some(Blob::from(mac)),
            digest: None,
        };
        let reply = self.counted().dsm.verify_mac(&request)?;
        self.0.checked_use("crypto/v1/macverify", key.kid(), reply.kid)?;
        Ok(reply.result)
    }
}

impl CachedKey {
    /// Bytes of the block of a block cipher's key, which is the length of its CMAC.
    fn block_len(&self) -> usize {
        if self.sobject().obj_type == dsma_api::ObjectType::Des3 { 8 } else { 16 }
    }
}

/// DSM names an HMAC's hash; a CMAC has none.
const fn alg(scheme: &MacScheme) -> Option<HashAlgorithm> {
    match *scheme {
        MacScheme::Hmac { hash } => Some(wire_hash(hash)),
        MacScheme::Cmac => None,
    }
}
