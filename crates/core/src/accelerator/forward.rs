//! What only DSM can do, said in DSM's language.
//!
//! A digest is made here and sent in place of the message: it is shorter, and the message stays at home.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use dsma_api::{
    Blob, CipherMode, CryptMode, DecryptRequest, EllipticCurve, EncryptRequest, HashAlgorithm, Mgf, Oaep, ObjectType, Pss,
    RsaEncryptionPadding, RsaSignaturePadding, SecretBlob, SignRequest, SignatureMode, Sobject, SobjectDescriptor, VerifyRequest,
};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Buffers, CipherParams, Curve, Encoding, Message, SignatureScheme};

use super::{Accelerator, Inner};
use crate::dsm::check_forwarded;
use crate::{CachedKey, Error};

const ENCRYPT: &str = "crypto/v1/encrypt";
const DECRYPT: &str = "crypto/v1/decrypt";
pub(super) const SIGN: &str = "crypto/v1/sign";
const ED25519_SIGNATURE: usize = 64;

impl Accelerator {
    pub(super) fn forward_encrypt(
        &self,
        key: &CachedKey,
        params: &CipherParams<'_>,
        mut io: Buffers<'_>,
        tag: &mut [u8],
    ) -> Result<usize, Error> {
        let cipher = Cipher::new(params)?;
        check_forwarded(io.input_len())?;
        let expected = key.encrypted_len(params, io.input_len());
        check_room(expected, io.output_len())?;
        let iv = cipher.iv.clone();
        let reply = self.counted().dsm.encrypt(&EncryptRequest {
            key: Some(SobjectDescriptor::Kid(key.kid())),
            alg: cipher.alg,
            plain: SecretBlob(io.copy_input()),
            mode: Some(cipher.mode),
            iv: cipher.iv,
            ad: cipher.ad,
            tag_len: (!tag.is_empty()).then_some(tag.len() * 8),
            label: cipher.label,
        })?;
        self.0.checked_use(ENCRYPT, key.kid(), reply.kid)?;
        if reply.iv.is_some_and(|used| Some(used.0) != iv.map(|iv| iv.0)) {
            return Err(self.0.dsm.bad_reply(ENCRYPT, "`iv` is another than was given"));
        }
        let got = reply.tag.unwrap_or_default().0;
        self.0.checked_len(ENCRYPT, "tag", got.len() == tag.len())?;
        let is_text = matches!(params, CipherParams::Tokens { .. });
        self.0.checked_len(ENCRYPT, "cipher", is_text || expected.is_none_or(|expected| reply.cipher.0.len() == expected))?;
        let written = io.write(&reply.cipher.0)?;
        tag.copy_from_slice(&got);
        Ok(written)
    }

    pub(super) fn forward_decrypt(
        &self,
        key: &CachedKey,
        params: &CipherParams<'_>,
        mut io: Buffers<'_>,
        tag: &[u8],
    ) -> Result<usize, Error> {
        let cipher = Cipher::new(params)?;
        check_forwarded(io.input_len())?;
        // Padding takes its length with it; the other modes give what they get.
        check_room(params.keeps_len().then_some(io.input_len()), io.output_len())?;
        let reply = self.counted().dsm.decrypt(&DecryptRequest {
            key: Some(SobjectDescriptor::Kid(key.kid())),
            alg: Some(cipher.alg),
            cipher: Blob(io.copy_input().to_vec()),
            mode: Some(cipher.mode),
            iv: cipher.iv,
            ad: cipher.ad,
            tag: (!tag.is_empty()).then(|| Blob::from(tag)),
            masked: matches!(params, CipherParams::Tokens { masked: true }).then_some(true),
            label: cipher.label,
        })?;
        self.0.checked_use(DECRYPT, key.kid(), reply.kid)?;
        let (cipher_len, plain_len) = (io.input_len(), reply.plain.as_ref().len());
        let fits = match (params, params.encrypted_len(plain_len)) {
            (CipherParams::Tokens { .. }, _) => true,
            (_, Some(len)) => len == cipher_len,
            (_, None) => plain_len <= cipher_len,
        };
        self.0.checked_len(DECRYPT, "plain", fits)?;
        Ok(io.write(reply.plain.as_ref())?)
    }

    pub(super) fn forward_sign(
        &self,
        key: &CachedKey,
        scheme: &SignatureScheme,
        message: Message<'_>,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let signature = Signature::new(scheme, message, key.sobject())?;
        // The longest, because the next ECDSA signature may come out longer than this one.
        check_room(key.signature_len(scheme), out.len())?;
        let reply = self.counted().dsm.sign(&SignRequest {
            key: Some(SobjectDescriptor::Kid(key.kid())),
            hash_alg: Some(signature.hash_alg),
            hash: signature.hash,
            data: signature.data,
            mode: signature.mode.map(SignatureMode::Rsa),
            deterministic_signature: None,
            context: None,
        })?;
        self.0.checked_use(SIGN, key.kid(), reply.kid)?;
        let bytes = match (scheme, curve_of(key.sobject())) {
            (SignatureScheme::Ecdsa { encoding, .. }, Ok(curve)) => {
                let fixed = curve.signature_to_fixed(&reply.signature.0);
                let fixed = fixed.map_err(|_| self.0.dsm.bad_reply(SIGN, "`signature` is no ECDSA signature on the key's curve"))?;
                if *encoding == Encoding::Fixed { fixed } else { reply.signature.0 }
            }
            (scheme, _) => {
                let len = if *scheme == SignatureScheme::EdDsa { Some(ED25519_SIGNATURE) } else { key.signature_len(scheme) };
                self.0.checked_len(SIGN, "signature", len.is_none_or(|len| reply.signature.0.len() == len))?;
                reply.signature.0
            }
        };
        let needed = bytes.len();
        out.get_mut(..needed).ok_or(dsma_crypto::Error::OutputTooSmall { needed })?.copy_from_slice(&bytes);
        Ok(needed)
    }

    pub(super) fn forward_verify(
        &self,
        key: &CachedKey,
        scheme: &SignatureScheme,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<bool, Error> {
        let parts = Signature::new(scheme, message, key.sobject())?;
        let signature = match parts.fixed {
            // What cannot be written in DER is no signature.
            Some(curve) => match curve.signature_to_der(signature) {
                Ok(der) => der,
                Err(_) => return Ok(false),
            },
            None => signature.to_vec(),
        };
        let reply = self.counted().dsm.verify(&VerifyRequest {
            key: Some(SobjectDescriptor::Kid(key.kid())),
            hash_alg: Some(parts.hash_alg),
            hash: parts.hash,
            data: parts.data,
            mode: parts.mode.map(SignatureMode::Rsa),
            signature: Blob(signature),
            context: None,
        })?;
        self.0.checked_use("crypto/v1/verify", key.kid(), reply.kid)?;
        Ok(reply.result)
    }

    pub(super) fn counted(&self) -> &Arc<Inner> {
        self.0.forwards.fetch_add(1, Relaxed);
        &self.0
    }
}

/// DSM is not asked for what the caller has no room for: a question about the length uses no key.
fn check_room(needed: Option<usize>, room: usize) -> Result<(), Error> {
    match needed {
        Some(needed) if room < needed => Err(dsma_crypto::Error::OutputTooSmall { needed }.into()),
        _ => Ok(()),
    }
}

/// [`CipherParams`] in DSM's words.
pub(super) struct Cipher {
    pub(super) alg: ObjectType,
    pub(super) mode: CryptMode,
    pub(super) iv: Option<Blob>,
    pub(super) ad: Option<Blob>,
    pub(super) label: Option<Blob>,
}

impl Cipher {
    pub(super) fn new(params: &CipherParams<'_>) -> Result<Self, Error> {
        let symmetric =
            |alg, mode, iv: Option<&[u8]>| Self { alg, mode: CryptMode::Symmetric(mode), iv: iv.map(Blob::from), ad: None, label: None };
        let aes = |mode, iv| symmetric(ObjectType::Aes, mode, iv);
        let with_aad = |mode, iv, aad: &[u8]| Self { ad: (!aad.is_empty()).then(|| Blob::from(aad)), ..aes(mode, Some(iv)) };
        let rsa = |padding, label: &[u8]| Self {
            alg: ObjectType::Rsa,
            mode: CryptMode::Rsa(padding),
            iv: None,
            ad: None,
            label: (!label.is_empty()).then(|| Blob::from(label)),
        };
        Ok(match params {
            CipherParams::AesGcm { iv, aad } => with_aad(CipherMode::Gcm, iv, aad),
            CipherParams::AesCcm { iv, aad } => with_aad(CipherMode::Ccm, iv, aad),
            CipherParams::AesCbc { iv, padding: true } => aes(CipherMode::Cbc, Some(iv)),
            CipherParams::AesCbc { iv, padding: false } => aes(CipherMode::CbcNoPad, Some(iv)),
            CipherParams::AesEcb => aes(CipherMode::Ecb, None),
            CipherParams::AesCtr { iv } => aes(CipherMode::Ctr, Some(iv)),
            CipherParams::AesCfb { iv } => aes(CipherMode::Cfb, Some(iv)),
            CipherParams::AesOfb { iv } => aes(CipherMode::Ofb, Some(iv)),
            CipherParams::AesKw => aes(CipherMode::Kw, None),
            CipherParams::AesKwp => aes(CipherMode::Kwp, None),
            CipherParams::Tokens { .. } => aes(CipherMode::Ff1, None),
            CipherParams::Des3Ecb => symmetric(ObjectType::Des3, CipherMode::Ecb, None),
            CipherParams::Des3Cbc { iv, padding: true } => symmetric(ObjectType::Des3, CipherMode::Cbc, Some(iv)),
            CipherParams::Des3Cbc { iv, padding: false } => symmetric(ObjectType::Des3, CipherMode::CbcNoPad, Some(iv)),
            CipherParams::RsaPkcs1 => rsa(RsaEncryptionPadding::Pkcs1V15 {}, &[]),
            CipherParams::RsaRaw => rsa(RsaEncryptionPadding::RawDecrypt {}, &[]),
            CipherParams::RsaOaep { hash, mgf1, label } if hash == mgf1 => {
                rsa(RsaEncryptionPadding::Oaep(Oaep { mgf: Mgf::mgf1(wire_hash(*hash)) }), label)
            }
            CipherParams::ChaCha20Poly1305 { .. } => return Err(Error::Unsupported { what: "ChaCha20-Poly1305 in DSM" }),
            CipherParams::AesCfb8 { .. } | CipherParams::AesCfb1 { .. } => {
                return Err(Error::Unsupported { what: "CFB with segments of 8 bits or one, on a key that stays in DSM" });
            }
            CipherParams::RsaOaep { .. } => {
                return Err(Error::Unsupported { what: "OAEP with two different hashes on a key that stays in DSM" });
            }
        })
    }
}

/// [`SignatureScheme`] and [`Message`] in DSM's words.
struct Signature {
    hash_alg: HashAlgorithm,
    hash: Option<Blob>,
    /// The message itself, for the schemes that hash it in their own way.
    data: Option<Blob>,
    mode: Option<RsaSignaturePadding>,
    /// The caller wants `r || s` on this curve.
    fixed: Option<Curve>,
}

impl Signature {
    fn new(scheme: &SignatureScheme, message: Message<'_>, sobject: &Sobject) -> Result<Self, Error> {
        let digest = |hash: Hash| match message {
            Message::Data(data) => hash.digest(data).as_ref().to_vec(),
            Message::Digest(digest) => digest.to_vec(),
        };
        let (hash, digest, mode) = match scheme {
            SignatureScheme::RsaPkcs1 { hash } => (*hash, digest(*hash), Some(RsaSignaturePadding::Pkcs1V15 {})),
            // DSM names the hash that Ed25519 has inside.
            SignatureScheme::EdDsa => {
                let Message::Data(data) = message else {
                    return Err(Error::Unsupported { what: "EdDSA over a ready digest" });
                };
                check_forwarded(data.len())?;
                return Ok(Self { hash_alg: HashAlgorithm::Sha512, hash: None, data: Some(Blob::from(data)), mode: None, fixed: None });
            }
            SignatureScheme::RsaRaw => {
                return Err(Error::Unsupported { what: "an RSA signature without padding, on a key that stays in DSM" });
            }
            SignatureScheme::RsaPkcs1Raw => {
                let (Message::Data(info) | Message::Digest(info)) = message;
                let (hash, digest) = open_digest_info(info)?;
                (hash, digest.to_vec(), Some(RsaSignaturePadding::Pkcs1V15 {}))
            }
            SignatureScheme::RsaPss { hash, mgf1, salt_len } if hash == mgf1 && *salt_len == hash.len() => {
                (*hash, digest(*hash), Some(RsaSignaturePadding::Pss(Pss { mgf: Mgf::mgf1(wire_hash(*hash)) })))
            }
            SignatureScheme::RsaPss { .. } => {
                return Err(Error::Unsupported {
                    what: "PSS with a salt or mask hash that differs from the hash, on a key that stays in DSM",
                });
            }
            SignatureScheme::Ecdsa { hash: Some(hash), .. } => (*hash, digest(*hash), None),
            SignatureScheme::Ecdsa { hash: None, .. } => {
                let (Message::Data(digest) | Message::Digest(digest)) = message;
                let hash = HASHES.into_iter().find(|hash| hash.len() == digest.len());
                let what = "ECDSA over a digest that is of no SHA-1 or SHA-2 length, on a key that stays in DSM";
                (hash.ok_or(Error::Unsupported { what })?, digest.to_vec(), None)
            }
        };
        let fixed = match scheme {
            SignatureScheme::Ecdsa { encoding: Encoding::Fixed, .. } => Some(curve_of(sobject)?),
            _ => None,
        };
        Ok(Self { hash_alg: wire_hash(hash), hash: Some(Blob(digest)), data: None, mode, fixed })
    }
}

const HASHES: [Hash; 5] = [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512];

pub(super) const fn wire_hash(hash: Hash) -> HashAlgorithm {
    match hash {
        Hash::Sha1 => HashAlgorithm::Sha1,
        Hash::Sha224 => HashAlgorithm::Sha224,
        Hash::Sha256 => HashAlgorithm::Sha256,
        Hash::Sha384 => HashAlgorithm::Sha384,
        Hash::Sha512 => HashAlgorithm::Sha512,
        Hash::Sha3_224 => HashAlgorithm::Sha3_224,
        Hash::Sha3_256 => HashAlgorithm::Sha3_256,
        Hash::Sha3_384 => HashAlgorithm::Sha3_384,
        Hash::Sha3_512 => HashAlgorithm::Sha3_512,
        Hash::Blake2b256 => HashAlgorithm::Blake2b256,
        Hash::Blake2b384 => HashAlgorithm::Blake2b384,
        Hash::Blake2b512 => HashAlgorithm::Blake2b512,
        Hash::Blake2s256 => HashAlgorithm::Blake2s256,
        Hash::Ripemd160 => HashAlgorithm::Ripemd160,
        Hash::Md5Sha1 => HashAlgorithm::Ssl3,
        Hash::Streebog256 => HashAlgorithm::Streebog256,
        Hash::Streebog512 => HashAlgorithm::Streebog512,
    }
}

pub(super) fn curve_of(sobject: &Sobject) -> Result<Curve, Error> {
    match sobject.elliptic_curve {
        Some(EllipticCurve::NistP256) => Ok(Curve::P256),
        Some(EllipticCurve::NistP384) => Ok(Curve::P384),
        Some(EllipticCurve::NistP521) => Ok(Curve::P521),
        Some(EllipticCurve::SecP256K1) => Ok(Curve::K256),
        _ => Err(Error::Unsupported { what: "ECDSA with this key's curve" }),
    }
}

/// Takes a DigestInfo of RFC 8017 section 9.2 note 1 apart: DSM wants the digest, not the encoding.
fn open_digest_info(info: &[u8]) -> Result<(Hash, &[u8]), Error> {
    /// `SEQUENCE { SEQUENCE { OID, NULL }, OCTET STRING }` up to the digest, with the two lengths that vary and the OID's tail.
    const SHA1: &[u8] = &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
    let sha2 = |hash: Hash, arc: u8| {
        let len = hash.len() as u8;
        [0x30, 0x11 + len, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00, 0x04, len]
    };
    let matches =
        |hash: Hash, prefix: &[u8]| info.strip_prefix(prefix).filter(|digest| digest.len() == hash.len()).map(|digest| (hash, digest));
    matches(Hash::Sha1, SHA1)
        .or_else(|| {
            [(Hash::Sha256, 1), (Hash::Sha384, 2), (Hash::Sha512, 3), (Hash::Sha224, 4)]
                .into_iter()
                .find_map(|(hash, arc)| matches(hash, &sha2(hash, arc)))
        })
        .ok_or(Error::Unsupported {
            what: "a raw PKCS #1 signature over anything but a DigestInfo of SHA-1 or SHA-2, on a key that stays in DSM",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The prefixes as printed in RFC 8017, section 9.2, note 1.
    #[test]
    fn digest_infos_of_the_rfc() {
        let table = [
            (Hash::Sha1, "3021300906052b0e03021a05000414"),
            (Hash::Sha224, "302d300d06096086480165030402040500041c"),
            (Hash::Sha256, "3031300d060960864801650304020105000420"),
            (Hash::Sha384, "3041300d060960864801650304020205000430"),
            (Hash::Sha512, "3051300d060960864801650304020305000440"),
        ];
        for (hash, prefix) in table {
            let mut info: Vec<u8> = (0..prefix.len()).step_by(2).map(|at| u8::from_str_radix(&prefix[at..at + 2], 16).unwrap()).collect();
            info.extend(vec![7; hash.len()]);
            assert_eq!(open_digest_info(&info).unwrap(), (hash, &vec![7; hash.len()][..]));
            assert!(open_digest_info(&info[1..]).is_err());
            info.push(0);
            assert!(open_digest_info(&info).is_err());
        }
    }
}
