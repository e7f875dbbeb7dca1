//! The published samples, and documents of a PKI of our own that can be made wrong in one place at a time.
#![allow(dead_code, reason = "each test program uses a part")]

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use ciborium::{Value, cbor};
use dsma_attest::{Roots, Verifier};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384};
use time::OffsetDateTime;

/// From fortanix/rust-sgx, `nitro-attestation-verify/data/request_proper.bin`: a debug-mode enclave, in the shape of the CCM protocol.
pub(crate) const FORTANIX: &[u8] = include_bytes!("../samples/fortanix_rust-sgx_2021-09-09.bin");
/// From evervault/attestation-doc-validation, `test-data/beta/valid-attestation-doc-bytes`: a signed image (PCR8).
pub(crate) const EVERVAULT: &[u8] = include_bytes!("../samples/evervault_2022-10-13_pcr8.bin");
/// From tkhq/qos, `src/qos_nsm/src/static/mock_attestation_doc`, real despite its name.
pub(crate) const TKHQ: &[u8] = include_bytes!("../samples/tkhq_qos_2022-07-06.bin");

pub(crate) fn at_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// The moment at which documents of [`Pki`] are signed: 2026-06-01T00:00:00Z.
pub(crate) const NOW: u64 = 1_780_272_000;

pub(crate) fn now() -> SystemTime {
    at_millis(NOW * 1000)
}

/// What one certificate of the chain says.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) name: String,
    /// The issuer's name, where it should not be that of the certificate above.
    pub(crate) ca: IsCa,
    pub(crate) usages: Vec<KeyUsagePurpose>,
    /// Seconds relative to [`NOW`].
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) critical: Option<Vec<u64>>,
}

/// Root, regional, zonal, instance and leaf, as in AWS's chains.
pub(crate) fn usual() -> Vec<Certificate> {
    let ca = |name: &str, path_length: Option<u8>, until| Certificate {
        name: name.to_owned(),
        ca: IsCa::Ca(path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained)),
        usages: vec![KeyUsagePurpose::KeyCertSign],
        from: -60,
        until,
        critical: None,
    };
    const DAY: i64 = 86_400;
    vec![
        ca("test.nitro-enclaves", None, 10_000 * DAY),
        ca("1.region.test.nitro-enclaves", Some(2), 20 * DAY),
        ca("2.zonal.region.test.nitro-enclaves", Some(1), 5 * DAY),
        ca("i-3.region.test.nitro-enclaves", Some(0), DAY),
        Certificate {
            name: "i-3-enc4.region.test".to_owned(),
            ca: IsCa::NoCa,
            usages: vec![KeyUsagePurpose::DigitalSignature],
            from: -60,
            until: 3 * 3600,
            critical: None,
        },
    ]
}

/// A chain, and the key at its end.
pub(crate) struct Pki {
    /// DER, root first, leaf last.
    pub(crate) chain: Vec<Vec<u8>>,
    key: EcdsaKeyPair,
}

impl Pki {
    pub(crate) fn new(certificates: &[Certificate]) -> Self {
        Self::with_algorithm(certificates, &PKCS_ECDSA_P384_SHA384)
    }

    /// With another kind of key in the leaf's certificate; documents are still signed with P-384.
    pub(crate) fn with_algorithm(certificates: &[Certificate], leaf: &'static rcgen::SignatureAlgorithm) -> Self {
        let mut chain = Vec::new();
        let mut above: Option<Issuer<'static, KeyPair>> = None;
        let mut last = None;
        for (place, certificate) in certificates.iter().enumerate() {
            let algorithm = if place + 1 == certificates.len() { leaf } else { &PKCS_ECDSA_P384_SHA384 };
            let key = KeyPair::generate_for(algorithm).unwrap();
            let params = certificate.params();
            let made = match &above {
                None => params.self_signed(&key).unwrap(),
                Some(above) => params.signed_by(&key, above).unwrap(),
            };
            chain.push(made.der().to_vec());
            last = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key.serialize_der()).ok();
            above = Some(Issuer::new(params, key));
        }
        let key = last.unwrap_or_else(|| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap());
        Self { chain, key }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::none().with_der(&self.chain[0]).unwrap()
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.roots())
    }

    /// The fields of a document that is right in every way.
    pub(crate) fn fields(&self) -> Vec<(Value, Value)> {
        let pcr = |index: u8| Value::Bytes(if index < 3 { vec![index + 1; 48] } else { vec![0; 48] });
        let pcrs = (0..16u8).map(|index| (Value::from(index), pcr(index))).collect();
        let (leaf, issuers) = self.chain.split_last().unwrap();
        vec![
            ("module_id".into(), "i-3-enc4".into()),
            ("digest".into(), "SHA384".into()),
            ("timestamp".into(), Value::from(NOW * 1000)),
            ("pcrs".into(), Value::Map(pcrs)),
            ("certificate".into(), Value::Bytes(leaf.clone())),
            ("cabundle".into(), Value::Array(issuers.iter().cloned().map(Value::Bytes).collect())),
            ("public_key".into(), Value::Null),
            ("user_data".into(), Value::Bytes(vec![7; 64])),
            ("nonce".into(), Value::Bytes(vec![8; 16])),
        ]
    }

    /// A signed document with one thing changed before it is signed.
    pub(crate) fn document(&self, change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
        let mut fields = self.fields();
        change(&mut fields);
        self.sign(&encoded(&Value::Map(fields)))
    }

    /// COSE_Sign1 over this payload, made by hand after RFC 9052, section 4.4.
    pub(crate) fn sign(&self, payload: &[u8]) -> Vec<u8> {
        let protected = Value::Bytes(vec![0xa1, 0x01, 0x38, 0x22]);
        let signed = cbor!(["Signature1", protected, Value::Bytes(vec![]), Value::Bytes(payload.to_vec())]).unwrap();
        let signature = self.key.sign(&SystemRandom::new(), &encoded(&signed)).unwrap().as_ref().to_vec();
        encoded(&cbor!([protected, {}, Value::Bytes(payload.to_vec()), Value::Bytes(signature)]).unwrap())
    }
}

impl Certificate {
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, self.name.as_str());
        params.is_ca = self.ca;
        params.key_usages = self.usages.clone();
        let time = |offset| OffsetDateTime::from_unix_timestamp(NOW as i64 + offset).unwrap();
        (params.not_before, params.not_after) = (time(self.from), time(self.until));
        if let Some(oid) = &self.critical {
            let mut extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        }
        params
    }
}

/// Sets a field, or adds it.
pub(crate) fn set(fields: &mut Vec<(Value, Value)>, name: &str, value: Value) {
    match fields.iter_mut().find(|(key, _)| key.as_text() == Some(name)) {
        Some((_, old)) => *old = value,
        None => fields.push((name.into(), value)),
    }
}

pub(crate) fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

pub(crate) fn decoded(bytes: &[u8]) -> Value {
    ciborium::from_reader(bytes).unwrap()
}
