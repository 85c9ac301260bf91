//! How large the input of a call is, as far as its request tells.

/// What a request's body holds, by what its bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InputSize {
    /// Bytes inside string literals, media excepted.
    pub text_bytes: u64,
    /// Bytes outside of strings: punctuation, numbers, white space.
    pub structure_bytes: u64,
    /// How many media there are inside the body.
    pub media: u32,
    /// The bytes of those media, of which few tokens come.
    pub media_bytes: u64,
    /// Whether tools are declared, which providers explain to the model in words of their own.
    pub has_tools: bool,
    /// Tokens of earlier answers that this call goes on from and its body does not hold.
    pub context_tokens: u64,
    /// Whether input is elsewhere too, so that what the provider states says nothing of the bytes.
    pub elsewhere: bool,
}

impl InputSize {
    /// Returns the size of a body that is text alone.
    pub fn text(bytes: u64) -> Self {
        Self {
            text_bytes: bytes,
            ..Self::default()
        }
    }

    /// Returns the bytes of the body.
    pub fn body_bytes(&self) -> u64 {
        self.text_bytes
            .saturating_add(self.structure_bytes)
            .saturating_add(self.media_bytes)
    }
}
