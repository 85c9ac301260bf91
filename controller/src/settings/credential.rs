//! Owns where a provider's real key is taken from, and that it is never printed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::block::not_yet;
use super::mistakes::Mistakes;
use super::tree::Entry;
use super::value;

/// The longest key, in bytes.
pub const CREDENTIAL_BYTES_MAX: u64 = 16 * 1024;

/// Where a key is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The controller's environment variable of this name.
    Env(String),
    /// This file; the path begins with `/` or `~/`.
    File(PathBuf),
}

/// A key. It is not printed, not even for debugging.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The variable is not there.
    #[error("the environment variable {0} of the controller is not set")]
    Unset(String),
    /// The file cannot be read.
    #[error("reading the key from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `~/` was written and the controller has no home directory.
    #[error("{} is below the home directory, and HOME is not set", .0.display())]
    NoHome(PathBuf),
    /// What is there cannot be sent in a header.
    #[error("the key from {0} {1}")]
    Form(String, &'static str),
}

impl Secret {
    /// Returns the key itself, to be sent and not to be kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Credential {
    /// Takes the key as it is now.
    ///
    /// Fails where there is none, and where it cannot be sent in a header.
    pub fn take(&self) -> Result<Secret, CredentialError> {
        let text = match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => text,
                Err(std::env::VarError::NotPresent) => {
                    return Err(CredentialError::Unset(name.clone()));
                }
                Err(std::env::VarError::NotUnicode(_)) => String::from('\u{fffd}'),
            },
            Self::File(path) => read_file(&below_home(path)?)?,
        };
        let key = text.trim_end_matches(['\n', '\r']);
        let form = |reason| Err(CredentialError::Form(self.to_string(), reason));
        if key.is_empty() {
            return form("is empty");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return form("has spaces or other characters that no key has");
        }
        Ok(Secret(key.to_owned()))
    }
}

fn below_home(path: &Path) -> Result<PathBuf, CredentialError> {
    let Ok(rest) = path.strip_prefix("~") else {
        return Ok(path.to_owned());
    };
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map(|home| Path::new(&home).join(rest))
        .ok_or_else(|| CredentialError::NoHome(path.to_owned()))
}

fn read_file(path: &Path) -> Result<String, CredentialError> {
    let error = |source| CredentialError::Read {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(error)?.is_file() {
        return Err(error(io::Error::other("this is not a regular file")));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(error)?;
    file.take(CREDENTIAL_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(error)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > CREDENTIAL_BYTES_MAX) {
        return Err(error(io::Error::other("this is too long for a key")));
    }
    Ok(text)
}

/// Reads where a key comes from; `None` also where it is written that none is wanted.
///
/// Nothing of the value is repeated in a mistake: somebody may have written the key itself.
pub(super) fn read(entry: &Entry, mistakes: &mut Mistakes) -> Option<Credential> {
    let expected = "env:NAME, file:PATH or passthrough";
    let text = &value::scalar(entry, expected, mistakes)?.text;
    let at = entry.value.at;
    match text.split_once(':') {
        None if text == "passthrough" => {}
        Some(("env", name)) if is_variable(name) => return Some(Credential::Env(name.to_owned())),
        Some(("env", _)) => mistakes.add(
            at,
            "what follows env: is no name of an environment variable",
            "write the name of the variable, not the key: env:ANTHROPIC_API_KEY",
        ),
        Some(("file", path)) if is_whole_path(path) => {
            return Some(Credential::File(PathBuf::from(path)));
        }
        Some(("file", _)) => mistakes.add(
            at,
            "what follows file: is no whole path",
            "write a path that begins with / or ~/, such as file:~/.keys/anthropic",
        ),
        Some(("command", _)) => {
            not_yet(at, "command:", "write env:NAME or file:PATH", mistakes);
        }
        _ => mistakes.add(
            at,
            "this is no place to take a key from",
            format!("write {expected}; the key itself does not belong in this file"),
        ),
    }
    None
}

fn is_whole_path(path: &str) -> bool {
    (path.starts_with('/') || path.starts_with("~/")) && !path.contains(char::is_control)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, Credential) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, text).unwrap();
        (dir, Credential::File(path))
    }

    #[test]
    fn a_key_is_taken_from_its_file_without_the_end_of_the_line() {
        let (_dir, credential) = file(b"sk-1234\r\n");
        assert_eq!(credential.take().unwrap().expose(), "sk-1234");
    }

    #[test]
    fn a_key_is_taken_from_the_environment() {
        let home = std::env::var("HOME").unwrap();
        let credential = Credential::Env("HOME".to_owned());
        assert_eq!(credential.take().unwrap().expose(), home);
        let unset = Credential::Env("BB_NOBODY_SETS_THIS".to_owned());
        assert!(
            matches!(unset.take(), Err(CredentialError::Unset(name)) if name == "BB_NOBODY_SETS_THIS")
        );
    }

    #[test]
    fn what_cannot_be_sent_is_no_key_and_is_not_repeated() {
        for text in [
            &b""[..],
            b"\n",
            b"sk 1234",
            b"sk-1234\nsk-5678",
            b"\xc3\xbc-secret",
        ] {
            let (_dir, credential) = file(text);
            let error = credential.take().unwrap_err();
            assert!(matches!(error, CredentialError::Form(..)), "{error}");
            assert!(!error.to_string().contains("1234"), "{error}");
        }
        let (_dir, credential) = file(&vec![b'x'; 16 * 1024 + 1]);
        assert!(matches!(
            credential.take(),
            Err(CredentialError::Read { .. })
        ));
    }

    #[test]
    fn a_place_that_is_no_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("nothing")] {
            let taken = Credential::File(path).take();
            assert!(matches!(taken, Err(CredentialError::Read { .. })));
        }
    }

    #[test]
    fn a_path_below_the_home_directory_is_found_there() {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        assert_eq!(
            below_home(Path::new("~/keys/a")).unwrap(),
            home.join("keys/a")
        );
        assert_eq!(
            below_home(Path::new("/keys/~/a")).unwrap(),
            Path::new("/keys/~/a")
        );
    }

    #[test]
    fn a_secret_does_not_print() {
        let (_dir, credential) = file(b"sk-1234");
        assert_eq!(format!("{:?}", credential.take().unwrap()), "Secret(…)");
    }
}
