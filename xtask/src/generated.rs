//! A file that is made from the sources, committed, and checked.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// The file with what the sources say it should hold.
pub(crate) struct Generated {
    pub(crate) path: PathBuf,
    pub(crate) text: Vec<u8>,
    /// The command that writes it.
    pub(crate) mend: &'static str,
}

impl Generated {
    /// Writes it, unless it says the same already.
    pub(crate) fn write(&self) -> Result<(), Box<dyn Error>> {
        if fs::read(&self.path).ok().as_ref() != Some(&self.text) {
            fs::write(&self.path, &self.text)?;
            println!("wrote {}", self.path.display());
        }
        Ok(())
    }

    /// Fails with the difference where it is not what the sources say.
    pub(crate) fn check(&self) -> Result<(), Box<dyn Error>> {
        if fs::read(&self.path)? == self.text {
            return Ok(());
        }
        let mut fresh = tempfile::NamedTempFile::new()?;
        fresh.write_all(&self.text)?;
        Command::new("diff").arg("-u").arg(&self.path).arg(fresh.path()).status()?;
        Err(format!("{} is stale; run `{}` and commit it", self.path.display(), self.mend).into())
    }
}
