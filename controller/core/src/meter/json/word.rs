//! A short string, kept up to a bound.

/// The longest string kept, in bytes.
pub(super) const WORD_MAX: usize = 128;

/// The beginning of a string, at most [`WORD_MAX`] bytes of it.
#[derive(Debug)]
pub(super) struct Word {
    bytes: [u8; WORD_MAX],
    len: usize,
}

impl Default for Word {
    fn default() -> Self {
        Self {
            bytes: [0; WORD_MAX],
            len: 0,
        }
    }
}

impl Word {
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        let room = WORD_MAX.saturating_sub(self.len);
        let piece = piece.get(..room).unwrap_or(piece);
        let end = self.len.saturating_add(piece.len());
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(piece);
            self.len = end;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
