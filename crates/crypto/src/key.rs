//! A prepared key of any kind, and the operations that every front speaks of.

use crate::{
    AesKey, Buffers, ChaCha20Key, CipherParams, CipherStream, Des3Key, EcPrivateKey, EcPublicKey, Ed25519PrivateKey, Ed25519PublicKey,
    Error, HmacKey, Mac, MacScheme, MacStream, Message, MlDsaPrivateKey, MlKemPrivateKey, RsaPrivateKey, RsaPublicKey, SignatureScheme,
    X25519PrivateKey,
};

/// A parsed key, ready for use by many threads at once. It shows nothing of its content; the memory is overwritten when it is dropped.
pub enum Key {
    /// A secret AES key.
    Aes(AesKey),
    /// A secret key for ChaCha20-Poly1305.
    ChaCha20(ChaCha20Key),
    /// A secret triple DES key.
    Des3(Des3Key),
    /// A secret HMAC key.
    Hmac(HmacKey),
    /// An RSA private key.
    Rsa(RsaPrivateKey),
    /// An RSA public key.
    RsaPublic(RsaPublicKey),
    /// A private key on an elliptic curve.
    Ec(EcPrivateKey),
    /// A public key on an elliptic curve.
    EcPublic(EcPublicKey),
    /// An Ed25519 private key.
    Ed25519(Ed25519PrivateKey),
    /// An Ed25519 public key.
    Ed25519Public(Ed25519PublicKey),
    /// An X25519 private key. It agrees on secrets, by its own functions.
    X25519(X25519PrivateKey),
    /// An ML-DSA private key. It signs, with a context, by its own functions.
    MlDsa(MlDsaPrivateKey),
    /// An ML-KEM private key. It decapsulates, by its own functions.
    MlKem(MlKemPrivateKey),
}

impl Key {
    /// Encrypts the whole input and returns the bytes written to the output. `tag` is filled in GCM, CCM and ChaCha20-Poly1305 (its length
    /// is the tag's, 4 to 16 bytes; 16 in the last) and must be empty elsewhere; it must not overlap the data. With a private RSA key, its public half is used.
    pub fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Aes(key) => key.encrypt(params, data, tag),
            Self::ChaCha20(key) => key.encrypt(params, data, tag),
            Self::Des3(key) => key.encrypt(params, data, tag),
            Self::Rsa(key) => key.encrypt(params, data, tag),
            Self::RsaPublic(key) => key.encrypt(params, data, tag),
            _ => Err(Error::Unsupported),
        }
    }

    /// Decrypts the whole input and returns the bytes written. A wrong tag or padding is [`Error::Authentication`], and what was written
    /// of the output is zeroed then.
    pub fn decrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        match self {
            Self::Aes(key) => key.decrypt(params, data, tag),
            Self::ChaCha20(key) => key.decrypt(params, data, tag),
            Self::Des3(key) => key.decrypt(params, data, tag),
            Self::Rsa(key) => key.decrypt(params, data, tag),
            _ => Err(Error::Unsupported),
        }
    }

    /// Signs, and returns the signature's length. `out` of [`Key::signature_len`] bytes is always enough.
    pub fn sign(&self, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Rsa(key) => key.sign(scheme, message, out),
            Self::Ec(key) => key.sign(scheme, message, out),
            Self::Ed25519(key) => key.sign(scheme, message, out),
            _ => Err(Error::Unsupported),
        }
    }

    /// Whether the signature holds. Private keys verify with their public half. A signature of wrong length or form is `Ok(false)`; an
    /// error means that the question itself was wrong (a digest of the wrong length, a scheme for another kind of key).
    pub fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        match self {
            Self::Rsa(key) => key.verify(scheme, message, signature),
            Self::RsaPublic(key) => key.verify(scheme, message, signature),
            Self::Ec(key) => key.verify(scheme, message, signature),
            Self::EcPublic(key) => key.verify(scheme, message, signature),
            Self::Ed25519(key) => key.public().verify(scheme, message, signature),
            Self::Ed25519Public(key) => key.verify(scheme, message, signature),
            _ => Err(Error::Unsupported),
        }
    }

    /// Bytes that [`Key::encrypt`] writes for so much input, the tag not counted. Meaningless where the key cannot encrypt so (0).
    pub fn encrypted_len(&self, params: &CipherParams<'_>, input_len: usize) -> usize {
        match self {
            Self::Aes(_) | Self::ChaCha20(_) | Self::Des3(_) => params.encrypted_len(input_len).unwrap_or(0),
            Self::Rsa(key) => key.modulus_len(),
            Self::RsaPublic(key) => key.modulus_len(),
            _ => 0,
        }
    }

    /// The longest signature that this key makes under this scheme (0 where it makes none). Only DER-encoded ones come out shorter.
    pub fn signature_len(&self, scheme: &SignatureScheme) -> usize {
        match (self, scheme) {
            (Self::Rsa(key), _) => key.modulus_len(),
            (Self::RsaPublic(key), _) => key.modulus_len(),
            (Self::Ec(key), SignatureScheme::Ecdsa { encoding, .. }) => key.curve().signature_len(*encoding),
            (Self::EcPublic(key), SignatureScheme::Ecdsa { encoding, .. }) => key.curve().signature_len(*encoding),
            (Self::Ed25519(_) | Self::Ed25519Public(_), SignatureScheme::EdDsa) => crate::ed25519::SIGNATURE_LEN,
            _ => 0,
        }
    }

    /// Begins an encryption in parts: AES and triple DES, in every mode but CCM and key wrap, which must know the length at once.
    pub fn start_encrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        match self {
            Self::Aes(key) => key.start_encrypt(params),
            Self::Des3(key) => key.start_encrypt(params),
            _ => Err(Error::Unsupported),
        }
    }

    /// Begins a decryption in parts, in the same modes as [`Key::start_encrypt`]. In GCM the parts come out before the tag has been
    /// checked: a caller that must not act on unauthenticated text holds them back until [`CipherStream::finish_decrypt`] says yes.
    pub fn start_decrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        match self {
            Self::Aes(key) => key.start_decrypt(params),
            Self::Des3(key) => key.start_decrypt(params),
            _ => Err(Error::Unsupported),
        }
    }

    /// The authentication code of a message: [`MacScheme::Hmac`] with an HMAC key, [`MacScheme::Cmac`] with a block cipher's.
    pub fn mac(&self, scheme: &MacScheme, data: &[u8]) -> Result<Mac, Error> {
        let mut stream = self.start_mac(scheme)?;
        stream.update(data)?;
        stream.finish()
    }

    /// Whether a code of full length is the message's, in constant time.
    pub fn verify_mac(&self, scheme: &MacScheme, data: &[u8], mac: &[u8]) -> Result<bool, Error> {
        Ok(self.mac(scheme, data)?.matches(mac))
    }

    /// Begins an authentication code in parts.
    pub fn start_mac(&self, scheme: &MacScheme) -> Result<MacStream, Error> {
        match self {
            Self::Aes(key) => key.start_mac(scheme),
            Self::Des3(key) => key.start_mac(scheme),
            Self::Hmac(key) => key.start_mac(scheme),
            _ => Err(Error::Unsupported),
        }
    }

    /// The bytes of an AES, triple DES or HMAC key, for a derivation from them.
    #[must_use]
    pub fn secret_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Aes(key) => Some(key.bytes()),
            Self::Des3(key) => Some(key.bytes()),
            Self::Hmac(key) => Some(key.bytes()),
            _ => None,
        }
    }

    /// The public half, for a private key or a public one; `None` for a secret key, and for the kinds whose public keys are types of their
    /// own.
    pub fn public(&self) -> Option<Self> {
        match self {
            Self::Aes(_) | Self::ChaCha20(_) | Self::Des3(_) | Self::Hmac(_) => None,
            Self::X25519(_) | Self::MlDsa(_) | Self::MlKem(_) => None,
            Self::Rsa(key) => Some(Self::RsaPublic(key.public())),
            Self::RsaPublic(key) => Some(Self::RsaPublic(key.clone())),
            Self::Ec(key) => Some(Self::EcPublic(key.public())),
            Self::EcPublic(key) => Some(Self::EcPublic(key.clone())),
            Self::Ed25519(key) => Some(Self::Ed25519Public(key.public())),
            Self::Ed25519Public(key) => Some(Self::Ed25519Public(*key)),
        }
    }

    /// An estimate of the memory that the prepared key holds, in bytes, for the cache's bound.
    pub fn memory_size(&self) -> usize {
        size_of::<Self>()
            + match self {
                // The AEAD context on the heap.
                Self::Aes(_) | Self::ChaCha20(_) => 640,
                Self::Des3(_) => 0,
                Self::Hmac(key) => key.len(),
                // Five to eight numbers of up to the modulus' length, their Montgomery forms and some blinding factors.
                Self::Rsa(key) => 2048 + 16 * key.modulus_len(),
                Self::RsaPublic(key) => 1024 + 4 * key.modulus_len(),
                Self::Ec(_) | Self::EcPublic(_) => 1024,
                Self::Ed25519(_) | Self::Ed25519Public(_) | Self::X25519(_) => 0,
                // Expanded, with the public half beside it.
                Self::MlDsa(_) | Self::MlKem(_) => 16 << 10,
            }
    }
}
