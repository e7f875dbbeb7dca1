//! A program as it runs in an enclave: it has a `/dev/nsm` and knows nothing of `dsma-local with-nsm`, under which the tests start it.
//!
//! ```text
//! dsma-local with-nsm -- target/debug/examples/in_enclave request fortanix.com
//! ```
//!
//! What it is asked for is its first argument: `registers` goes through the device's interface with AWS's crate, `document FILE` writes an
//! attestation document, `request DOMAIN [another-key] [configured]` prints a certificate request for the domain.

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use aws_nitro_enclaves_nsm_api::driver::{nsm_exit, nsm_init, nsm_process_request};
use dsma_attest::csr::{CsrRequest, KeyPair, build};
use dsma_attest::{binding, nsm::Device};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["registers"] => registers(),
        ["document", file] => document(file),
        ["request", domain, ref options @ ..] => request(domain, options),
        _ => panic!("in_enclave registers | document FILE | request DOMAIN [another-key] [configured], not {arguments:?}"),
    }
}

/// A document over 64 bytes of 7, with a nonce of 16 bytes of 8.
fn document(file: &str) {
    let device = Device::open().unwrap();
    assert_eq!(device.describe().unwrap().max_pcrs, 32);
    assert_eq!(device.random().unwrap().len(), 256);
    std::fs::write(file, device.attestation(Some(&[7; 64]), Some(&[8; 16]), None).unwrap()).unwrap();
}

/// A request for a fresh key. `another-key`: the document is bound to one that is not in the request; `configured`: it names an app
/// configuration, 32 bytes of 7.
fn request(domain: &str, options: &[&str]) {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let bound = if options.contains(&"another-key") { &other } else { &key };
    let config = options.contains(&"configured").then_some([7; 32]);
    let user_data = binding::user_data(bound.spki_der(), config.as_ref());
    let document = Device::open().unwrap().attestation(Some(&user_data), Some(&[9; 16]), None).unwrap();
    let request = CsrRequest { subject_common_name: Some(domain.to_owned()), dns_names: Vec::new() };
    print!("{}", build(&key, &request, Some(&document)).unwrap());
}

/// All that the device answers, through AWS's crate. PCR8 is expected to be 0xab.
fn registers() {
    let device = nsm_init();
    assert!(device >= 0);
    let ask = |request| nsm_process_request(device, request);
    let describe = |index| match ask(Request::DescribePCR { index }) {
        Response::DescribePCR { lock, data } => (lock, data),
        other => panic!("{other:?}"),
    };
    let refused = |request, expected: ErrorCode| match ask(request) {
        Response::Error(code) => assert_eq!(format!("{code:?}"), format!("{expected:?}")),
        other => panic!("{expected:?} is expected, and it answered {other:?}"),
    };

    let Response::DescribeNSM { module_id, max_pcrs, locked_pcrs, digest, version_major, .. } = ask(Request::DescribeNSM) else { panic!() };
    assert!(module_id.starts_with("i-") && module_id.contains("-enc"), "{module_id}");
    assert_eq!((version_major, max_pcrs, digest), (1, 32, Digest::SHA384));
    assert_eq!(locked_pcrs.into_iter().collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());

    // Measured registers are set and locked; the others belong to the enclave.
    assert_eq!(describe(8), (true, vec![0xab; 48]));
    assert!(describe(0).0 && describe(0).1 != vec![0; 48]);
    assert_eq!(describe(16), (false, vec![0; 48]));
    refused(Request::ExtendPCR { index: 0, data: vec![1] }, ErrorCode::ReadOnlyIndex);
    refused(Request::LockPCR { index: 3 }, ErrorCode::ReadOnlyIndex);

    // SHA-384 of 48 zero bytes and `abc`, then of that and `abc`: (head -c 48 /dev/zero; printf abc) | openssl dgst -sha384
    let extend = |index| match ask(Request::ExtendPCR { index, data: b"abc".to_vec() }) {
        Response::ExtendPCR { data } => hex::encode(data),
        other => panic!("{other:?}"),
    };
    assert_eq!(extend(16), "b1c16eb7634112b7c9d5ebd27e62a2d4528bbfcfd68b62d3afd9ecf98e0f413a84314acce78317fb69fd895155343e09");
    assert_eq!(extend(16), "23a72f79ff6c08f7f5c9ec51ada36adac38a411ab63031ada770d9a4a94f3228e6c217965c1a24e0325a2dd24dd5de0d");
    assert_eq!(
        describe(16),
        (false, hex::decode("23a72f79ff6c08f7f5c9ec51ada36adac38a411ab63031ada770d9a4a94f3228e6c217965c1a24e0325a2dd24dd5de0d").unwrap())
    );
    assert!(matches!(ask(Request::LockPCR { index: 16 }), Response::LockPCR));
    refused(Request::ExtendPCR { index: 16, data: vec![1] }, ErrorCode::ReadOnlyIndex);
    assert!(matches!(ask(Request::LockPCRs { range: 20 }), Response::LockPCRs));
    assert_eq!((describe(19).0, describe(20).0), (true, false));

    for request in [Request::DescribePCR { index: 32 }, Request::ExtendPCR { index: 32, data: vec![1] }, Request::LockPCR { index: 99 }] {
        refused(request, ErrorCode::InvalidIndex);
    }
    refused(Request::LockPCRs { range: 33 }, ErrorCode::InvalidIndex);
    refused(Request::ExtendPCR { index: 20, data: vec![] }, ErrorCode::InvalidArgument);
    refused(Request::ExtendPCR { index: 20, data: vec![0; 513] }, ErrorCode::InputTooLarge);
    let attest = |user_data: usize, nonce: usize, public_key: usize| {
        let field = |length| Some(vec![1; length].into());
        Request::Attestation { user_data: field(user_data), nonce: field(nonce), public_key: field(public_key) }
    };
    refused(attest(513, 1, 1), ErrorCode::InputTooLarge);
    refused(attest(1, 513, 1), ErrorCode::InputTooLarge);
    refused(attest(1, 1, 1025), ErrorCode::InputTooLarge);
    refused(attest(4000, 4000, 1), ErrorCode::InputTooLarge);
    assert!(matches!(ask(attest(512, 512, 1024)), Response::Attestation { .. }));

    let random = || match ask(Request::GetRandom) {
        Response::GetRandom { random } => random,
        other => panic!("{other:?}"),
    };
    let (one, two) = (random(), random());
    assert!(one.len() == 256 && one != two);
    nsm_exit(device);
    println!("ok");
}
