//! Owns what the input of a request is made of: text, media, and what is somewhere else.

use std::borrow::Cow;

use bb_proto::usage::Wire;

use super::read::{Reader, WORD_BYTES_MAX, count};
use super::scan::{Cursor, Member, Text, Watch};

/// A shorter string is text, whatever it looks like.
const MEDIA_BYTES_MIN: usize = 256;

impl Watch for Reader {
    fn key(&mut self, key: Text<'_>, mut value: Cursor<'_>) {
        self.text(key);
        let Some(key) = word(key) else { return };
        match key.as_ref() {
            "data" => self.is_data = true,
            "file_id" | "file_url" | "file_uri" | "fileUri" | "vector_store_ids" => {
                self.facts.stored_input |= value.peek() != Some(b'n');
            }
            "image_url" => {
                self.facts.images = self.facts.images.saturating_add(1);
                self.facts.media_parts = self.facts.media_parts.saturating_add(1);
                self.image_url(&mut value);
            }
            "file_data" | "input_audio" | "inlineData" | "inline_data" => {
                self.facts.media_parts = self.facts.media_parts.saturating_add(1);
            }
            "media_type" => {
                let is_image = value.peek() == Some(b'"') && value.starts_with(b"\"image/");
                self.facts.images = self.facts.images.saturating_add(u32::from(is_image));
            }
            "type" if value.peek() == Some(b'"') => {
                let kind = value.limited(WORD_BYTES_MAX.saturating_mul(6)).string();
                match kind.and_then(word).as_deref() {
                    Some("base64") => {
                        self.facts.media_parts = self.facts.media_parts.saturating_add(1);
                    }
                    Some("url") => self.facts.stored_input |= self.wire == Wire::AnthropicMessages,
                    Some("item_reference") => {
                        self.facts.stored_input |= self.wire == Wire::OpenaiResponses;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: Text<'_>) {
        let is_data = std::mem::take(&mut self.is_data);
        let bytes = count(text.0);
        if text.0.len() >= MEDIA_BYTES_MIN
            && is_base64(data_of_url(text.0).unwrap_or(text.0))
            && (is_data || text.0.starts_with(b"data:"))
        {
            self.facts.media = self.facts.media.saturating_add(1);
            self.facts.media_bytes = self.facts.media_bytes.saturating_add(bytes);
        } else {
            self.facts.text_bytes = self.facts.text_bytes.saturating_add(bytes);
        }
    }
}

impl Reader {
    /// Notes an image that is somewhere else: `"https:…"` or `{"url": "https:…"}`.
    ///
    /// Members that nest are looked through only as far as the body's allowance goes, so that
    /// images within images do not cost the square of their number.
    fn image_url(&mut self, value: &mut Cursor<'_>) {
        let mut ahead = value.limited(self.ahead);
        let start = ahead.position();
        let elsewhere = is_elsewhere(value, &mut ahead);
        let seen = ahead.position().saturating_sub(start);
        self.ahead = self.ahead.saturating_sub(seen);
        self.facts.stored_input |= elsewhere.unwrap_or(true);
    }
}

/// Returns whether an image is named by a URL that holds no data; `None` where that is not seen.
fn is_elsewhere(value: &mut Cursor<'_>, ahead: &mut Cursor<'_>) -> Option<bool> {
    if value.peek()? != b'{' {
        return Some(value.peek()? == b'"' && !value.starts_with(b"\"data:"));
    }
    ahead.take(b'{')?;
    while let Member::Key(key) = ahead.member()? {
        if word(key).as_deref() == Some("url") && ahead.peek()? == b'"' {
            return Some(!ahead.starts_with(b"\"data:"));
        }
        ahead.skip(&mut ())?;
    }
    Some(false)
}

/// Returns a key or word if it may be one that a fact depends on.
fn word(text: Text<'_>) -> Option<Cow<'_, str>> {
    // Almost every key is told by its first letter to be of no interest.
    match text.0.first()? {
        b'b' | b'd' | b'f' | b'i' | b'm' | b't' | b'u' | b'v' | b'\\' => {
            text.decode(WORD_BYTES_MAX)
        }
        _ => None,
    }
}

/// Returns what follows the type in `data:image/png;base64,…`.
fn data_of_url(text: &[u8]) -> Option<&[u8]> {
    let head = text.get(..MEDIA_BYTES_MIN)?;
    let mark = b";base64,";
    let at = memchr::memmem::find(head, mark)?;
    text.starts_with(b"data:")
        .then(|| text.get(at.saturating_add(mark.len())..))?
}

fn is_base64(text: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    text.iter().take(MEDIA_BYTES_MIN).all(digit)
}
