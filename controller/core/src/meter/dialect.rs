//! What every dialect's reader answers to.

use super::facts::Facts;
use super::json::{Node, Sink};

/// Takes the documents of a body one after another.
pub(super) trait Documents: Sink {
    /// A document begins.
    fn open(&mut self);

    /// The document is whole; `event` is the name its event had, if any.
    ///
    /// Returns whether it completes usage and ends the message.
    fn close(&mut self, event: &[u8]) -> bool;

    /// The stream said that it is done, outside any document.
    ///
    /// Returns whether that ends the message.
    fn done(&mut self) -> bool {
        false
    }

    /// The message ends with the event that is read.
    fn end_message(&mut self);

    /// The bytes so far end between two events.
    fn reach_boundary(&mut self);
}

/// The reader of one dialect: hears a document's values, and judges it when it is whole.
pub(super) trait Dialect: Documents {
    /// The places it asks for.
    fn root() -> &'static Node;

    /// What it found out so far.
    fn facts(&self) -> &Facts;

    /// Whether the answer comes as events is known now.
    fn set_streamed(&mut self, streamed: bool);

    /// The body ended inside a document: a usage object that is whole in it counts.
    fn cut(&mut self);
}
