//! CKM_ECDH1_DERIVE and CKM_ECDH1_COFACTOR_DERIVE (section 6.3.17 and on). No curve here has another cofactor than 1, but for Curve25519,
//! whose function has it inside.

use cryptoki_sys::*;
use dsma_core::{KeyFrom, Peer};
use dsma_crypto::digest::Hash;
use dsma_crypto::kdf;
use zeroize::Zeroizing;

use super::super::super::ffi::Mechanism;
use super::super::super::objects::{Object, peer};
use super::{Error, Result, Secret, digest, failed, given};

pub(super) struct Agreement {
    peer: Peer,
    kdf: Kdf,
    /// What both sides know beside the secret.
    shared: Box<[u8]>,
}

/// What is done with the secret.
enum Kdf {
    /// It is the key.
    None,
    /// ANSI X9.63.
    X963(Hash),
    /// NIST SP 800-56C in one step, which SP 800-56A had as concatenation KDF.
    SingleStep(Hash),
}

impl Agreement {
    /// The other side's point may come bare or in an OCTET STRING (trap 27).
    pub(super) fn read(mechanism: Mechanism<'_>, base: &Object) -> Result<Self> {
        let params = mechanism.ecdh()?;
        let shared = given(&params.shared_data)?;
        let kdf = match params.kdf {
            CKD_NULL if shared.is_empty() => Some(Kdf::None),
            kdf => digest::of_x9_63(kdf).map(Kdf::X963).or_else(|| digest::of_single_step(kdf).map(Kdf::SingleStep)),
        };
        let point = given(&params.public_data)?;
        let peer = base.kind().and_then(|kind| peer(kind, point)).ok_or(Error::MechanismParamInvalid)?;
        Ok(Self { peer, kdf: kdf.ok_or(Error::MechanismParamInvalid)?, shared: shared.into() })
    }

    /// DSM has the secret itself, without a function after it.
    pub(super) fn in_dsm(&self, len: Option<usize>) -> Result<Option<(usize, KeyFrom<'_>)>> {
        if !matches!(self.kdf, Kdf::None) {
            return Ok(None);
        }
        let whole = self.peer.secret_len();
        let len = len.unwrap_or(whole);
        if len > whole { Err(Error::KeySizeRange) } else { Ok(Some((len, KeyFrom::Agreement(&self.peer)))) }
    }

    pub(super) fn run(&self, base: &Object, len: Option<usize>) -> Result<Secret> {
        let secret = base.agree(&self.peer)?;
        let mut out = Zeroizing::new(vec![0; len.unwrap_or(secret.len())]);
        match self.kdf {
            // A shorter key is the end of the secret: what is cut off is its beginning.
            Kdf::None => {
                let excess = secret.len().checked_sub(out.len()).ok_or(Error::KeySizeRange)?;
                out.copy_from_slice(&secret[excess..]);
            }
            Kdf::X963(hash) => kdf::x9_63(hash, &secret, &self.shared, &mut out).map_err(failed)?,
            Kdf::SingleStep(hash) => kdf::single_step(hash, &secret, &self.shared, &mut out).map_err(failed)?,
        }
        Ok(out)
    }
}
