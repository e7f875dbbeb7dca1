//! Where the passphrase of the sealing key comes from. Never from the command line itself: every user of the machine may read that.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use crate::error::Error;

/// Characters of a new passphrase.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=1024;
/// Bytes of a source that are read.
const MAX_READ: u64 = 4 << 10;

/// A place that a passphrase is read from, in the spelling of OpenSSL's `-passin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `prompt`: the terminal, without echo.
    Prompt,
    /// `file:PATH`: the first line.
    File(PathBuf),
    /// `fd:N`: the first line of an open descriptor.
    Descriptor(u32),
    /// `env:NAME`: a variable.
    Variable(String),
}

impl FromStr for Source {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "prompt, file:PATH, fd:NUMBER or env:NAME is expected; the passphrase itself does not belong here";
        match text.split_once(':') {
            None if text == "prompt" => Ok(Self::Prompt),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("fd", number)) => number.parse().map(Self::Descriptor).map_err(|_| EXPECTED),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            _ => Err(EXPECTED),
        }
    }
}

impl Source {
    /// The passphrase of something that is protected; `what` is asked for at the terminal.
    pub(crate) fn read(&self, what: &str) -> Result<Zeroizing<String>, Error> {
        match self {
            Self::Prompt => ask(what),
            Self::File(path) => first_line(path.clone()),
            // The system's name of an open descriptor.
            Self::Descriptor(number) => first_line(format!("/dev/fd/{number}").into()),
            Self::Variable(name) => match std::env::var(name) {
                Ok(value) => Ok(Zeroizing::new(value)),
                Err(_) => Err(Error::Passphrase { problem: format!("the variable {name} is not set, or is no text") }),
            },
        }
    }

    /// A new passphrase: a person types it twice.
    pub(crate) fn read_new(&self) -> Result<Zeroizing<String>, Error> {
        let new = self.read("New passphrase")?;
        if !LENGTHS.contains(&new.chars().count()) {
            let (least, most) = (LENGTHS.start(), LENGTHS.end());
            return Err(Error::Passphrase { problem: format!("{least} to {most} characters are expected") });
        }
        if *self == Self::Prompt && self.read("The same again")? != new {
            return Err(Error::Passphrase { problem: "the two are not the same".into() });
        }
        Ok(new)
    }
}

/// The passphrase of one state directory. It is read once: a pipe has it once only, and a person types it once.
#[derive(Default)]
pub(crate) struct Passphrase {
    source: Option<Source>,
    read: OnceLock<Zeroizing<String>>,
}

impl Passphrase {
    /// The one that comes from `source`; `None` where nothing was said.
    pub(crate) fn from(source: Option<&Source>) -> Self {
        Self { source: source.cloned(), read: OnceLock::new() }
    }

    /// Whether somebody said where it comes from.
    pub(crate) fn is_given(&self) -> bool {
        self.source.is_some()
    }

    /// The passphrase of a state that has one. Where no source was named, a terminal is asked.
    pub(crate) fn known(&self) -> Result<&str, Error> {
        let asked = || std::io::stdin().is_terminal().then_some(Source::Prompt);
        let missing = || Error::Passphrase {
            problem: "it protects this state: give it with --passphrase file:PATH, fd:NUMBER, env:NAME or prompt".into(),
        };
        match self.read.get() {
            Some(text) => Ok(text),
            None => {
                let text = self.source.clone().or_else(asked).ok_or_else(missing)?.read("Passphrase")?;
                Ok(self.read.get_or_init(|| text))
            }
        }
    }

    /// The passphrase of a state that is made now; `None` where nothing was said.
    pub(crate) fn new_one(&self) -> Result<Option<&str>, Error> {
        match &self.source {
            None => Ok(None),
            Some(source) => {
                let text = source.read_new()?;
                Ok(Some(self.read.get_or_init(|| text)))
            }
        }
    }
}

fn ask(what: &str) -> Result<Zeroizing<String>, Error> {
    let typed = rpassword::prompt_password(format!("{what}: "));
    typed.map(Zeroizing::new).map_err(|source| Error::Passphrase { problem: format!("the terminal cannot be asked: {source}") })
}

fn first_line(path: PathBuf) -> Result<Zeroizing<String>, Error> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_READ as usize));
    let read = File::open(&path).and_then(|file| BufReader::new(file.take(MAX_READ)).read_line(&mut line));
    read.map_err(|source| Error::File { path, action: "read", source })?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sources_are_spelled_as_for_openssl() {
        for (text, source) in [
            ("prompt", Source::Prompt),
            ("file:/etc/dsm pass", Source::File("/etc/dsm pass".into())),
            ("fd:3", Source::Descriptor(3)),
            ("env:DSM_PASS", Source::Variable("DSM_PASS".into())),
        ] {
            assert_eq!(text.parse(), Ok(source));
        }
        for bad in ["", "hunter2hunter2", "pass:hunter2", "file:", "env:", "fd:x", "fd:-1", "prompt:"] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_line_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pass");
        for (content, expected) in
            [("correct horse\nbattery\n", "correct horse"), (" spaces stay \r\n", " spaces stay "), ("no end", "no end")]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(*Source::File(path.clone()).read("").unwrap(), expected);
        }
        fs::write(&path, "short\n").unwrap();
        assert!(Source::File(path).read_new().is_err());
        assert!(Source::File(dir.path().join("none")).read("").is_err());
    }
}
