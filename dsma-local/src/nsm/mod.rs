//! The emulated Nitro Secure Module: `dsma-local with-nsm -- COMMAND` runs an unmodified program for which `/dev/nsm` exists.
//!
//! ```text
//! command      the program, with a seccomp filter that stops it at open("/dev/nsm") and at the device's ioctl    launch, filter
//!   |  open, ioctl
//! supervisor   answers both: the one with an empty file, the other with what the module says                     supervisor, memory
//!   |  CBOR request, CBOR answer
//! module       PCR bank, lock, random, attestation documents                                                     module, document
//!   |  signs with
//! chain        root (DIR/nsm), regional, zonal, instance, leaf: P-384, made anew when due                        authority, chain
//! ```
//!
//! Nothing but this program holds the emulator, and it weakens no check: its documents are believed by those who add its root, which
//! AWS's is not. [`kernel`] is the one place with system calls of its own.

mod authority;
mod chain;
mod document;
mod filter;
#[allow(unsafe_code)]
mod kernel;
mod launch;
mod measurements;
mod memory;
mod module;
mod supervisor;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::authority::Authority;
use self::measurements::Measurements;
pub(crate) use self::measurements::write_build_info;
use self::module::Module;
use crate::error::Error;
use crate::state_dir::StateDir;

/// `dsma-local with-nsm`: the program, and what the module says of its image.
#[derive(Args)]
pub(crate) struct WithNsm {
    /// The image's measurements: what nitro-cli prints, or the body of a CCM build; default: DIR/build_info.json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pcr0", "pcr1", "pcr2"])]
    measurements: Option<PathBuf>,
    /// PCR0, the whole image: 96 hexadecimal digits
    #[arg(long, value_name = "HEX", requires_all = ["pcr1", "pcr2"])]
    pcr0: Option<String>,
    /// PCR1, kernel and boot ramdisk
    #[arg(long, value_name = "HEX", requires_all = ["pcr0", "pcr2"])]
    pcr1: Option<String>,
    /// PCR2, the application
    #[arg(long, value_name = "HEX", requires_all = ["pcr0", "pcr1"])]
    pcr2: Option<String>,
    /// PCR3, the IAM role of the parent instance
    #[arg(long, value_name = "HEX")]
    pcr3: Option<String>,
    /// PCR8, the certificate that signed the image
    #[arg(long, value_name = "HEX")]
    pcr8: Option<String>,
    /// Say what a debug-mode enclave says: PCR0, PCR1 and PCR2 are zero
    #[arg(long)]
    debug_mode: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What `--help` shows below the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Run the service attested, without an enclave (DIR/attested.env sets NITRO_ENABLED, and DSMA_LOCAL_STATE):
    . ~/dsm/attested.env
    dsma-local with-nsm -- enclave-host --port 8443

  With the measurements of a real image, which CCM must have approved:
    nitro-cli build-enclave ... > measurement.json
    dsma-local with-nsm --measurements measurement.json -- enclave-host --port 8443

  As an enclave in debug mode, which CCM refuses:
    dsma-local with-nsm --debug-mode -- enclave-host --port 8443

Only opening /dev/nsm is answered: a program that first tests whether the file exists sees none. Child processes and threads are
served as well; with-nsm ends when the last of them has ended, with COMMAND's exit status, or of the same signal. Its own failures end
with 125; a COMMAND that cannot be run with 126, one that is not found with 127.

The emulator reads and writes COMMAND's memory. As root it may; as another user it has COMMAND stay dumpable (PR_SET_DUMPABLE 0 then
succeeds without effect), and set-uid programs gain nothing (no_new_privs).";

/// with-nsm itself failed, as with env(1) and timeout(1).
const OWN_FAILURE: u8 = 125;

impl WithNsm {
    /// Runs the command to its end.
    pub(crate) fn run(self, state: &Path) -> ExitCode {
        let code = self.prepare(state).and_then(|module| launch::run(&self.command, module)).unwrap_or_else(|error| {
            eprintln!("dsma-local: {error}");
            OWN_FAILURE
        });
        ExitCode::from(code)
    }

    fn prepare(&self, state: &Path) -> Result<Module, Error> {
        if !state.join("store.db").exists() {
            return Err(Error::NoState { path: state.to_owned() });
        }
        let mut measurements = match (&self.measurements, &self.pcr0, &self.pcr1, &self.pcr2) {
            (None, Some(pcr0), Some(pcr1), Some(pcr2)) => Measurements::of_image(pcr0, pcr1, pcr2)?,
            (Some(file), ..) => Measurements::read(file)?,
            _ => Measurements::read(&state.join(measurements::BUILD_INFO))?,
        };
        measurements.add(3, self.pcr3.as_deref())?;
        measurements.add(8, self.pcr8.as_deref())?;
        if self.debug_mode {
            measurements.clear_image();
        }
        Module::new(Authority::load_or_create(&state.join(authority::DIR))?, &measurements)
    }
}

/// The root under which this state's emulated modules sign, DER. It is made where there is none.
pub(crate) fn root_der(state: &StateDir) -> Result<Vec<u8>, Error> {
    Authority::load_or_create(&state.path(authority::DIR)).map(|authority| authority.der().to_vec())
}
