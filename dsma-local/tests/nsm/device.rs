//! The device's interface: through AWS's crate, and as bare system calls.

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
    let output = state.run(&["--pcr8", &"ab".repeat(48)], &[&programs::in_enclave(), "registers"]);
    assert_eq!(succeeded(&output), "ok\n");
}
