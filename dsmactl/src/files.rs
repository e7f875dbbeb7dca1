//! Reading what an operator names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::Error;

/// More than any file that is read here has.
const MAX_FILE: u64 = 1 << 20;

/// The content of a file of at most 1 MiB; `-` is the standard input.
///
/// # Errors
/// Where it cannot be read, or is longer.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let done = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
    };
    done.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_FILE {
        let problem = format!("has more than {MAX_FILE} bytes, and no file that belongs here has: is it the right one?");
        return Err(Error::Input { path: path.to_owned(), problem });
    }
    Ok(bytes)
}
