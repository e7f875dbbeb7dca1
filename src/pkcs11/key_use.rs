//! What a running operation asks of its key: answered by this process for its own keys, by the engine for DSM's, and for their public
//! halves by the listing.

use dsma_api::Operation;
use dsma_core::{Error as Engine, MOST_FORWARDED, Parts, Peer, allows_cipher, allows_signature};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Buffers, CipherParams, CipherStream, Error as Crypto, Key, Mac, MacScheme, MacStream, Message, SignatureScheme, kdf};
use zeroize::Zeroizing;

use super::error::During;
use super::objects::{KeySource, Object, Prepared};
use super::{Error, Result};

impl Object {
    /// Encrypts all of the data; see [`dsma_core::Accelerator::encrypt`].
    pub(super) fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => match key.usable_public(Operation::Encrypt, |sobject| allows_cipher(sobject, params))? {
                Some(public) => public,
                None => {
                    let encrypted = key.engine().encrypt(&key.key_ref(), params, data, tag);
                    return encrypted.map_err(|error| Error::from_engine(&error, During::Protect));
                }
            },
        };
        here(local.key()?.encrypt(params, data, tag), During::Protect)
    }

    /// Decrypts all of the data; see [`dsma_core::Accelerator::decrypt`].
    pub(super) fn decrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize> {
        match self.source()? {
            KeySource::Local(key) => here(key.key()?.decrypt(params, data, tag), During::Decrypt),
            KeySource::Dsm(key) => {
                let decrypted = key.engine().decrypt(&key.key_ref(), params, data, tag);
                decrypted.map_err(|error| Error::from_engine(&error, During::Decrypt))
            }
        }
    }

    /// Begins an encryption or decryption in parts; `None` for a key that stays in DSM.
    pub(super) fn start_cipher(&self, params: &CipherParams<'_>, decrypting: bool) -> Result<Option<CipherStream>> {
        let (operation, during) = if decrypting { (Operation::Decrypt, During::Decrypt) } else { (Operation::Encrypt, During::Protect) };
        let start = |key: &Key| here(if decrypting { key.start_decrypt(params) } else { key.start_encrypt(params) }, during);
        self.with_key(operation, during, start)
    }

    /// Begins one that DSM does in parts; see [`dsma_core::Accelerator::start_parts`].
    pub(super) fn start_in_dsm(&self, params: &CipherParams<'_>, decrypting: bool) -> Result<Parts> {
        let KeySource::Dsm(key) = self.source()? else { return Err(Error::GeneralError) };
        let started = key.engine().start_parts(&key.key_ref(), params, decrypting);
        started.map_err(|error| Error::from_engine(&error, ciphering(decrypting)))
    }

    /// Gives DSM the next part.
    pub(super) fn update_in_dsm(&self, parts: &mut Parts, part: &[u8], decrypting: bool) -> Result<Zeroizing<Vec<u8>>> {
        parts.update(part).map_err(|error| Error::from_engine(&error, ciphering(decrypting)))
    }

    /// Ends it: the rest, and an encryption's tag of so many bytes.
    pub(super) fn finish_in_dsm(&self, parts: Parts, tag_len: usize, decrypting: bool) -> Result<Zeroizing<Vec<u8>>> {
        let mut tag = vec![0; tag_len];
        let ended = if decrypting { parts.finish_decrypt(&[]) } else { parts.finish_encrypt(&mut tag) };
        let mut rest = ended.map_err(|error| Error::from_engine(&error, ciphering(decrypting)))?;
        rest.extend_from_slice(&tag);
        Ok(rest)
    }

    /// Whether so much data is more than this key takes at once: one that stays in DSM takes what fits into a request.
    pub(super) fn is_too_long(&self, len: usize, operation: Operation) -> Result<bool> {
        Ok(len > MOST_FORWARDED && self.with_key(operation, During::Protect, |_| Ok(()))?.is_none())
    }

    /// Signs into `out` and returns the length.
    pub(super) fn sign(&self, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize> {
        match self.source()? {
            KeySource::Local(key) => here(key.key()?.sign(scheme, message, out), During::Protect),
            KeySource::Dsm(key) => {
                let signed = key.engine().sign(&key.key_ref(), scheme, message, out);
                signed.map_err(|error| Error::from_engine(&error, During::Protect))
            }
        }
    }

    /// Whether the signature holds. Needs only the public key, which the listing has: DSM is asked only where that is older than a cached key
    /// may be.
    pub(super) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => match key.usable_public(Operation::Verify, |sobject| allows_signature(sobject, scheme))? {
                Some(public) => public,
                None => {
                    let verified = key.engine().verify(&key.key_ref(), scheme, message, signature);
                    return verified.map_err(|error| Error::from_engine(&error, During::Protect));
                }
            },
        };
        here(local.key()?.verify(scheme, message, signature), During::Protect)
    }

    /// Signs by Ed25519ctx, or over a digest by Ed25519ph. DSM has neither: the key must be here.
    pub(super) fn sign_eddsa_with_context(&self, message: Message<'_>, context: &[u8]) -> Result<Vec<u8>> {
        let sign = |key: &Key| match key {
            Key::Ed25519(key) => here(key.sign_with_context(message, context).map(Vec::from), During::Protect),
            _ => Err(Error::KeyTypeInconsistent),
        };
        self.with_key(Operation::Sign, During::Protect, sign)?.ok_or(Error::FunctionFailed)
    }

    /// Whether such a signature holds. Needs only the public key.
    pub(super) fn verify_eddsa_with_context(&self, message: Message<'_>, context: &[u8], signature: &[u8]) -> Result<bool> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => key.usable_public(Operation::Verify, |_| true)?.ok_or(Error::KeyTypeInconsistent)?,
        };
        let public = match local.key()? {
            Key::Ed25519(key) => key.public(),
            Key::Ed25519Public(key) => *key,
            _ => return Err(Error::KeyTypeInconsistent),
        };
        here(public.verify_with_context(message, context, signature), During::Protect)
    }

    /// Signs with ML-DSA: the message, or its digest where `hash` is given.
    pub(super) fn sign_ml_dsa(&self, hash: Option<Hash>, message: Message<'_>, context: &[u8], deterministic: bool) -> Result<Vec<u8>> {
        match self.source()? {
            KeySource::Local(key) => match key.prepared() {
                Prepared::MlDsa(key) => here(key.sign_as(hash, message, context, deterministic), During::Protect),
                _ => Err(Error::KeyTypeInconsistent),
            },
            KeySource::Dsm(key) => {
                let signed = key.engine().sign_ml_dsa(&key.key_ref(), hash, message, context, deterministic);
                signed.map_err(|error| Error::from_engine(&error, During::Protect))
            }
        }
    }

    /// Whether the ML-DSA signature holds. Needs only the public key.
    pub(super) fn verify_ml_dsa(&self, hash: Option<Hash>, message: Message<'_>, context: &[u8], signature: &[u8]) -> Result<bool> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => key.usable_public(Operation::Verify, |_| true)?.ok_or(Error::KeyTypeInconsistent)?,
        };
        let made;
        let public = match local.prepared() {
            Prepared::MlDsaPublic(key) => key,
            Prepared::MlDsa(key) => {
                made = key.public();
                &made
            }
            _ => return Err(Error::KeyTypeInconsistent),
        };
        let holds = match (hash, message) {
            (None, Message::Data(data)) => public.verify(data, context, signature),
            (Some(hash), message) => public.verify_prehash(hash, message, context, signature),
            (None, Message::Digest(_)) => return Err(Error::GeneralError),
        };
        here(holds, During::Protect)
    }

    /// The authentication code of the data, whole.
    pub(super) fn mac(&self, scheme: &MacScheme, data: &[u8]) -> Result<Mac> {
        match self.source()? {
            KeySource::Local(key) => here(key.key()?.mac(scheme, data), During::Protect),
            KeySource::Dsm(key) => {
                let made = key.engine().mac(&key.key_ref(), scheme, data);
                made.map_err(|error| Error::from_engine(&error, During::Protect))
            }
        }
    }

    /// Whether this is the beginning of the data's authentication code.
    pub(super) fn verify_mac(&self, scheme: &MacScheme, data: &[u8], code: &[u8]) -> Result<bool> {
        match self.source()? {
            KeySource::Local(key) => Ok(here(key.key()?.mac(scheme, data), During::Protect)?.begins_with(code)),
            KeySource::Dsm(key) => {
                let verified = key.engine().verify_mac(&key.key_ref(), scheme, data, code);
                verified.map_err(|error| Error::from_engine(&error, During::Protect))
            }
        }
    }

    /// Begins an authentication code in parts; `None` for a key that stays in DSM.
    pub(super) fn start_mac(&self, scheme: &MacScheme, verifying: bool) -> Result<Option<MacStream>> {
        let operation = if verifying { Operation::MacVerify } else { Operation::MacGenerate };
        self.with_key(operation, During::Protect, |key| here(key.start_mac(scheme), During::Protect))
    }

    /// What a signature holds, where its scheme does not hide it; `None` where the signature does not hold. Needs only the public key.
    pub(super) fn recover(&self, scheme: &SignatureScheme, signature: &[u8]) -> Result<Option<Vec<u8>>> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => {
                let usable = key.usable_public(Operation::Verify, |sobject| allows_signature(sobject, scheme))?;
                usable.ok_or(Error::KeyFunctionNotPermitted)?
            }
        };
        let recovered = match local.key()? {
            Key::RsaPublic(key) => key.recover(scheme, signature),
            Key::Rsa(key) => key.public().recover(scheme, signature),
            _ => return Err(Error::KeyTypeInconsistent),
        };
        match recovered {
            Err(Crypto::Authentication) => Ok(None),
            recovered => here(recovered, During::Protect).map(Some),
        }
    }

    /// Encrypts key material.
    pub(super) fn wrap(&self, params: &CipherParams<'_>, material: Buffers<'_>, tag: &mut [u8]) -> Result<usize> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => match key.usable_public(Operation::WrapKey, |sobject| allows_cipher(sobject, params))? {
                Some(public) => public,
                None => {
                    let wrapped = key.engine().wrap(&key.key_ref(), params, material, tag);
                    return wrapped.map_err(|error| Error::from_engine(&error, During::Wrapping));
                }
            },
        };
        here(local.key()?.encrypt(params, material, tag), During::Wrapping)
    }

    /// Decrypts key material.
    pub(super) fn unwrap(&self, params: &CipherParams<'_>, wrapped: Buffers<'_>, tag: &[u8]) -> Result<usize> {
        match self.source()? {
            KeySource::Local(key) => here(key.key()?.decrypt(params, wrapped, tag), During::Unwrapping),
            KeySource::Dsm(key) => {
                let unwrapped = key.engine().unwrap(&key.key_ref(), params, wrapped, tag);
                unwrapped.map_err(|error| Error::from_engine(&error, During::Unwrapping))
            }
        }
    }

    /// The secret that this private key and another's public key have in common.
    pub(super) fn agree(&self, peer: &Peer) -> Result<Zeroizing<Vec<u8>>> {
        match self.source()? {
            KeySource::Local(key) => match (key.prepared(), peer) {
                (Prepared::Key(Key::Ec(key)), Peer::Ec(peer)) => here(key.agree(peer), During::Deriving),
                (Prepared::X25519(key), Peer::X25519(peer)) => {
                    here(key.agree(peer).map(|secret| Zeroizing::new(secret.to_vec())), During::Deriving)
                }
                _ => Err(Error::KeyTypeInconsistent),
            },
            KeySource::Dsm(key) => {
                let agreed = key.engine().agree(&key.key_ref(), peer);
                agreed.map_err(|error| Error::from_engine(&error, During::Deriving))
            }
        }
    }

    /// HKDF from a secret key, both steps, into so many bytes.
    pub(super) fn hkdf(&self, hash: Hash, salt: &[u8], info: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>> {
        match self.source()? {
            KeySource::Local(key) => {
                let secret = key.secret_bytes().ok_or(Error::KeyTypeInconsistent)?;
                let mut derived = Zeroizing::new(vec![0; len]);
                kdf::hkdf(hash, secret, salt, info, &mut derived).map_err(|_| Error::KeySizeRange)?;
                Ok(derived)
            }
            KeySource::Dsm(key) => key.engine().hkdf(&key.key_ref(), hash, salt, info, len).map_err(|error| match error {
                Engine::Crypto(Crypto::TooLong) => Error::KeySizeRange,
                error => Error::from_engine(&error, During::Deriving),
            }),
        }
    }

    /// Runs `derive` on a secret key to derive from.
    pub(super) fn with_base_key(&self, derive: impl FnOnce(&Key) -> Result) -> Result {
        match self.source()? {
            KeySource::Local(key) => derive(key.key()?),
            KeySource::Dsm(key) => {
                let base = key.engine().derivable(&key.key_ref());
                let base = base.map_err(|error| Error::from_engine(&error, During::Deriving))?;
                derive(base.local().ok_or(Error::KeyFunctionNotPermitted)?)
            }
        }
    }

    /// The bytes of a secret key, to derive from.
    pub(super) fn secret(&self) -> Result<Zeroizing<Vec<u8>>> {
        if let KeySource::Local(key) = self.source()? {
            return key.secret_bytes().map(|bytes| Zeroizing::new(bytes.to_vec())).ok_or(Error::KeyTypeInconsistent);
        }
        let mut secret = Zeroizing::default();
        self.with_base_key(|key| {
            *secret = key.secret_bytes().ok_or(Error::KeyTypeInconsistent)?.to_vec();
            Ok(())
        })?;
        Ok(secret)
    }

    /// A fresh secret, and its encapsulation for the owner of the private key.
    pub(super) fn encapsulate(&self) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>)> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => key.usable_public(Operation::Encapsulate, |_| true)?.ok_or(Error::KeyTypeInconsistent)?,
        };
        match local.prepared() {
            Prepared::MlKemPublic(key) => here(key.encapsulate(), During::Wrapping),
            Prepared::MlKem(key) => here(key.public().encapsulate(), During::Wrapping),
            _ => Err(Error::KeyTypeInconsistent),
        }
    }

    /// The secret in an encapsulation.
    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match self.source()? {
            KeySource::Local(key) => match key.prepared() {
                Prepared::MlKem(key) => here(key.decapsulate(ciphertext).map(|secret| Zeroizing::new(secret.to_vec())), During::Unwrapping),
                _ => Err(Error::KeyTypeInconsistent),
            },
            KeySource::Dsm(key) => {
                let secret = key.engine().decapsulate(&key.key_ref(), ciphertext);
                secret.map_err(|error| Error::from_engine(&error, During::Unwrapping))
            }
        }
    }

    /// Runs `start` on the key, where it is or may be here; `None` for one that stays in DSM.
    fn with_key<T>(&self, operation: Operation, during: During, start: impl FnOnce(&Key) -> Result<T>) -> Result<Option<T>> {
        match self.source()? {
            KeySource::Local(key) => start(key.key()?).map(Some),
            KeySource::Dsm(key) => {
                let granted = key.engine().granted(&key.key_ref(), operation);
                let granted = granted.map_err(|error| Error::from_engine(&error, during))?;
                granted.local().map(start).transpose()
            }
        }
    }
}

const fn ciphering(decrypting: bool) -> During {
    if decrypting { During::Decrypt } else { During::Protect }
}

/// The answer of an operation in this process.
fn here<T>(answer: std::result::Result<T, Crypto>, during: During) -> Result<T> {
    answer.map_err(|error| Error::from_crypto(error, during))
}
