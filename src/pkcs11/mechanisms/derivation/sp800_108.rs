//! CKM_SP800_108_COUNTER_KDF, CKM_SP800_108_FEEDBACK_KDF and CKM_SP800_108_DOUBLE_PIPELINE_KDF (section 6.42), for one key or several.

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_crypto::kdf::{self, Field, Mode};
use dsma_crypto::{Key, MacScheme};
use zeroize::Zeroizing;

use super::super::super::ffi::{FurtherKey, KdfField, Mechanism};
use super::super::super::objects::{KeyKind, Object};
use super::super::super::sessions::Session;
use super::{Error, Result, Secret, digest, failed, given, other_key};

pub(super) struct Sp800108 {
    prf: MacScheme,
    /// Bytes that the function gives in a round.
    segment: usize,
    mode: OwnedMode,
    fields: Vec<OwnedField>,
}

/// [`Mode`] that outlives the caller's structures.
enum OwnedMode {
    Counter,
    Feedback { initial: Box<[u8]> },
    DoublePipeline,
}

/// [`Field`] that outlives the caller's structures.
enum OwnedField {
    Counter {
        width: usize,
        little_endian: bool,
    },
    Iteration,
    /// The length of all keys, or of all segments.
    Length {
        width: usize,
        little_endian: bool,
        of_segments: bool,
    },
    Fixed(Secret),
}

/// What a field is, of which some may be there once at most.
#[derive(Default)]
struct Seen {
    iteration: bool,
    counter: bool,
    length: bool,
}

impl Sp800108 {
    /// The derivation, keys among its fields, and the keys that it makes beside the first.
    pub(super) fn read<'m>(
        kind: CK_MECHANISM_TYPE,
        mechanism: Mechanism<'m>,
        session: &Session,
        base: &Object,
    ) -> Result<(Self, Vec<Arc<Object>>, Vec<FurtherKey<'m>>)> {
        let params = if kind == CKM_SP800_108_FEEDBACK_KDF { mechanism.sp800_108_feedback()? } else { mechanism.sp800_108()? };
        let mode = match kind {
            CKM_SP800_108_COUNTER_KDF => OwnedMode::Counter,
            CKM_SP800_108_FEEDBACK_KDF => OwnedMode::Feedback { initial: given(&params.initial)?.into() },
            _ => OwnedMode::DoublePipeline,
        };
        let (prf, segment) = prf(params.prf, base)?;
        let (mut seen, mut others) = (Seen::default(), Vec::new());
        let mut fields = Vec::with_capacity(params.fields.len());
        for field in &params.fields {
            fields.push(match field {
                KdfField::Key(handle) => {
                    let other = other_key(session, *handle, kind)?;
                    let bytes = other.secret()?;
                    others.push(other);
                    OwnedField::Fixed(bytes)
                }
                field => seen.take(field, &mode)?,
            });
        }
        if !seen.iteration {
            return Err(Error::MechanismParamInvalid);
        }
        Ok((Self { prf, segment, mode, fields }, others, params.further))
    }

    /// No two keys share a segment: the next one begins with the next segment.
    pub(super) fn run(&self, base: &Object, lens: &[Option<usize>]) -> Result<Vec<Secret>> {
        let lens: Vec<usize> = lens.iter().map(|len| len.ok_or(Error::TemplateIncomplete)).collect::<Result<_>>()?;
        let of_segments: usize = lens.iter().map(|len| len.next_multiple_of(self.segment)).sum();
        let measured = if self.counts_segments() { of_segments } else { lens.iter().sum() };
        let mode = match &self.mode {
            OwnedMode::Counter => Mode::Counter,
            OwnedMode::Feedback { initial } => Mode::Feedback { initial },
            OwnedMode::DoublePipeline => Mode::DoublePipeline,
        };
        let fields: Vec<Field<'_>> = self.fields.iter().map(OwnedField::as_field).collect();
        let mut out = Zeroizing::new(vec![0; of_segments]);
        base.with_base_key(|key: &Key| kdf::sp800_108(key, &self.prf, mode, &fields, 8 * measured as u64, &mut out).map_err(failed))?;
        let mut rest = &out[..];
        let mut take = |len: &usize| {
            let (segments, next) = rest.split_at_checked(len.next_multiple_of(self.segment)).ok_or(Error::GeneralError)?;
            rest = next;
            super::beginning(segments, Some(*len))
        };
        lens.iter().map(&mut take).collect()
    }

    fn counts_segments(&self) -> bool {
        self.fields.iter().any(|field| matches!(field, OwnedField::Length { of_segments: true, .. }))
    }
}

impl Seen {
    /// A field that is no key, as the mode allows it.
    fn take(&mut self, field: &KdfField<'_>, mode: &OwnedMode) -> Result<OwnedField> {
        let counts = matches!(mode, OwnedMode::Counter);
        match field {
            KdfField::Iteration(Some(format)) if counts => {
                self.iteration = true;
                counter(format)
            }
            KdfField::Iteration(None) if !counts => {
                self.iteration = true;
                Ok(OwnedField::Iteration)
            }
            KdfField::Counter(format) if !counts && !std::mem::replace(&mut self.counter, true) => counter(format),
            KdfField::Length(format) if !std::mem::replace(&mut self.length, true) => Ok(OwnedField::Length {
                width: width(format.ulWidthInBits)?,
                little_endian: format.bLittleEndian != CK_FALSE,
                of_segments: match format.dkmLengthMethod {
                    CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS => false,
                    CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS => true,
                    _ => return Err(Error::MechanismParamInvalid),
                },
            }),
            KdfField::Fixed(bytes) => Ok(OwnedField::Fixed(Zeroizing::new(given(bytes)?.to_vec()))),
            _ => Err(Error::MechanismParamInvalid),
        }
    }
}

impl OwnedField {
    fn as_field(&self) -> Field<'_> {
        match self {
            Self::Counter { width, little_endian } => Field::Counter { width: *width, little_endian: *little_endian },
            Self::Iteration => Field::Iteration,
            Self::Length { width, little_endian, .. } => Field::Length { width: *width, little_endian: *little_endian },
            Self::Fixed(bytes) => Field::Fixed(bytes),
        }
    }
}

/// The pseudo-random function and the bytes that it gives.
fn prf(prf: CK_SP800_108_PRF_TYPE, base: &Object) -> Result<(MacScheme, usize)> {
    match (prf, base.kind()) {
        (CKM_AES_CMAC, Some(KeyKind::Aes)) => Ok((MacScheme::Cmac, 16)),
        (CKM_DES3_CMAC, Some(KeyKind::Des3)) => Ok((MacScheme::Cmac, 8)),
        (CKM_AES_CMAC | CKM_DES3_CMAC, _) => Err(Error::KeyTypeInconsistent),
        (prf, Some(KeyKind::Secret(_))) => {
            let hash = digest::of_hmac(prf).or_else(|| digest::of_digest(prf)).ok_or(Error::MechanismParamInvalid)?;
            Ok((MacScheme::Hmac { hash }, hash.len()))
        }
        _ => Err(Error::KeyTypeInconsistent),
    }
}

fn counter(format: &CK_SP800_108_COUNTER_FORMAT) -> Result<OwnedField> {
    Ok(OwnedField::Counter { width: width(format.ulWidthInBits)?, little_endian: format.bLittleEndian != CK_FALSE })
}

/// Bytes of a number.
fn width(bits: CK_ULONG) -> Result<usize> {
    match bits {
        8 | 16 | 24 | 32 | 40 | 48 | 56 | 64 => Ok(bits as usize / 8),
        _ => Err(Error::MechanismParamInvalid),
    }
}
