//! An object that a sobject of DSM shows.

use std::sync::{Arc, Mutex, OnceLock};

use cryptoki_sys::*;
use dsma_api::{ApiError, EllipticCurve, KeyFacts, ObjectType, Operation, Permissions, Sobject, SobjectState, Time, authorize};
use dsma_core::{Accelerator, KeyRef, Moment};
use dsma_crypto::{Curve, Message};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::certificate::Facts;
use super::generated::{self, Generated, Made, Signature};
use super::key::LocalKey;
use super::metadata::{self, Extra};
use super::table;
use super::template::Attributes;
use super::{KeyKind, lattice};
use crate::pkcs11::conformance::is_state;
use crate::pkcs11::error::During;
use crate::pkcs11::sync::lock;
use crate::pkcs11::{Error, Result};

/// An RSA-8192 signature; ECDSA's and EdDSA's are shorter.
const LONGEST_SIGNATURE: usize = 1024;

/// Which object of a sobject: one of a secret key, a certificate or data, two or three of a key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pkcs11) enum Part {
    /// All of a secret key.
    Secret,
    /// The private key of a pair.
    Private,
    /// The public key of a pair.
    Public,
    /// All of a certificate.
    Certificate,
    /// The certificate that this library makes for a private key without one.
    Generated,
    /// All of an opaque object, or of a secret that is no key.
    Data,
}

impl Part {
    /// Every part that a sobject may have.
    pub(in crate::pkcs11) const ALL: [Self; 6] =
        [Self::Secret, Self::Private, Self::Public, Self::Certificate, Self::Generated, Self::Data];

    /// CKA_PRIVATE where nothing else was said.
    pub(super) const fn is_private(self) -> bool {
        matches!(self, Self::Secret | Self::Private | Self::Generated)
    }

    /// CKA_CLASS.
    pub(super) const fn class(self) -> CK_OBJECT_CLASS {
        match self {
            Self::Secret => CKO_SECRET_KEY,
            Self::Private => CKO_PRIVATE_KEY,
            Self::Public => CKO_PUBLIC_KEY,
            Self::Certificate | Self::Generated => CKO_CERTIFICATE,
            Self::Data => CKO_DATA,
        }
    }
}

/// One object of a sobject.
pub(in crate::pkcs11) struct DsmObject {
    pub(in crate::pkcs11) part: Part,
    /// The kind of key; `None` for what is no key.
    pub(in crate::pkcs11) kind: Option<KeyKind>,
    pub(in crate::pkcs11) kid: Uuid,
    pub(in crate::pkcs11) sobject: Arc<Sobject>,
    /// When DSM told that.
    told_at: Moment,
    /// What it told later, and when: asked where the public half is used, see [`DsmObject::usable_public`].
    told_later: Mutex<Option<(Moment, Arc<Sobject>)>>,
    id: Box<[u8]>,
    extra: Option<Box<Extra>>,
    /// Parsed when first asked for: a token may hold thousands of keys of which one is used.
    public: OnceLock<Option<Box<LocalKey>>>,
    facts: OnceLock<Option<Box<Facts>>>,
    /// The value that an application may read, where it was asked for.
    value: OnceLock<Box<Readable>>,
    /// Of a certificate that is made here.
    generated: Option<Generated>,
    engine: Accelerator,
}

/// A value that was fetched to be read.
pub(in crate::pkcs11) enum Readable {
    /// Of a key.
    Key(LocalKey),
    /// Of data.
    Data(Zeroizing<Vec<u8>>),
}

impl DsmObject {
    /// The objects that a sobject shows, as DSM told at that moment: none for what this library has no use for, and for what has no
    /// material any more.
    pub(in crate::pkcs11) fn of<'s>(
        sobject: &'s Arc<Sobject>,
        told_at: Moment,
        engine: &'s Accelerator,
    ) -> impl Iterator<Item = Self> + use<'s> {
        let gone = matches!(sobject.state, SobjectState::Destroyed | SobjectState::Deleted);
        parts_of(sobject).iter().filter(move |_| !gone).filter_map(move |part| {
            let extra = Extra::read(sobject, *part);
            if extra.as_ref().is_some_and(|extra| extra.unreadable || (extra.hidden && *part == Part::Public)) {
                return None;
            }
            let kid = sobject.kid?;
            let own_id = extra.as_ref().and_then(|extra| extra.attributes.get(CKA_ID)).filter(|id| !id.is_empty()).map(Box::from);
            Some(Self {
                part: *part,
                kind: kind_of(sobject, extra.as_ref()),
                kid,
                sobject: Arc::clone(sobject),
                told_at,
                told_later: Mutex::default(),
                id: own_id.or_else(|| metadata::id(sobject)).unwrap_or_else(|| kid.as_bytes()[..].into()),
                extra: extra.map(Box::new),
                public: OnceLock::new(),
                facts: OnceLock::new(),
                value: OnceLock::new(),
                generated: None,
                engine: engine.clone(),
            })
        })
    }

    /// The certificate that is shown with this private key where the token has no other; `None` for a key that may not sign one.
    pub(in crate::pkcs11) fn certificate(&self, made: Made) -> Option<Self> {
        let way = Signature::of(&self.sobject, self.kind.filter(|_| self.part == Part::Private)?, self.extra())?;
        let mut extra = Extra::default();
        extra.attributes.set(CKA_LABEL, self.label().as_bytes());
        Some(Self {
            part: Part::Generated,
            kind: None,
            kid: self.kid,
            sobject: Arc::clone(&self.sobject),
            told_at: self.told_at,
            told_later: Mutex::default(),
            id: self.id.clone(),
            extra: Some(Box::new(extra)),
            public: OnceLock::new(),
            facts: OnceLock::new(),
            value: OnceLock::new(),
            generated: Some(Generated { way, made }),
            engine: self.engine.clone(),
        })
    }

    /// The same object as DSM has it now: a change begins here, so that it undoes nothing that others have changed meanwhile.
    ///
    /// # Errors
    /// What DSM says; [`Error::ObjectHandleInvalid`] where the sobject shows it no more.
    pub(super) fn renewed(&self) -> Result<Self> {
        let sobject = self.engine.sobject(self.kid).map_err(|error| Error::from_engine(&error, During::Changing))?;
        Self::of(&sobject, Moment::now(), &self.engine).find(|object| object.part == self.part).ok_or(Error::ObjectHandleInvalid)
    }

    /// CKA_CLASS.
    pub(in crate::pkcs11) const fn class(&self) -> CK_OBJECT_CLASS {
        self.part.class()
    }

    /// Whether it is seen only by a user who is logged in.
    pub(in crate::pkcs11) fn is_private(&self) -> bool {
        self.extra().and_then(|extra| extra.flag(CKA_PRIVATE)).unwrap_or_else(|| match self.part {
            // DSM shows a secret's value to nobody who may not export it.
            Part::Data => self.sobject.obj_type == ObjectType::Secret,
            part => part.is_private(),
        })
    }

    /// CKA_LABEL.
    pub(in crate::pkcs11) fn label(&self) -> &str {
        let own = self.extra().and_then(|extra| extra.get(CKA_LABEL)).and_then(|label| std::str::from_utf8(label).ok());
        own.or_else(|| metadata::label(&self.sobject)).or(self.sobject.name.as_deref()).unwrap_or_default()
    }

    /// CKA_ID.
    pub(in crate::pkcs11) fn id(&self) -> &[u8] {
        &self.id
    }

    /// Attributes that its metadata sets.
    pub(in crate::pkcs11) fn extra(&self) -> Option<&Attributes> {
        self.extra.as_deref().map(|extra| &extra.attributes)
    }

    /// What the object's description takes in bytes, roughly; DSM's own storage is not to be known.
    pub(super) fn size(&self) -> usize {
        let public = self.sobject.pub_key.as_ref().map_or(0, |spki| spki.as_ref().len());
        let key = self.sobject.key_size.map_or(0, |bits| bits as usize / 8);
        self.label().len() + self.id.len() + public + key
    }

    /// CKA_VALUE_LEN; `None` for what is no secret key.
    pub(in crate::pkcs11) fn value_len(&self) -> Option<usize> {
        let bits = self.sobject.key_size.filter(|_| self.part == Part::Secret)?;
        // DSM does not count the parity bits of triple DES.
        let per_byte = if self.kind == Some(KeyKind::Des3) { 7 } else { 8 };
        Some(bits.div_ceil(per_byte) as usize)
    }

    /// The engine that knows the key.
    pub(in crate::pkcs11) const fn engine(&self) -> &Accelerator {
        &self.engine
    }

    /// Names the key to the engine.
    pub(in crate::pkcs11) const fn key_ref(&self) -> KeyRef {
        KeyRef::Kid(self.kid)
    }

    /// The public half; none for a secret key, or where DSM does not show it.
    pub(in crate::pkcs11) fn public(&self) -> Option<&LocalKey> {
        let parse = || {
            let spki = self.sobject.pub_key.as_ref()?;
            let parsed = LocalKey::public(self.kind.filter(|kind| !kind.is_secret())?.key_type(), spki.as_ref());
            parsed.inspect_err(|error| tracing::warn!(code = error.code(), "a public key from DSM cannot be used")).ok().map(Box::new)
        };
        self.public.get_or_init(parse).as_deref()
    }

    /// What a certificate tells of itself.
    pub(in crate::pkcs11) fn facts(&self) -> Option<&Facts> {
        let read = || match self.part {
            Part::Generated => generated::facts(&self.sobject, self.label()),
            _ => Facts::read(self.certificate_der()?),
        };
        self.facts.get_or_init(|| read().map(Box::new)).as_deref()
    }

    /// A certificate itself; `None` for one that is made here before [`DsmObject::fetch_for`] its value.
    pub(in crate::pkcs11) fn certificate_der(&self) -> Option<&[u8]> {
        match &self.generated {
            Some(generated) => generated.made.get().map(Vec::as_slice),
            None => self.sobject.value.as_ref().map(AsRef::as_ref),
        }
    }

    /// The value that was fetched to be read; `None` where nobody asked, or it must not be read.
    pub(in crate::pkcs11) fn readable(&self) -> Option<&Readable> {
        self.value.get().map(|value| &**value)
    }

    /// Whether [`DsmObject::fetch`] gives CKA_VALUE and its kin: private data, and keys that a token of the configuration's
    /// `allow_plaintext` made readable.
    fn may_be_fetched(&self) -> bool {
        match self.part {
            // An empty value is told by the metadata.
            Part::Data => self.sobject.obj_type == ObjectType::Secret && self.extra().is_none_or(|extra| extra.get(CKA_VALUE).is_none()),
            Part::Secret | Part::Private => self.is_readable(),
            Part::Public | Part::Certificate | Part::Generated => false,
        }
    }

    /// Fetches what this attribute tells, once: the one place where reading attributes may ask DSM.
    ///
    /// # Errors
    /// What DSM says.
    pub(in crate::pkcs11) fn fetch_for(&self, kind: CK_ATTRIBUTE_TYPE) -> Result {
        match &self.generated {
            Some(generated) if matches!(kind, CKA_VALUE | CKA_CHECK_VALUE) => self.sign_certificate(generated),
            None if table::may_be_secret(kind) => self.fetch(),
            _ => Ok(()),
        }
    }

    fn sign_certificate(&self, generated: &Generated) -> Result {
        if generated.made.get().is_some() {
            return Ok(());
        }
        let sign = |body: &[u8]| match generated.way {
            Signature::Scheme(scheme) => {
                let mut signature = vec![0; LONGEST_SIGNATURE];
                let len = self.engine.sign(&self.key_ref(), &scheme, Message::Data(body), &mut signature)?;
                signature.truncate(len);
                Ok(signature)
            }
            Signature::MlDsa => self.engine.sign_ml_dsa(&self.key_ref(), None, Message::Data(body), &[], false),
        };
        let made = generated::certificate(&self.sobject, self.label(), generated.way, sign);
        let made = made.map_err(|error| Error::from_engine(&error, During::Protect))?.ok_or(Error::FunctionFailed)?;
        // Another thread may have been faster: then its signature is the certificate's.
        let _ = generated.made.set(made);
        Ok(())
    }

    fn fetch(&self) -> Result {
        if self.value.get().is_some() || !self.may_be_fetched() {
            return Ok(());
        }
        let value = match self.engine.value(self.kid) {
            // Not for us to read: the attribute is as sensitive as any other.
            Err(dsma_core::Error::Api(ApiError { status: 400 | 403, .. }) | dsma_core::Error::Approval { .. }) => return Ok(()),
            value => value.map_err(|error| Error::from_engine(&error, During::Listing))?,
        };
        let value = match self.kind {
            None => Readable::Data(Zeroizing::new(value.as_ref().to_vec())),
            Some(kind) if kind.is_secret() => Readable::Key(LocalKey::secret(self.secret_type(kind), value.as_ref())?),
            Some(kind) => Readable::Key(LocalKey::private(kind.key_type(), value.as_ref())?),
        };
        // Another thread may have been faster, with the same value.
        let _ = self.value.set(Box::new(value));
        Ok(())
    }

    /// CKA_KEY_TYPE, with triple DES's two.
    pub(in crate::pkcs11) fn secret_type(&self, kind: KeyKind) -> CK_KEY_TYPE {
        secret_type(&self.sobject, kind)
    }

    /// The public half to work with: needs no export, and no network while what DSM told is not older than a cached key may be. `None`
    /// where the engine has to decide, because `policy`, the key's own on paddings, is not known to allow the use, or because there is no
    /// usable public key.
    ///
    /// # Errors
    /// Key operations, state or dates forbid `operation`; what DSM says.
    pub(in crate::pkcs11) fn usable_public(
        &self,
        operation: Operation,
        policy: impl FnOnce(&Sobject) -> bool,
    ) -> Result<Option<&LocalKey>> {
        if self.part != Part::Public {
            return Ok(None);
        }
        let sobject = self.current()?;
        authorize(operation, Some(Permissions::all()), &KeyFacts::from(&*sobject), Time::now())
            .map_err(|refusal| Error::from_engine(&refusal.into(), During::Protect))?;
        Ok(self.public().filter(|_| policy(&sobject)))
    }

    /// The sobject as DSM told it no longer ago than a cached key lives, or serves on while DSM cannot be reached.
    fn current(&self) -> Result<Arc<Sobject>> {
        let config = self.engine.config();
        let now = Moment::now();
        let is_young = |told_at: Moment| told_at.until(now) <= config.cache_ttl && !config.cache_ttl.is_zero();
        if is_young(self.told_at) {
            return Ok(Arc::clone(&self.sobject));
        }
        let (told_at, sobject) = {
            let mut later = lock(&self.told_later);
            let (told_at, sobject) = later.clone().unwrap_or_else(|| (self.told_at, Arc::clone(&self.sobject)));
            if is_young(told_at) {
                return Ok(sobject);
            }
            // This thread asks; the others go on with what is known.
            *later = Some((now, Arc::clone(&sobject)));
            (told_at, sobject)
        };
        let told = self.engine.sobject(self.kid);
        let known = told.as_ref().map_or((told_at, &sobject), |told| (now, told));
        *lock(&self.told_later) = Some((known.0, Arc::clone(known.1)));
        match told {
            Err(error)
                if error.is_outage() && config.availability && told_at.until(now) <= config.cache_ttl + config.availability_grace =>
            {
                Ok(sobject)
            }
            told => told.map_err(|error| Error::from_engine(&error, During::Protect)),
        }
    }

    /// Length of an RSA key's modulus in bytes; 0 for other keys.
    pub(in crate::pkcs11) fn modulus_len(&self) -> usize {
        if self.kind != Some(KeyKind::Rsa) {
            return 0;
        }
        match self.public().map(LocalKey::modulus_len) {
            Some(len) if len != 0 => len,
            _ => self.sobject.key_size.map_or(0, |bits| bits.div_ceil(8) as usize),
        }
    }
}

/// CKA_KEY_TYPE of this object of a sobject; `None` where it shows no such key.
pub(super) fn key_type_of(sobject: &Sobject, part: Part) -> Option<CK_KEY_TYPE> {
    let kind = kind_of(sobject, Extra::read(sobject, part).as_ref()).filter(|_| parts_of(sobject).contains(&part))?;
    Some(secret_type(sobject, kind))
}

fn secret_type(sobject: &Sobject, kind: KeyKind) -> CK_KEY_TYPE {
    match kind {
        KeyKind::Des3 if sobject.key_size == Some(112) => CKK_DES2,
        kind => kind.key_type(),
    }
}

fn parts_of(sobject: &Sobject) -> &'static [Part] {
    match sobject.obj_type {
        _ if is_state(sobject) => &[],
        ObjectType::Certificate => &[Part::Certificate],
        ObjectType::Opaque => &[Part::Data],
        // Conformance mode keeps keys in it too.
        ObjectType::Secret if kind_of(sobject, Extra::read(sobject, Part::Secret).as_ref()).is_some() => &[Part::Secret],
        ObjectType::Secret => &[Part::Data],
        _ => match kind_of(sobject, None) {
            None => &[],
            Some(kind) if kind.is_secret() => &[Part::Secret],
            Some(_) if sobject.public_only => &[Part::Public],
            Some(_) => &[Part::Private, Part::Public],
        },
    }
}

fn kind_of(sobject: &Sobject, extra: Option<&Extra>) -> Option<KeyKind> {
    Some(match sobject.obj_type {
        ObjectType::Aes => KeyKind::Aes,
        ObjectType::Des3 => KeyKind::Des3,
        ObjectType::Hmac => KeyKind::Secret(extra.and_then(|extra| extra.attributes.number(CKA_KEY_TYPE)).unwrap_or(CKK_GENERIC_SECRET)),
        ObjectType::Secret => KeyKind::Secret(extra?.attributes.number(CKA_KEY_TYPE)?),
        ObjectType::Rsa => KeyKind::Rsa,
        ObjectType::Mldsa => KeyKind::MlDsa(lattice::ml_dsa(sobject.mldsa?.param_set)),
        ObjectType::Mlkem => KeyKind::MlKem(lattice::ml_kem(sobject.mlkem?.param_set)),
        ObjectType::Ec => match sobject.elliptic_curve? {
            EllipticCurve::NistP256 => KeyKind::Ec(Curve::P256),
            EllipticCurve::NistP384 => KeyKind::Ec(Curve::P384),
            EllipticCurve::NistP521 => KeyKind::Ec(Curve::P521),
            EllipticCurve::SecP256K1 => KeyKind::Ec(Curve::K256),
            EllipticCurve::Ed25519 => KeyKind::Ed25519,
            EllipticCurve::X25519 => KeyKind::X25519,
            _ => return None,
        },
        _ => return None,
    })
}
