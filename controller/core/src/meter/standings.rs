//! Where a stream stands, as an ending must know it.

/// Where a stream stands: now, at the last boundary, and before the event that ends the message.
///
/// An ending goes where a boundary was, so what is inside an event that is still coming does not
/// count for it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standings<T> {
    pub(super) now: T,
    at_boundary: T,
    before_end: Option<T>,
}

impl<T: Copy> Standings<T> {
    /// The bytes so far end between two events.
    pub(super) fn rest(&mut self) {
        self.at_boundary = self.now;
    }

    /// The event that is read ends the message; only the first such event counts.
    pub(super) fn end(&mut self) {
        self.before_end.get_or_insert(self.at_boundary);
    }

    /// Returns where the stream stands for a client that has it all, or all before its end.
    pub(super) fn of(self, all: bool) -> T {
        if all {
            self.at_boundary
        } else {
            self.before_end.unwrap_or(self.at_boundary)
        }
    }
}
