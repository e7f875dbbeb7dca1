//! Files that may hold secrets: configurations, API keys, private keys.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::{Zeroize, Zeroizing};

use super::problem;
use crate::Error;
use crate::wiped::WipedBuffer;

/// Such a file is small; anything larger is a mistake.
const LIMIT: u64 = 1 << 20;

/// The text of a file. A PIN names files too, so it must be a file: no device without end, no pipe that nobody fills.
///
/// # Errors
/// [`Error::Config`] that names the file, with this mend.
pub(crate) fn read_secret_file(file: &Path, mend: &str) -> Result<Zeroizing<String>, Error> {
    let unreadable = |error: io::Error| problem(file, "file", &error.to_string(), mend);
    // The open of a pipe would wait for its writer. What is looked at is what is read, whatever the name means meanwhile.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let source = OpenOptions::new().read(true).custom_flags(flags).open(file).map_err(unreadable)?;
    if !source.metadata().map_err(unreadable)?.is_file() {
        return Err(problem(file, "file", "is no regular file", mend));
    }
    read_text(source, file, mend)
}

/// The text of a configuration, which may come through a pipe: whoever starts the program names it, and fills it.
///
/// # Errors
/// As [`read_secret_file`].
pub(super) fn read_configuration(file: &Path, mend: &str) -> Result<Zeroizing<String>, Error> {
    let source = File::open(file).map_err(|error| problem(file, "file", &error.to_string(), mend))?;
    read_text(source, file, mend)
}

fn read_text(source: File, file: &Path, mend: &str) -> Result<Zeroizing<String>, Error> {
    let refuse = |what: &str| problem(file, "file", what, mend);
    let mut content = WipedBuffer::default();
    // One more than the limit tells.
    content.fill_from(&mut source.take(LIMIT + 1)).map_err(|error| refuse(&error.to_string()))?;
    let mut bytes = content.into_bytes();
    if bytes.len() as u64 > LIMIT {
        return Err(refuse("is larger than 1 MiB"));
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        error.into_bytes().zeroize();
        refuse("is no text in UTF-8")
    })
}
