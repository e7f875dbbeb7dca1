//! The functions of SP 800-108: one key, several keys, and what their parameters may not say.

use std::ffi::c_void;
use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, call, ok};
use crate::openssl::Openssl;
use crate::session_objects::{FALSE, TRUE, create, secret};

const COUNTER: CK_SP800_108_COUNTER_FORMAT = CK_SP800_108_COUNTER_FORMAT { bLittleEndian: CK_FALSE, ulWidthInBits: 32 };

const fn length(method: CK_SP800_108_DKM_LENGTH_METHOD) -> CK_SP800_108_DKM_LENGTH_FORMAT {
    CK_SP800_108_DKM_LENGTH_FORMAT { dkmLengthMethod: method, bLittleEndian: CK_FALSE, ulWidthInBits: 32 }
}

/// A field whose value is a structure, or bytes.
fn field<T: ?Sized>(kind: CK_PRF_DATA_TYPE, value: &T) -> CK_PRF_DATA_PARAM {
    let len = size_of_val(value) as CK_ULONG;
    CK_PRF_DATA_PARAM { type_: kind, pValue: (&raw const *value).cast::<c_void>().cast_mut(), ulValueLen: len }
}

/// The iteration variable of the modes that do not count.
const ITERATION: CK_PRF_DATA_PARAM = CK_PRF_DATA_PARAM { type_: CK_SP800_108_ITERATION_VARIABLE, pValue: null_mut(), ulValueLen: 0 };

type Template<'t> = &'t [(CK_ATTRIBUTE_TYPE, &'t [u8])];

/// A derivation of one key or several.
struct Kdf<'a> {
    kind: CK_MECHANISM_TYPE,
    prf: CK_MECHANISM_TYPE,
    fields: &'a [CK_PRF_DATA_PARAM],
    initial: &'a [u8],
}

impl Kdf<'_> {
    /// The handles of the keys, in the templates' order, and what the places of those beside the first hold if it failed.
    fn derive(
        &self,
        module: &Module,
        session: CK_SESSION_HANDLE,
        base: CK_OBJECT_HANDLE,
        templates: &[Template<'_>],
    ) -> Result<Vec<CK_OBJECT_HANDLE>, (CK_RV, Vec<CK_OBJECT_HANDLE>)> {
        const UNTOUCHED: CK_OBJECT_HANDLE = 4711;
        let mut made = vec![UNTOUCHED; templates.len()];
        let mut templates: Vec<_> = templates.iter().map(|template| attributes(template)).collect();
        let mut further: Vec<_> = templates
            .iter_mut()
            .zip(&mut made)
            .skip(1)
            .map(|(template, made)| CK_DERIVED_KEY {
                pTemplate: template.as_mut_ptr(),
                ulAttributeCount: template.len() as CK_ULONG,
                phKey: made,
            })
            .collect();
        let (count, array) = (further.len() as CK_ULONG, if further.is_empty() { null_mut() } else { further.as_mut_ptr() });
        let (fields, field_count) = (self.fields.as_ptr().cast_mut(), self.fields.len() as CK_ULONG);
        let mut plain = CK_SP800_108_KDF_PARAMS {
            prfType: self.prf,
            ulNumberOfDataParams: field_count,
            pDataParams: fields,
            ulAdditionalDerivedKeys: count,
            pAdditionalDerivedKeys: array,
        };
        let mut feedback = CK_SP800_108_FEEDBACK_KDF_PARAMS {
            prfType: self.prf,
            ulNumberOfDataParams: field_count,
            pDataParams: fields,
            ulIVLen: self.initial.len() as CK_ULONG,
            pIV: if self.initial.is_empty() { null_mut() } else { self.initial.as_ptr().cast_mut() },
            ulAdditionalDerivedKeys: count,
            pAdditionalDerivedKeys: array,
        };
        let (parameter, len) = match self.kind {
            CKM_SP800_108_FEEDBACK_KDF => ((&raw mut feedback).cast(), size_of_val(&feedback)),
            _ => ((&raw mut plain).cast(), size_of_val(&plain)),
        };
        let mut mechanism = CK_MECHANISM { mechanism: self.kind, pParameter: parameter, ulParameterLen: len as CK_ULONG };
        let (first, first_len) = (templates[0].as_mut_ptr(), templates[0].len() as CK_ULONG);
        let mut first_made = UNTOUCHED;
        match call!(module, C_DeriveKey(session, &raw mut mechanism, base, first, first_len, &raw mut first_made)) {
            CKR_OK => {
                made[0] = first_made;
                Ok(made)
            }
            code => Err((code, made.split_off(1))),
        }
    }

    /// The value of one key of so many bytes.
    fn value(&self, module: &Module, session: CK_SESSION_HANDLE, base: CK_OBJECT_HANDLE, len: CK_ULONG) -> Result<Vec<u8>, CK_RV> {
        let keys = self.derive(module, session, base, &[&[(CKA_VALUE_LEN, &len.to_ne_bytes())]]).map_err(|(code, _)| code)?;
        module.attribute(session, keys[0], CKA_VALUE)
    }
}

/// In OpenSSL's words the label is the salt, and the zero byte between is its own; in feedback mode it has a counter too.
#[test]
fn one_key_is_that_of_openssl() {
    let module = shared().another();
    let session = module.logged_in();
    let generic = secret(&module, session, CKK_GENERIC_SECRET, &[5; 32]).expect("a session key");
    let aes = secret(&module, session, CKK_AES, &[5; 32]).expect("a session key");
    let in_openssl = |mode: &str, mac: &str| {
        let openssl = Openssl::new();
        let key = "05".repeat(32);
        openssl.run(&format!(
            "kdf -keylen 40 -kdfopt mode:{mode} -kdfopt {mac} -kdfopt hexkey:{key} -kdfopt salt:label -kdfopt info:context -binary -out derived \
             KBKDF"
        ));
        openssl.read("derived")
    };
    let (counter, length) = (COUNTER, length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS));
    let fixed = field(CK_SP800_108_BYTE_ARRAY, b"label\0context");
    let length = field(CK_SP800_108_DKM_LENGTH, &length);
    let counting = [field(CK_SP800_108_ITERATION_VARIABLE, &counter), fixed, length];
    let feeding = [ITERATION, field(CK_SP800_108_COUNTER, &counter), fixed, length];
    for (prf, base, mac) in [
        (CKM_SHA256_HMAC, generic, "mac:HMAC -kdfopt digest:SHA256"),
        (CKM_SHA_1_HMAC, generic, "mac:HMAC -kdfopt digest:SHA1"),
        (CKM_SHA3_384_HMAC, generic, "mac:HMAC -kdfopt digest:SHA3-384"),
        (CKM_AES_CMAC, aes, "mac:CMAC -kdfopt cipher:AES-256-CBC"),
    ] {
        let kdf = Kdf { kind: CKM_SP800_108_COUNTER_KDF, prf, fields: &counting, initial: b"" };
        assert_eq!(kdf.value(&module, session, base, 40), Ok(in_openssl("COUNTER", mac)), "{mac}");
        let kdf = Kdf { kind: CKM_SP800_108_FEEDBACK_KDF, prf, fields: &feeding, initial: b"" };
        assert_eq!(kdf.value(&module, session, base, 40), Ok(in_openssl("FEEDBACK", mac)), "{mac}");
        if prf == CKM_SHA256_HMAC {
            let kdf = Kdf { initial: b"an_initial_value_of_32_bytes_..!", ..kdf };
            let derived = in_openssl("FEEDBACK -kdfopt seed:an_initial_value_of_32_bytes_..!", mac);
            assert_eq!(kdf.value(&module, session, base, 40), Ok(derived));
        }
    }
}

/// NIST's CAVS 14.4, KDFDblPipeline with AES-128-CMAC and a counter of 32 bits after the iteration variable.
#[test]
fn the_double_pipeline_is_that_of_nist() {
    let module = shared().another();
    let session = module.logged_in();
    for (key, fixed, derived) in [
        (
            "34f0c2542bfe13c7149b68c8a1ef636b",
            "daefcc52d6e32e1614109268933087fce3d64a5a6f111ba1a8d343a1e388a1752aaea93853be52864997a81c84b04c4f3ff3bd",
            "fc0eae673e7db3c4660668e187bcd81d5ca9b89213d8d741e71c9bab89bb4fb3c4df541d89a8117f0f56b0f15111ae28abf81fb7d7349fbbcaf01137e4d73527",
        ),
        (
            "2303ba6761332aa885b25e371b4d1015",
            "eb933ae1ce644e79078a78354b46f1b26ab99b68bc7526e8d583251ab4e0332ad6b10eeedabbb731706abcfabcfb40c00449ef",
            "b61b5033c09a120bea322b37779776503e6d0140b4842c0d16cc7712f6931fb162b0cd0cf577b026a8c5de53fdf54fc381e804503f8e69963e86b6ce1e6a72c972c6e32e6cd8",
        ),
    ] {
        let [key, fixed, derived] = [key, fixed, derived].map(|text| hex::decode(text).expect("hex"));
        let base = secret(&module, session, CKK_AES, &key).expect("a session key");
        let counter = COUNTER;
        let fields = [ITERATION, field(CK_SP800_108_COUNTER, &counter), field(CK_SP800_108_BYTE_ARRAY, &fixed[..])];
        let kdf = Kdf { kind: CKM_SP800_108_DOUBLE_PIPELINE_KDF, prf: CKM_AES_CMAC, fields: &fields, initial: b"" };
        assert_eq!(kdf.value(&module, session, base, derived.len() as CK_ULONG), Ok(derived));
    }
}

/// The standard's example: 48 bytes and 16 bytes are three segments of SHA-256, of which the second is used by half.
#[test]
fn several_keys_share_no_segment() {
    let module = shared().another();
    let session = module.logged_in();
    let base = secret(&module, session, CKK_GENERIC_SECRET, &[5; 32]).expect("a session key");
    let counter = COUNTER;
    let (first, second) = (48_u64.to_ne_bytes(), 16_u64.to_ne_bytes());
    let aes = CKK_AES.to_ne_bytes();
    for (method, bits) in [(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, 512_u32), (CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS, 768)] {
        let length = length(method);
        let fields = [field(CK_SP800_108_ITERATION_VARIABLE, &counter), field(CK_SP800_108_DKM_LENGTH, &length)];
        let kdf = Kdf { kind: CKM_SP800_108_COUNTER_KDF, prf: CKM_SHA256_HMAC, fields: &fields, initial: b"" };
        let templates: [Template<'_>; 2] =
            [&[(CKA_VALUE_LEN, &first)], &[(CKA_KEY_TYPE, &aes), (CKA_VALUE_LEN, &second), (CKA_ENCRYPT, TRUE)]];
        let keys = kdf.derive(&module, session, base, &templates).expect("two keys");
        let round = |number: u32| {
            let input = [number.to_be_bytes(), bits.to_be_bytes()].concat();
            module.sign(session, &Mechanism::Plain(CKM_SHA256_HMAC), base, &input).expect("a code")
        };
        assert_eq!(module.attribute(session, keys[0], CKA_VALUE), Ok([round(1), round(2)].concat()[..48].to_vec()));
        assert_eq!(module.attribute(session, keys[1], CKA_VALUE), Ok(round(3)[..16].to_vec()));
        // What a template says a key is for, it is for; one that says nothing leaves all open.
        for (key, kind, expected) in [(keys[1], CKA_ENCRYPT, TRUE), (keys[1], CKA_DERIVE, FALSE), (keys[0], CKA_DERIVE, TRUE)] {
            assert_eq!(module.attribute(session, key, kind), Ok(expected.to_vec()), "{kind:#x}");
        }
    }
}

/// In a session, and where DSM would have to keep the keys.
#[test]
fn all_keys_or_none() {
    let module = shared().another();
    let session = module.logged_in();
    let base = secret(&module, session, CKK_GENERIC_SECRET, &[5; 32]).expect("a session key");
    let counter = COUNTER;
    let fields = [field(CK_SP800_108_ITERATION_VARIABLE, &counter)];
    let kdf = Kdf { kind: CKM_SP800_108_COUNTER_KDF, prf: CKM_SHA256_HMAC, fields: &fields, initial: b"" };
    let (len, odd, aes) = (16_u64.to_ne_bytes(), 17_u64.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let label = format!("several {}", uuid::Uuid::new_v4());
    let good: Template<'_> = &[(CKA_VALUE_LEN, &len), (CKA_LABEL, label.as_bytes())];
    let kept: Template<'_> = &[(CKA_VALUE_LEN, &len), (CKA_LABEL, label.as_bytes()), (CKA_TOKEN, TRUE), (CKA_DESTROYABLE, FALSE)];
    let bare: Template<'_> = &[(CKA_VALUE_LEN, &len), (CKA_TOKEN, TRUE), (CKA_SENSITIVE, FALSE)];
    // A length that AES does not have is seen when the keys are made, a missing one before.
    let unfit: Template<'_> = &[(CKA_KEY_TYPE, &aes), (CKA_VALUE_LEN, &odd)];
    for (templates, code, places) in [
        ([good, good, unfit], CKR_KEY_SIZE_RANGE, [4711, 0]),
        ([good, unfit, good], CKR_KEY_SIZE_RANGE, [0, 4711]),
        ([unfit, good, good], CKR_KEY_SIZE_RANGE, [4711, 4711]),
        ([good, good, &[(CKA_MODULUS, b"1")]], CKR_TEMPLATE_INCONSISTENT, [4711, 0]),
        ([good, good, &[]], CKR_TEMPLATE_INCOMPLETE, [4711, 4711]),
        ([kept, kept, bare], CKR_TEMPLATE_INCONSISTENT, [4711, 0]),
    ] {
        assert_eq!(kdf.derive(&module, session, base, &templates), Err((code, places.to_vec())));
        assert_eq!(module.find(session, &[(CKA_LABEL, label.as_bytes())]).len(), 0, "none of them stays");
    }
    assert_eq!(kdf.derive(&module, session, base, &[good, good, good]).map(|keys| keys.len()), Ok(3));
}

/// A key of the token is not readable, and neither is what comes of it unless the template asks.
#[test]
fn protection_comes_from_the_base_key() {
    let bench = shared();
    let key = bench.import("HMAC", &[5; 32], &["DERIVEKEY"], true);
    let (module, session, token) = bench.use_key(&key);
    let held = secret(&module, session, CKK_GENERIC_SECRET, &[5; 32]).expect("a session key");
    let counter = COUNTER;
    let fields = [field(CK_SP800_108_ITERATION_VARIABLE, &counter)];
    let kdf = Kdf { kind: CKM_SP800_108_COUNTER_KDF, prf: CKM_SHA256_HMAC, fields: &fields, initial: b"" };
    let len = 16_u64.to_ne_bytes();
    let plain: Template<'_> = &[(CKA_VALUE_LEN, &len)];
    let open: Template<'_> = &[(CKA_VALUE_LEN, &len), (CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
    let value = |base, template| {
        let keys = kdf.derive(&module, session, base, &[template]).expect("a key");
        module.attribute(session, keys[0], CKA_VALUE)
    };
    assert_eq!(value(token, plain), Err(CKR_ATTRIBUTE_SENSITIVE));
    assert_eq!(value(token, open), value(held, plain));

    // A key among the data, which must be one to derive from, and which hides nothing that it did not hide.
    let (kind, class) = (CKK_GENERIC_SECRET.to_ne_bytes(), CKO_SECRET_KEY.to_ne_bytes());
    let template: Template<'_> = &[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_VALUE, b"context"), (CKA_DERIVE, FALSE)];
    let not_for_that = create(&module, session, template).expect("a session key");
    let context = secret(&module, session, CKK_GENERIC_SECRET, b"context").expect("a session key");
    let with = |last| {
        let fields = [field(CK_SP800_108_ITERATION_VARIABLE, &counter), last];
        Kdf { fields: &fields, ..kdf }.value(&module, session, held, 16)
    };
    assert_eq!(with(field(CK_SP800_108_KEY_HANDLE, &context)), with(field(CK_SP800_108_BYTE_ARRAY, b"context")));
    assert_eq!(with(field(CK_SP800_108_KEY_HANDLE, &not_for_that)), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(with(field(CK_SP800_108_KEY_HANDLE, &0_u64)), Err(CKR_KEY_HANDLE_INVALID));
    assert_eq!(with(field(CK_SP800_108_KEY_HANDLE, &0_u32)), Err(CKR_MECHANISM_PARAM_INVALID));
}

#[test]
fn parameters_that_cannot_be() {
    let module = shared().another();
    let session = module.logged_in();
    let base = secret(&module, session, CKK_GENERIC_SECRET, &[5; 32]).expect("a session key");
    let (counter, length) = (COUNTER, length(CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS));
    let (counting, extra) = (field(CK_SP800_108_ITERATION_VARIABLE, &counter), field(CK_SP800_108_COUNTER, &counter));
    let (length, fixed) = (field(CK_SP800_108_DKM_LENGTH, &length), field(CK_SP800_108_BYTE_ARRAY, b"fixed"));
    let odd_width = CK_SP800_108_COUNTER_FORMAT { bLittleEndian: CK_FALSE, ulWidthInBits: 12 };
    let odd_method = self::length(3);
    let (counter_mode, feedback, pipeline) = (CKM_SP800_108_COUNTER_KDF, CKM_SP800_108_FEEDBACK_KDF, CKM_SP800_108_DOUBLE_PIPELINE_KDF);
    let truncated = CK_PRF_DATA_PARAM { ulValueLen: counting.ulValueLen - 1, ..counting };
    for (kind, fields) in [
        (counter_mode, &[fixed][..]),
        (counter_mode, &[ITERATION, fixed]),
        (counter_mode, &[counting, extra]),
        (counter_mode, &[counting, length, length]),
        (counter_mode, &[truncated]),
        (counter_mode, &[field(CK_SP800_108_ITERATION_VARIABLE, &odd_width)]),
        (counter_mode, &[counting, field(CK_SP800_108_DKM_LENGTH, &odd_method)]),
        (counter_mode, &[counting, field(77, b"fixed")]),
        (counter_mode, &[]),
        (feedback, &[extra, fixed]),
        (feedback, &[counting]),
        (feedback, &[ITERATION, extra, extra]),
        (feedback, &[ITERATION, length, length]),
        (pipeline, &[fixed]),
        (pipeline, &[counting, fixed]),
        (pipeline, &[ITERATION, extra, extra]),
    ] {
        let kdf = Kdf { kind, prf: CKM_SHA256_HMAC, fields, initial: b"" };
        assert_eq!(kdf.value(&module, session, base, 40), Err(CKR_MECHANISM_PARAM_INVALID));
    }
    let aes = secret(&module, session, CKK_AES, &[5; 16]).expect("a session key");
    for (prf, base, code) in [
        (CKM_AES_CMAC, base, CKR_KEY_TYPE_INCONSISTENT),
        (CKM_DES3_CMAC, aes, CKR_KEY_TYPE_INCONSISTENT),
        (CKM_SHA256_HMAC, aes, CKR_KEY_TYPE_INCONSISTENT),
        (CKM_AES_GCM, base, CKR_MECHANISM_PARAM_INVALID),
    ] {
        let kdf = Kdf { kind: counter_mode, prf, fields: &[counting], initial: b"" };
        assert_eq!(kdf.value(&module, session, base, 40), Err(code));
    }
    // A counter that runs over.
    let narrow = CK_SP800_108_COUNTER_FORMAT { bLittleEndian: CK_FALSE, ulWidthInBits: 8 };
    let narrow = [field(CK_SP800_108_ITERATION_VARIABLE, &narrow)];
    let kdf = Kdf { kind: counter_mode, prf: CKM_SHA256_HMAC, fields: &narrow, initial: b"" };
    assert_eq!(kdf.value(&module, session, base, 255 * 32).map(|key| key.len()), Ok(255 * 32));
    assert_eq!(kdf.value(&module, session, base, 256 * 32), Err(CKR_KEY_SIZE_RANGE));

    // Arrays of further keys that are not there, have no place for a handle, or cannot be.
    let (mut place, len) = (0, 16_u64.to_ne_bytes());
    let mut template = attributes(&[(CKA_VALUE_LEN, &len)]);
    let mut no_place = CK_DERIVED_KEY { pTemplate: template.as_mut_ptr(), ulAttributeCount: 1, phKey: null_mut() };
    let mut no_template = CK_DERIVED_KEY { pTemplate: null_mut(), ulAttributeCount: 1, phKey: &raw mut place };
    for (array, count, code) in [
        (null_mut(), 1, CKR_MECHANISM_PARAM_INVALID),
        (&raw mut no_place, 1, CKR_MECHANISM_PARAM_INVALID),
        (&raw mut no_place, CK_UNAVAILABLE_INFORMATION, CKR_MECHANISM_PARAM_INVALID),
        (&raw mut no_template, 1, CKR_ARGUMENTS_BAD),
    ] {
        let mut fields = [counting];
        let mut params = CK_SP800_108_KDF_PARAMS {
            prfType: CKM_SHA256_HMAC,
            ulNumberOfDataParams: 1,
            pDataParams: fields.as_mut_ptr(),
            ulAdditionalDerivedKeys: count,
            pAdditionalDerivedKeys: array,
        };
        let size = size_of_val(&params) as CK_ULONG;
        let mut mechanism = CK_MECHANISM { mechanism: counter_mode, pParameter: (&raw mut params).cast(), ulParameterLen: size };
        let mut template = attributes(&[(CKA_VALUE_LEN, &len)]);
        let derived = ok(call!(module, C_DeriveKey(session, &raw mut mechanism, base, template.as_mut_ptr(), 1, &raw mut place)));
        assert_eq!(derived, Err(code));
    }
}
