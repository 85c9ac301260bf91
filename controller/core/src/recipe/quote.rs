//! Owns the quoting of values for those who read them.

use std::borrow::Cow;

/// Returns a word that a POSIX shell reads as exactly this text.
pub fn shell_quote(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

/// Returns a TOML basic string of this text.
pub(super) fn toml_string(text: &str) -> String {
    // JSON's escapes are TOML's too; TOML wants DEL escaped besides.
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
