//! Whatever arrives, the readers answer: no panic, no endless loop, no belief in what was changed.

mod support;

use dsma_attest::csr::{Csr, CsrRequest, KeyPair, build};
use dsma_attest::{Document, Roots, Verifier};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use support::{EVERVAULT, FORTANIX, TKHQ, at_millis};

/// One change: a byte replaced, bytes removed, bytes repeated, or bytes put in.
#[derive(Clone, Debug)]
enum Change {
    Replace(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let range = |start: usize, length: usize, bytes: &Vec<u8>| {
            let start = start % (bytes.len() + 1);
            start..(start + length).min(bytes.len())
        };
        match self {
            Self::Replace(place, value) if !bytes.is_empty() => {
                let place = place % bytes.len();
                bytes[place] = *value;
            }
            Self::Replace(..) => {}
            Self::Remove(start, length) => drop(bytes.drain(range(*start, *length, bytes))),
            Self::Repeat(start, length) => {
                let range = range(*start, *length, bytes);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, copy);
            }
            Self::Insert(place, more) => {
                let place = place % (bytes.len() + 1);
                bytes.splice(place..place, more.iter().copied());
            }
        }
    }
}

/// Most changes hit the front, where the structure is.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![0..64usize, 0..2000usize, any::<usize>()]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (place(), any::<u8>()).prop_map(|(place, value)| Change::Replace(place, value)),
        (place(), 1..40usize).prop_map(|(start, length)| Change::Remove(start, length)),
        (place(), 1..400usize).prop_map(|(start, length)| Change::Repeat(start, length)),
        (place(), vec(any::<u8>(), 1..20)).prop_map(|(place, more)| Change::Insert(place, more)),
    ];
    vec(change, 1..6)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    changes.iter().for_each(|change| change.apply(&mut bytes));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn mutated_documents(sample in prop_oneof![Just(EVERVAULT), Just(FORTANIX), Just(TKHQ)], changes in changes()) {
        let bytes = changed(sample, &changes);
        let Ok(document) = Document::parse(&bytes) else { return Ok(()) };
        let verifier = Verifier::new(Roots::aws()).allow_debug(true).without_age_limit();
        // What is believed is one of the three, and not a bit else.
        if let Ok(believed) = verifier.verify(&bytes, at_millis(document.timestamp_millis)) {
            assert_eq!(believed, Document::parse(sample).unwrap());
        }
    }

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..600)) {
        let _ = Document::parse(&bytes);
        let _ = Csr::parse_der(&bytes);
        let _ = Csr::parse_pem(&String::from_utf8_lossy(&bytes));
    }

    /// The payload behind a proper envelope.
    #[test]
    fn arbitrary_payloads(payload in vec(any::<u8>(), 1..600)) {
        let envelope = support::encoded(&ciborium::Value::Array(vec![
            ciborium::Value::Bytes(vec![0xa1, 0x01, 0x38, 0x22]),
            ciborium::Value::Map(vec![]),
            ciborium::Value::Bytes(payload),
            ciborium::Value::Bytes(vec![0; 96]),
        ]));
        let _ = Document::parse(&envelope);
    }

    #[test]
    fn mutated_requests(changes in changes()) {
        let (original, der) = sample_request();
        // Only what says the same as before can still be signed.
        if let Ok(csr) = Csr::parse_der(&changed(der, &changes)) {
            assert_eq!(&csr, original);
        }
    }
}

fn sample_request() -> &'static (Csr, Vec<u8>) {
    static SAMPLE: std::sync::OnceLock<(Csr, Vec<u8>)> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| {
        let request = CsrRequest { subject_common_name: Some("fortanix.com".to_owned()), dns_names: vec!["fortanix.com".to_owned()] };
        let pem = build(&KeyPair::generate().unwrap(), &request, Some(b"document")).unwrap();
        let (_, der) = x509_cert::der::pem::decode_vec(pem.as_bytes()).unwrap();
        (Csr::parse_pem(&pem).unwrap(), der)
    })
}
