//! Owns the walk over a JSON text: where strings, members and values begin and end.
//!
//! Only strings and brackets are told apart, so a text that is nearly JSON is walked the way a
//! lenient provider would read it. Nothing here recurses.

use std::borrow::Cow;

/// A position in a JSON text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The inside of a string literal, as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a [u8]);

/// What comes next in an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Member<'a> {
    Key(Text<'a>),
    End,
}

/// Somebody who is told of the strings inside a value that is skipped.
pub(super) trait Watch {
    /// Is told of a member's key; the cursor is a copy that stands before the member's value.
    fn key(&mut self, key: Text<'_>, value: Cursor<'_>);
    /// Is told of a string that is no key.
    fn text(&mut self, text: Text<'_>);
}

/// Watches nothing.
impl Watch for () {
    fn key(&mut self, _: Text<'_>, _: Cursor<'_>) {}
    fn text(&mut self, _: Text<'_>) {}
}

impl<'a> Cursor<'a> {
    /// Begins at the first value of a text, after a byte order mark.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Self { bytes, at }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns a copy that sees no more than so many bytes further.
    pub(super) fn limited(&self, bytes: usize) -> Self {
        let end = self.at.saturating_add(bytes).min(self.bytes.len());
        Self {
            bytes: self.bytes.get(..end).unwrap_or_default(),
            at: self.at,
        }
    }

    /// Moves to the next byte that is no white space and returns it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.step();
        }
    }

    /// Returns whether these bytes come next, as they are written.
    pub(super) fn starts_with(&self, bytes: &[u8]) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.starts_with(bytes)
    }

    /// Returns whether nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Moves past one byte, if it comes next.
    pub(super) fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.step())
    }

    /// Returns a copy that stands before the value of a member of the object that comes next.
    pub(super) fn find_here(&mut self, name: &[u8]) -> Option<Self> {
        self.take(b'{')?;
        while let Member::Key(key) = self.member()? {
            if key.0 == name {
                self.peek()?;
                return Some(self.clone());
            }
            self.skip(&mut ())?;
        }
        None
    }

    /// The same of a text's one object.
    pub(super) fn find(mut self, name: &[u8]) -> Option<Self> {
        self.find_here(name)
    }

    /// Moves past the key and colon of an object's next member, or past the object's end.
    pub(super) fn member(&mut self) -> Option<Member<'a>> {
        loop {
            match self.peek()? {
                b',' => self.step(),
                b'}' => {
                    self.step();
                    return Some(Member::End);
                }
                b'"' => {
                    self.step();
                    let key = self.rest_of_string()?;
                    self.take(b':')?;
                    return Some(Member::Key(key));
                }
                _ => return None,
            }
        }
    }

    /// Returns whether an array has another element, moving to it or past the array's end.
    pub(super) fn element(&mut self) -> Option<bool> {
        loop {
            match self.peek()? {
                b',' => self.step(),
                b']' => {
                    self.step();
                    return Some(false);
                }
                _ => return Some(true),
            }
        }
    }

    /// Moves past a string and returns its inside, if one comes next.
    pub(super) fn string(&mut self) -> Option<Text<'a>> {
        self.take(b'"')?;
        self.rest_of_string()
    }

    /// Moves past a value.
    pub(super) fn skip(&mut self, watch: &mut impl Watch) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.step();
                watch.text(self.rest_of_string()?);
            }
            b'{' | b'[' => self.skip_nested(watch)?,
            b'}' | b']' | b',' | b':' => return None,
            _ => self.skip_scalar(),
        }
        Some(())
    }

    /// Moves past a value and returns it as it is written.
    pub(super) fn raw(&mut self, watch: &mut impl Watch) -> Option<&'a [u8]> {
        self.peek()?;
        let start = self.at;
        self.skip(watch)?;
        self.bytes.get(start..self.at)
    }

    fn skip_nested(&mut self, watch: &mut impl Watch) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.step();
            match byte {
                b'"' => {
                    let text = self.rest_of_string()?;
                    // A colon after a string makes it a key, at any depth.
                    if self.peek() == Some(b':') {
                        self.step();
                        watch.key(text, self.clone());
                    } else {
                        watch.text(text);
                    }
                }
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ => {}
            }
        }
    }

    fn skip_scalar(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| {
            matches!(
                byte,
                b',' | b':' | b'}' | b']' | b'{' | b'[' | b'"' | b' ' | b'\n' | b'\r' | b'\t'
            )
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
    }

    /// Moves past a string whose opening quote is behind.
    fn rest_of_string(&mut self) -> Option<Text<'a>> {
        let rest = self.bytes.get(self.at..)?;
        // Looking for quotes alone, and back from them, steps over escapes such as \n for free.
        for quote in memchr::memchr_iter(b'"', rest) {
            let inside = rest.get(..quote)?;
            let backslashes = inside.iter().rev().take_while(|byte| **byte == b'\\');
            if backslashes.count() % 2 == 0 {
                self.at = self.at.saturating_add(quote).saturating_add(1);
                return Some(Text(inside));
            }
        }
        None
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }
}

impl<'a> Text<'a> {
    /// Returns the string that is written, if it has at most so many bytes and is well-formed.
    pub(super) fn decode(self, bytes_max: usize) -> Option<Cow<'a, str>> {
        // An escape of six bytes stands for one byte at least.
        if self.0.len() > bytes_max.saturating_mul(6) {
            return None;
        }
        let text = if self.0.contains(&b'\\') {
            let literal = [b"\"", self.0, b"\""].concat();
            Cow::Owned(serde_json::from_slice::<String>(&literal).ok()?)
        } else {
            Cow::Borrowed(std::str::from_utf8(self.0).ok()?)
        };
        (text.len() <= bytes_max).then_some(text)
    }
}
