//! Reading what an operator names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::Error;

/// More than any file that is read here has.
const MAX_FILE: u64 = 1 << 20;

/// The content of a file, of which at most 1 MiB is read; `-` is the standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let done = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_FILE).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
    };
    done.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}
