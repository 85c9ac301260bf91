//! Names and ids, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest bottle or agent name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest provider key, in bytes.
pub const PROVIDER_BYTES_MAX: usize = 32;

/// Why a text is no valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The text is longer than its kind of name may be.
    #[error("a name has at most {max} bytes; this one has {len}")]
    TooLong {
        /// Bytes of the text.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The text has a character that its kind of name may not have, or begins with one.
    #[error("{found:?} is not allowed {place}; {allowed}")]
    Character {
        /// The character found.
        found: char,
        /// Where it was found.
        place: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The text is a word that has another meaning.
    #[error("{0:?} has another meaning and cannot be a name")]
    Reserved(String),
}

const NAME_RULE: &str =
    "a name begins with a letter or digit and goes on with letters, digits, '.', '_' and '-'";
const PROVIDER_RULE: &str = "a provider begins with a lower-case letter and goes on with lower-case letters, digits, '_' and '-'";

fn check_name(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong {
            len: text.len(),
            max: NAME_BYTES_MAX,
        });
    }
    if !first.is_alphanumeric() {
        return Err(NameError::Character {
            found: first,
            place: "at the beginning",
            allowed: NAME_RULE,
        });
    }
    match text
        .chars()
        .find(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        Some(found) => Err(NameError::Character {
            found,
            place: "in a name",
            allowed: NAME_RULE,
        }),
        None => Ok(()),
    }
}

fn check_provider(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > PROVIDER_BYTES_MAX {
        return Err(NameError::TooLong {
            len: text.len(),
            max: PROVIDER_BYTES_MAX,
        });
    }
    if !first.is_ascii_lowercase() {
        return Err(NameError::Character {
            found: first,
            place: "at the beginning",
            allowed: PROVIDER_RULE,
        });
    }
    let odd = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
    if let Some(found) = text.chars().find(odd) {
        return Err(NameError::Character {
            found,
            place: "in a provider",
            allowed: PROVIDER_RULE,
        });
    }
    if matches!(text, "b" | "all") {
        return Err(NameError::Reserved(text.to_owned()));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a text.
            ///
            /// Fails with [`NameError`] where the text is not of this kind.
            pub fn new(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name_type! {
    /// The name of a bottle: 1 to 64 bytes; letters and digits of any script, `.`, `_`, `-`.
    BottleName, check_name
}
name_type! {
    /// The name of an agent (persona) that bottles run; same form as [`BottleName`].
    AgentName, check_name
}
name_type! {
    /// The key of a provider, such as `claude`: 1 to 32 bytes; `a-z`, digits, `_`, `-`.
    ///
    /// `all` and `b` are reserved: the first is every provider, the second is a path prefix.
    ProviderKey, check_provider
}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_type! {
    /// One upstream model request: a UUID version 7, made by the controller; sorts by time.
    CallId
}
uuid_type! {
    /// One launch or registration of a bottle: a UUID version 7, made by the controller.
    RunId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_taken_and_control_characters_are_not() {
        assert!(BottleName::new("translate-日本語").is_ok());
        assert!(BottleName::new("nightly-2026.11_20").is_ok());
        for odd in ["", "-x", "a b", "a/b", "a\u{1b}b", "a\u{202e}b", "a:b"] {
            assert!(BottleName::new(odd).is_err(), "{odd:?}");
        }
        assert_eq!(
            BottleName::new(&"x".repeat(65)),
            Err(NameError::TooLong { len: 65, max: 64 })
        );
    }

    #[test]
    fn words_with_another_meaning_are_no_providers() {
        assert!(ProviderKey::new("claude").is_ok());
        for odd in ["b", "all", "Claude", "9x", "a.b"] {
            assert!(ProviderKey::new(odd).is_err(), "{odd:?}");
        }
    }
}
