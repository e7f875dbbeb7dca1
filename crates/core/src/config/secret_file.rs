//! Files that may hold secrets: configurations, API keys, private keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

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
    let refuse = |what: &str| problem(file, "file", what, mend);
    let unreadable = |error: io::Error| refuse(&error.to_string());
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(refuse("is no regular file"));
    }
    let source = File::open(file).map_err(unreadable)?;
    let mut content = WipedBuffer::default();
    // One more than the limit tells.
    content.fill_from(&mut source.take(LIMIT + 1)).map_err(unreadable)?;
    let mut bytes = content.into_bytes();
    if bytes.len() as u64 > LIMIT {
        return Err(refuse("is larger than 1 MiB"));
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        error.into_bytes().zeroize();
        refuse("is no text in UTF-8")
    })
}
