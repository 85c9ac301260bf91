//! What the ledger is told of an answer while it flows: the first usage, and then each so many
//! bytes of text.

use bb_core::estimate::used_so_far;

use super::in_flight::CallInFlight;
use super::tap::Tap;

/// What has flowed is told to the ledger each time so many bytes of text did.
pub(super) const REPORT_BYTES: u64 = 1_024;
/// The same while more is there to be read at once: its end may be, whose charge says it all.
pub(super) const REPORT_BYTES_IN_A_BURST: u64 = 4_096;

/// How much of an answer the ledger was told of.
#[derive(Debug, Default)]
pub(super) struct Reporting {
    flowed: u64,
    was_stated: bool,
}

impl Reporting {
    /// Tells the ledger what has flowed, where it is `step` bytes more than it knows.
    pub(super) fn report(&mut self, call: &CallInFlight, tap: &Tap, step: u64) {
        if call.is_resolved {
            return;
        }
        let flowed = tap.flowed_bytes();
        let stated_now = step == REPORT_BYTES && !self.was_stated && tap.is_stated();
        if stated_now || flowed >= self.flowed.saturating_add(step) {
            self.was_stated |= stated_now;
            self.flowed = flowed;
            let known = tap.known();
            let used = used_so_far(&known, call.admitted.estimate);
            let urgent = used.total() > call.admitted.reserved.0;
            call.ledger.flowed(call.call, known, urgent);
        }
    }
}
