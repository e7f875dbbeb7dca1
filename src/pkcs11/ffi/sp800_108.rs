//! Parameters of the functions of SP 800-108 (section 6.42): fields, and further keys with templates and places of their own.

use cryptoki_sys::*;

use super::{Error, Input, Mechanism, Place, Result, Template, length, read};

/// More data fields, and more further keys, than any derivation has.
const MOST: usize = 64;

/// `CK_SP800_108_KDF_PARAMS` and `CK_SP800_108_FEEDBACK_KDF_PARAMS`.
pub(in crate::pkcs11) struct Sp800108<'a> {
    pub(in crate::pkcs11) prf: CK_SP800_108_PRF_TYPE,
    pub(in crate::pkcs11) fields: Vec<KdfField<'a>>,
    /// Of the feedback; empty in the other modes.
    pub(in crate::pkcs11) initial: Input<'a>,
    pub(in crate::pkcs11) further: Vec<FurtherKey<'a>>,
}

/// One data field.
pub(in crate::pkcs11) enum KdfField<'a> {
    /// The iteration variable; a counter, where it has a format.
    Iteration(Option<CK_SP800_108_COUNTER_FORMAT>),
    /// A counter beside another iteration variable.
    Counter(CK_SP800_108_COUNTER_FORMAT),
    /// The length of what is derived.
    Length(CK_SP800_108_DKM_LENGTH_FORMAT),
    /// Bytes.
    Fixed(Input<'a>),
    /// The bytes of a key.
    Key(CK_OBJECT_HANDLE),
}

/// `CK_DERIVED_KEY`: a key that is derived beside the one of C_DeriveKey.
pub(in crate::pkcs11) struct FurtherKey<'a> {
    pub(in crate::pkcs11) template: Template<'a>,
    pub(in crate::pkcs11) key: Place<'a, CK_OBJECT_HANDLE>,
}

impl<'a> Mechanism<'a> {
    /// For `CKM_SP800_108_COUNTER_KDF` and `CKM_SP800_108_DOUBLE_PIPELINE_KDF`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length, for arrays that are not there, and for fields that cannot be.
    pub(in crate::pkcs11) fn sp800_108(&self) -> Result<Sp800108<'a>> {
        let given: CK_SP800_108_KDF_PARAMS = self.param()?;
        // SAFETY: NULL and 0 are an empty input; by `Mechanism::new`'s contract the structure is the standard's, so that its arrays are NULL
        // or valid for their counts.
        unsafe {
            Ok(Sp800108 {
                prf: given.prfType,
                fields: fields(given.pDataParams, given.ulNumberOfDataParams)?,
                initial: Input::new(std::ptr::null(), 0),
                further: further(given.pAdditionalDerivedKeys, given.ulAdditionalDerivedKeys)?,
            })
        }
    }

    /// For `CKM_SP800_108_FEEDBACK_KDF`.
    ///
    /// # Errors
    /// As [`Mechanism::sp800_108`].
    pub(in crate::pkcs11) fn sp800_108_feedback(&self) -> Result<Sp800108<'a>> {
        let given: CK_SP800_108_FEEDBACK_KDF_PARAMS = self.param()?;
        // SAFETY: by `Mechanism::new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths and
        // counts.
        unsafe {
            Ok(Sp800108 {
                prf: given.prfType,
                fields: fields(given.pDataParams, given.ulNumberOfDataParams)?,
                initial: Input::new(given.pIV, given.ulIVLen),
                further: further(given.pAdditionalDerivedKeys, given.ulAdditionalDerivedKeys)?,
            })
        }
    }
}

/// # Safety
/// `first` is NULL or valid for `count` fields, each with a value that is NULL or valid for its length, as long as the result lives.
unsafe fn fields<'a>(first: *const CK_PRF_DATA_PARAM, count: CK_ULONG) -> Result<Vec<KdfField<'a>>> {
    (0..array_len(first, count)?)
        .map(|index| {
            // SAFETY: the index is below the count, for which the array is valid.
            let field: CK_PRF_DATA_PARAM = unsafe { read(first.add(index)) }?;
            // SAFETY: by the same contract a field's value is NULL or valid for its length.
            let value = unsafe { Input::new(field.pValue.cast(), field.ulValueLen) };
            Ok(match field.type_ {
                CK_SP800_108_ITERATION_VARIABLE if field.pValue.is_null() => KdfField::Iteration(None),
                CK_SP800_108_ITERATION_VARIABLE => KdfField::Iteration(Some(plain(&value)?)),
                CK_SP800_108_COUNTER => KdfField::Counter(plain(&value)?),
                CK_SP800_108_DKM_LENGTH => KdfField::Length(plain(&value)?),
                CK_SP800_108_BYTE_ARRAY => KdfField::Fixed(value),
                CK_SP800_108_KEY_HANDLE => KdfField::Key(plain(&value)?),
                _ => return Err(Error::MechanismParamInvalid),
            })
        })
        .collect()
}

/// # Safety
/// `first` is NULL or valid for `count` keys, each with a template and a place that are NULL or valid, as long as the result lives.
unsafe fn further<'a>(first: *const CK_DERIVED_KEY, count: CK_ULONG) -> Result<Vec<FurtherKey<'a>>> {
    (0..array_len(first, count)?)
        .map(|index| {
            // SAFETY: the index is below the count, for which the array is valid.
            let key: CK_DERIVED_KEY = unsafe { read(first.add(index)) }?;
            // SAFETY: by the same contract template and place are NULL or valid.
            let key = unsafe { FurtherKey { template: Template::new(key.pTemplate, key.ulAttributeCount), key: Place::new(key.phKey) } };
            key.key.check().map_err(|_| Error::MechanismParamInvalid)?;
            Ok(key)
        })
        .collect()
}

/// How many items an array has that is there.
fn array_len<T>(first: *const T, count: CK_ULONG) -> Result<usize> {
    length(count).ok().filter(|count| *count == 0 || (*count <= MOST && !first.is_null())).ok_or(Error::MechanismParamInvalid)
}

/// A field's value as a structure of integers.
fn plain<T: Copy>(value: &Input<'_>) -> Result<T> {
    let bytes = value.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    if bytes.len() != size_of::<T>() {
        return Err(Error::MechanismParamInvalid);
    }
    // SAFETY: the bytes are as many as a `T` has; every bit pattern is a valid `T`, and alignment is not assumed.
    unsafe { read(bytes.as_ptr().cast()) }
}
