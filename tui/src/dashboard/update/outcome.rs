//! What an order did, in a sentence.

use bb_proto::view::BottleState;

use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::msg::Deal;
use crate::dashboard::rows::Deed;
use crate::format;

/// Says what was done, or that it was not.
pub(crate) fn outcome(deal: Deal, what: &Clean, deed: &Deed) -> (Clean, bool) {
    let took = format::took_us(deed.took_us);
    let streams = match deed.streams_ended {
        0 => clean!("no stream was open"),
        1 => clean!("1 stream ended in {took}"),
        many => clean!("{many} streams ended in {took}"),
    };
    let stopped = match deed.streams_ended {
        0 => clean!("no stream was open"),
        1 => clean!("1 stream cut"),
        many => clean!("{many} streams cut"),
    };
    let note = deed
        .note
        .as_ref()
        .map_or_else(Clean::default, |note| clean!("; {note}"));
    let reached = deal.reaches(deed.observed);
    let text = match (reached, deed.changed, deal) {
        (false, _, _) => clean!("{what}: not reached yet{note}"),
        (true, false, _) => clean!("{what}: it was so already{note}"),
        (true, true, Deal::Cutoff) => {
            clean!("{what}: {streams}, new calls refused{note}")
        }
        (true, true, Deal::Restore) => clean!("{what}: its calls go through again{note}"),
        (true, true, Deal::Stop) => clean!("{what}: ended after {took}, {stopped}{note}"),
    };
    (text, !reached)
}

impl Deal {
    /// Returns what the act is called.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cutoff => "cut off",
            Self::Restore => "restore",
            Self::Stop => "stop",
        }
    }

    /// Returns whether an observed state is what was wanted.
    fn reaches(self, observed: BottleState) -> bool {
        match self {
            Self::Cutoff => observed != BottleState::Running,
            Self::Restore => observed == BottleState::Running,
            Self::Stop => matches!(observed, BottleState::Stopped | BottleState::Failed),
        }
    }
}
