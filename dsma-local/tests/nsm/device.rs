//! The device's interface: through AWS's crate, and as bare system calls.

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use aws_nitro_enclaves_nsm_api::driver::{nsm_exit, nsm_init, nsm_process_request};

use crate::{State, programs, stderr, succeeded};

#[test]
fn the_c_program_finds_a_device() {
    let state = State::new();
    for linking in ["dynamic", "static"] {
        let probe = programs::probe(linking);
        let checks = [&probe, "limits", "garbage", "descriptors", "threads", "forks", "inherited"];
        assert_eq!(succeeded(&state.run(&[], &checks)), "ok\n");
    }
}

/// Without with-nsm there is none, so that the test above tests something.
#[test]
fn the_c_program_finds_no_device_by_itself() {
    let alone = std::process::Command::new(programs::probe("dynamic")).arg("limits").output().unwrap();
    assert!(!alone.status.success() && stderr(&alone).contains("No such file or directory"), "{alone:?}");
}

/// enclave-host takes itself out of the reach of other processes. As root the emulator may look into it all the same; as anybody else
/// it has the call succeed without effect.
#[test]
fn a_process_that_hides_itself_is_served() {
    let state = State::new();
    let probe = programs::probe("dynamic");
    let root = is_root();
    let dumpable = |hidden: bool| format!("dumpable: {}\nok\n", u8::from(!hidden));
    assert_eq!(succeeded(&state.run(&[], &[&probe, "undumpable"])), dumpable(root));
    if root {
        let with_nsm = state.with_nsm(&[], &[&probe, "undumpable"]);
        let mut unprivileged = std::process::Command::new("setpriv");
        unprivileged.args(["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]).arg(with_nsm.get_program()).args(with_nsm.get_args());
        assert_eq!(succeeded(&unprivileged.output().unwrap()), dumpable(false));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn aws_crate_works_unmodified() {
    let state = State::new();
    let command = programs::of_this_test("device::registers_through_aws_crate");
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let output = state.run(&["--pcr8", &"ab".repeat(48)], &command);
    assert!(succeeded(&output).contains("1 passed"));
}

#[test]
#[ignore = "runs behind the device; see above"]
fn registers_through_aws_crate() {
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
}
