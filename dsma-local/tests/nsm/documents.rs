//! Documents of the emulated module: in form and chain as the real ones, believed under its root and under no other.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use ciborium::Value;
use dsma_attest::{Document, Error, Roots, Verifier};
use serde_json::json;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::{State, programs, stderr, succeeded};

/// A document made behind `with-nsm OPTIONS`.
fn document(state: &Path, options: &[&str]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dsma-local"));
    command.arg("--state").arg(state).arg("with-nsm").args(options).arg("--").args([&programs::in_enclave(), "document"]);
    succeeded(&command.arg(file.path()).output().unwrap());
    std::fs::read(file.path()).unwrap()
}

/// A document made behind `with-nsm OPTIONS` that is believed under the state's root.
fn verified(state: &State, options: &[&str]) -> Document {
    let bytes = document(state.path(), options);
    verifier(state).verify(&bytes, SystemTime::now()).unwrap()
}

/// The root is there once a document was made.
fn verifier(state: &State) -> Verifier {
    Verifier::new(Roots::none().with_pem(&state.root_pem()).unwrap())
}

#[test]
fn believed_under_its_own_root_and_no_other() {
    let state = State::new();
    let bytes = document(state.path(), &[]);
    let now = SystemTime::now();
    let document = verifier(&state).verify(&bytes, now).unwrap();
    assert_eq!((document.user_data, document.nonce, document.public_key), (Some(vec![7; 64]), Some(vec![8; 16]), None));
    let refused = Verifier::new(Roots::aws()).verify(&bytes, now).unwrap_err();
    assert!(matches!(&refused, Error::UnknownRoot { root, .. } if root.contains("emulated.nitro-enclaves")), "{refused}");
    // Nor under the root of another state.
    let other = State::new();
    self::document(other.path(), &[]);
    assert_eq!(verifier(&other).verify(&bytes, now).unwrap_err().rule(), "root");
}

/// The measurements that CCM is to approve are those that the documents show.
#[test]
fn the_default_image_is_that_of_build_info() {
    let state = State::new();
    let build: serde_json::Value = serde_json::from_slice(&std::fs::read(state.path().join("build_info.json")).unwrap()).unwrap();
    let build = &build["attributes"]["nitro_enclave"]["nitro_enclave"];
    let document = verified(&state, &[]);
    for index in 0..3 {
        assert_eq!(build[format!("pcr{index}")], hex::encode(&document.pcrs[&index]));
    }
}

#[test]
fn measurements_are_those_that_were_given() {
    let state = State::new();
    let values: Vec<_> = ["a1", "b2", "c3"].iter().map(|byte| byte.repeat(48)).collect();
    let file = state.path().join("measurement.json");
    let nitro_cli = json!({"Measurements": {"HashAlgorithm": "Sha384 { ... }", "PCR0": values[0], "PCR1": values[1], "PCR2": values[2]}});
    std::fs::write(&file, nitro_cli.to_string()).unwrap();
    let options = ["--pcr0", &values[0], "--pcr1", &values[1], "--pcr2", &values[2]];
    for options in [["--measurements", file.to_str().unwrap()].as_slice(), &options] {
        let document = verified(&state, options);
        let expected: BTreeMap<_, _> = (0u32..).zip(&values).map(|(index, value)| (index, hex::decode(value).unwrap())).collect();
        assert!(expected.iter().all(|(index, value)| document.pcrs[index] == *value));
    }
}

#[test]
fn debug_mode_is_refused_as_that_of_a_real_enclave() {
    let state = State::new();
    let bytes = document(state.path(), &["--debug-mode"]);
    let refused = verifier(&state).verify(&bytes, SystemTime::now()).unwrap_err();
    assert!(matches!(refused, Error::DebugMode { pcr: 0, seen: "all zero" }), "{refused}");
    let document = verifier(&state).allow_debug(true).verify(&bytes, SystemTime::now()).unwrap();
    assert_ne!(document.pcrs[&4], vec![0; 48], "the other registers stay");
}

/// Envelope and map as the real module has written them since 2025.
#[test]
fn the_form_is_that_of_real_ones() {
    let state = State::new();
    let bytes = document(state.path(), &[]);
    assert_eq!(bytes[..7], [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0], "untagged, ES384, empty unprotected header");
    let parts: Vec<Value> = ciborium::from_reader(bytes.as_slice()).unwrap();
    let payload = parts[2].as_bytes().unwrap();
    assert_eq!((payload[0], *payload.last().unwrap()), (0xbf, 0xff), "a map of indefinite length");
    assert_eq!(parts[3].as_bytes().unwrap().len(), 96);
    let Value::Map(fields) = ciborium::from_reader(payload.as_slice()).unwrap() else { panic!() };
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_text().unwrap()).collect();
    let real = ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"];
    assert_eq!(names, real);
    assert!(fields[6].1.is_null(), "a field that was not given is null");
    let document = Document::parse(&bytes).unwrap();
    assert_eq!(document.pcrs.keys().copied().collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    // PCR4 is of the instance's id.
    let (instance, enclave) = document.module_id.split_once("-enc").unwrap();
    assert_eq!((instance.len(), enclave.len()), ("i-".len() + 17, 16));
    let pcr4 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, &[&[0; 48], instance.as_bytes()].concat());
    assert_eq!(document.pcrs[&4], pcr4.as_ref());
}

#[test]
fn the_chain_is_that_of_real_ones() {
    let state = State::new();
    let document = Document::parse(&document(state.path(), &[])).unwrap();
    let mut chain = document.cabundle.clone();
    chain.push(document.certificate.clone());
    let hours = [30 * 365 * 24, 20 * 24, 138, 24, 3];
    let path_lengths = [None, Some(2), Some(1), Some(0), None];
    assert_eq!(chain.len(), 5);
    for (place, der) in chain.iter().enumerate() {
        let certificate = Certificate::from_der(der).unwrap();
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        let lifetime = validity.not_after.to_unix_duration() - validity.not_before.to_unix_duration();
        assert!((0..=3).contains(&(lifetime.as_secs() - hours[place] * 3600)), "{place}: {lifetime:?}");
        let (critical, constraints) = certificate.get_extension::<BasicConstraints>().unwrap().unwrap();
        assert!(critical);
        assert_eq!((constraints.ca, constraints.path_len_constraint), (place < 4, path_lengths[place]));
        let (critical, usage) = certificate.get_extension::<KeyUsage>().unwrap().unwrap();
        let bits = (usage.digital_signature(), usage.non_repudiation(), usage.key_cert_sign(), usage.crl_sign());
        let expected = match place {
            0..3 => (true, (true, false, true, true)),
            3 => (true, (false, false, true, false)),
            _ => (false, (true, true, false, false)),
        };
        assert_eq!((critical, bits), expected, "{place}");
    }
    let names: Vec<_> = chain.iter().map(|der| Certificate::from_der(der).unwrap().tbs_certificate().subject().to_string()).collect();
    assert!(names[1].contains(".local.emulated.nitro-enclaves") && names[2].contains(".zonal.local.emulated.nitro-enclaves"), "{names:?}");
    assert!(names[4].contains(&format!("CN={}.local.emulated", document.module_id)), "{names:?}");
}

/// A served state, several emulated enclaves at the same time: one root, one instance, each its own enclave.
#[test]
fn a_running_state_may_be_used_by_several() {
    let stack = dsma_testkit::Stack::start();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..3).map(|_| scope.spawn(|| Document::parse(&document(stack.state_dir(), &[])).unwrap())).collect();
        running.into_iter().map(|document| document.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|document| document.cabundle[0] == ids[0].cabundle[0]));
    assert!(ids[0].module_id != ids[1].module_id && ids[1].module_id != ids[2].module_id);
    assert_eq!(ids[0].module_id.split_once("-enc").unwrap().0, ids[1].module_id.split_once("-enc").unwrap().0);
}

#[test]
fn unusable_measurements_are_named() {
    let state = State::new();
    let garbage = state.path().join("garbage.json");
    std::fs::write(&garbage, "{").unwrap();
    for (options, expected) in [
        (vec!["--measurements", garbage.to_str().unwrap()], "is no JSON"),
        (vec!["--measurements", "/nonexistent.json"], "/nonexistent.json cannot be read"),
        (vec!["--pcr0", "00", "--pcr1", "00", "--pcr2", "00"], "PCR0 must be 96 hexadecimal digits"),
        (vec!["--pcr8", "xyz"], "PCR8 must be 96 hexadecimal digits"),
    ] {
        let output = state.run(&options, &["true"]);
        assert!(output.status.code() == Some(125) && stderr(&output).contains(expected), "{output:?}");
    }
    let half = state.run(&["--pcr0", "00"], &["true"]);
    assert_eq!(half.status.code(), Some(2), "{half:?}");
}
