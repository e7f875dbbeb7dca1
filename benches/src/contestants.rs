//! The columns: ways to do the same operation.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, rsa};
use dsma_crypto::digest::Hash;
use dsma_crypto::{AesKey, Buffers, CipherParams, Curve, EcPrivateKey, Encoding, Key, Message, RsaPrivateKey, SignatureScheme};

use crate::ffi::{Client, Kind, Module, Session};
use crate::keys::Keys;
use crate::operation::{DIGEST, Ivs, MESSAGE, Operation, PLAIN};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// aws-lc through dsma-crypto's own call, in this process: what the ratios refer to.
    Raw,
    /// aws-lc through aws-lc-rs, as a check on the first.
    AwsLcRs,
    /// Our C API.
    CApi,
    /// Our PKCS#11 module.
    Pkcs11,
    /// SoftHSM2 through PKCS#11.
    SoftHsm2,
}

impl Column {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "aws-lc (dsma-crypto)",
            Self::AwsLcRs => "aws-lc (aws-lc-rs)",
            Self::CApi => "C API",
            Self::Pkcs11 => "PKCS#11",
            Self::SoftHsm2 => "SoftHSM2",
        }
    }
}

/// One thread's share: does the operation once.
pub(crate) type Worker = Box<dyn FnMut() -> Result<(), String> + Send>;

/// A column with its keys ready.
pub(crate) struct Contestant {
    pub(crate) column: Column,
    /// Makes a worker for a thread; `None` where the column has no such operation.
    pub(crate) worker: Box<dyn Fn(Operation) -> Option<Result<Worker, String>>>,
}

/// dsma-crypto's prepared keys.
pub(crate) fn raw() -> Result<Contestant, String> {
    let failed = |error: dsma_crypto::Error| error.to_string();
    let rsa = Arc::new(Key::Rsa(RsaPrivateKey::generate(2048, 65537).map_err(failed)?));
    let ec = Arc::new(Key::Ec(EcPrivateKey::generate(Curve::P256).map_err(failed)?));
    let aes = Arc::new(Key::Aes(AesKey::from_bytes(&[7; 32]).map_err(failed)?));
    let sign = move |key: &Arc<Key>, scheme: SignatureScheme, message: Message<'static>| -> Worker {
        let (key, mut signature) = (key.clone(), [0; 256]);
        Box::new(move || key.sign(&scheme, message, &mut signature).map(drop).map_err(failed))
    };
    let worker = move |operation| {
        let worker = match operation {
            Operation::RsaSign => sign(&rsa, SignatureScheme::RsaPkcs1 { hash: Hash::Sha256 }, Message::Data(&MESSAGE)),
            Operation::EcdsaSign => {
                let scheme = SignatureScheme::Ecdsa { hash: None, encoding: Encoding::Fixed };
                sign(&ec, scheme, Message::Digest(&DIGEST))
            }
            Operation::GcmEncrypt => {
                let (key, mut ivs, mut out, mut tag) = (aes.clone(), Ivs::new(), [0; PLAIN.len()], [0; 16]);
                let encrypt: Worker = Box::new(move || {
                    let params = CipherParams::AesGcm { iv: &ivs.next(), aad: &[] };
                    key.encrypt(&params, Buffers::new(&PLAIN, &mut out), &mut tag).map(drop).map_err(failed)
                });
                encrypt
            }
            Operation::Forwarded => return None,
        };
        Some(Ok(worker))
    };
    Ok(Contestant { column: Column::Raw, worker: Box::new(worker) })
}

/// aws-lc-rs with its own parsed keys. It encrypts in place, so each round copies the text first, as the others do within the call.
pub(crate) fn aws_lc_rs() -> Result<Contestant, String> {
    let failed = |_: aws_lc_rs::error::Unspecified| "aws-lc-rs failed".to_owned();
    let rsa = Arc::new(RsaKeyPair::generate(rsa::KeySize::Rsa2048).map_err(failed)?);
    let ec = Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?);
    let aes = Arc::new(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(failed)?));
    let worker = move |operation| -> Option<Result<Worker, String>> {
        Some(Ok(match operation {
            Operation::RsaSign => {
                let (key, random, mut signature) = (rsa.clone(), SystemRandom::new(), [0; 256]);
                Box::new(move || key.sign(&RSA_PKCS1_SHA256, &random, &MESSAGE, &mut signature).map_err(failed))
            }
            Operation::EcdsaSign => {
                let (key, digest) = (ec.clone(), digest::digest(&digest::SHA256, &DIGEST));
                Box::new(move || key.sign_digest(&digest).map(drop).map_err(failed))
            }
            Operation::GcmEncrypt => {
                let (key, mut ivs, mut out) = (aes.clone(), Ivs::new(), [0; PLAIN.len()]);
                Box::new(move || {
                    out.copy_from_slice(&PLAIN);
                    let nonce = Nonce::assume_unique_for_key(ivs.next());
                    key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut out).map(drop).map_err(failed)
                })
            }
            Operation::Forwarded => return None,
        }))
    };
    Ok(Contestant { column: Column::AwsLcRs, worker: Box::new(worker) })
}

/// Our library through its C API.
pub(crate) fn c_api(library: &Path, config: &Path, keys: &Keys) -> Result<Contestant, String> {
    let client = Arc::new(Client::open(library, config)?);
    let kid = |operation| keys.kid(operation).ok_or_else(|| "no such key".to_owned());
    let mut opened = Vec::new();
    for operation in Operation::ALL {
        opened.push((operation, Arc::new(client.key(kid(operation)?)?)));
    }
    let worker = move |operation| -> Option<Result<Worker, String>> {
        let (_, key) = opened.iter().find(|(known, _)| *known == operation)?;
        let key = key.clone();
        Some(Ok(match operation {
            Operation::RsaSign => {
                let mut signature = [0; 256];
                Box::new(move || key.sign_rsa_pkcs1_sha256(&MESSAGE, &mut signature))
            }
            Operation::EcdsaSign => {
                let mut signature = [0; 64];
                Box::new(move || key.sign_ecdsa_digest(&DIGEST, &mut signature))
            }
            Operation::GcmEncrypt | Operation::Forwarded => {
                let (mut ivs, mut out, mut tag) = (Ivs::new(), [0; PLAIN.len()], [0; 16]);
                Box::new(move || key.encrypt_gcm(&ivs.next(), &PLAIN, &mut out, &mut tag))
            }
        }))
    };
    Ok(Contestant { column: Column::CApi, worker: Box::new(worker) })
}

/// Our library through PKCS#11, the config's path in `pReserved`.
pub(crate) fn pkcs11(library: &Path, config: &Path) -> Result<Contestant, String> {
    let module = Module::load(library, Some(config))?;
    let session = module.session()?;
    session.login(None)?;
    Ok(through_pkcs11(Column::Pkcs11, module, session))
}

/// A SoftHSM2 token in a directory of its own.
pub(crate) struct SoftHsm {
    /// Removed when the column goes.
    _dir: tempfile::TempDir,
}

const PIN: &str = "123456";

impl SoftHsm {
    /// Makes the directory and the configuration, and names it in the environment. To be called while there is one thread.
    pub(crate) fn prepare() -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("dsma-bench.").tempdir().map_err(|error| error.to_string())?;
        let config = dir.path().join("softhsm2.conf");
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", dir.path().display());
        std::fs::write(&config, text).map_err(|error| error.to_string())?;
        crate::ffi::set_environment("SOFTHSM2_CONF", &config);
        Ok(Self { _dir: dir })
    }

    /// Loads the module, initialises the token and makes the keys.
    pub(crate) fn open(self, module: &Path) -> Result<Contestant, String> {
        if !module.exists() {
            return Err(format!("{} is missing: `apt-get install softhsm2`, or name it with --softhsm", module.display()));
        }
        let module = Module::load(module, None)?;
        module.init_token("bench", PIN)?;
        let session = module.session()?;
        session.login(Some(PIN))?;
        session.generate_rsa_2048(Operation::RsaSign.key())?;
        session.generate_p256(Operation::EcdsaSign.key())?;
        session.generate_aes_256(Operation::GcmEncrypt.key())?;
        let contestant = through_pkcs11(Column::SoftHsm2, module, session);
        let worker = move |operation| {
            // The token's files must outlive the workers.
            let _held = &self;
            (contestant.worker)(operation)
        };
        Ok(Contestant { column: Column::SoftHsm2, worker: Box::new(worker) })
    }
}

/// Any PKCS#11 module that is logged in: a session a worker, the key found by its label. `login` is the session that logged in: were
/// it the last one and closed, the token would log out.
fn through_pkcs11(column: Column, module: Arc<Module>, login: Session) -> Contestant {
    let start = move |operation: Operation| -> Result<Worker, String> {
        let _held = &login;
        let session = module.session()?;
        let kind = if operation == Operation::GcmEncrypt { Kind::Secret } else { Kind::Private };
        let key = session.find(kind, operation.key())?;
        Ok(match operation {
            Operation::RsaSign => {
                let mut signature = [0; 256];
                Box::new(move || session.sign_rsa_pkcs1_sha256(key, &MESSAGE, &mut signature))
            }
            Operation::EcdsaSign => {
                let mut signature = [0; 64];
                Box::new(move || session.sign_ecdsa_digest(key, &DIGEST, &mut signature))
            }
            Operation::GcmEncrypt | Operation::Forwarded => {
                let (mut ivs, mut out) = (Ivs::new(), [0; PLAIN.len() + 16]);
                Box::new(move || session.encrypt_gcm(key, &mut ivs.next(), &PLAIN, &mut out))
            }
        })
    };
    let worker = move |operation| (operation != Operation::Forwarded).then(|| start(operation));
    Contestant { column, worker: Box::new(worker) }
}
