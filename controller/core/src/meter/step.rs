//! What the caller must know of the bytes it just gave.

/// Offsets in the bytes that were just read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// From here on the bytes must be held back until the settlement is durable.
    ///
    /// Set once a body: in the bytes that complete the first event that completes usage and ends
    /// the message. It is the start of that event, or zero where it began in earlier bytes.
    pub hold_at: Option<usize>,
    /// Behind the last event that these bytes complete; an ending may follow there.
    pub boundary: Option<usize>,
}

impl Step {
    /// The event that begins at the last boundary ends the message.
    pub(super) fn hold(&mut self) {
        self.hold_at.get_or_insert(self.boundary.unwrap_or(0));
    }
}
