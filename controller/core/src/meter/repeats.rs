//! The events that a stream repeats, and how they are passed by.
//!
//! It owns a few shapes and decides which are worth keeping. An event that fits one of them is
//! heard as if it had been read; nothing else follows from a fit.

use super::dialect::Documents;
use super::json::{Fit, Node, Shape};

/// The shapes kept of one stream.
const KEPT_MAX: usize = 3;
/// The most events that pass between two that are learned in vain.
const PATIENCE_MAX: u32 = 256;

/// Events that begin with so many equal bytes may have one shape.
const START_BYTES: usize = 32;
/// So many such events in a row make it likely that more follow.
const ALIKE_MIN: u32 = 4;

/// An event that ended in the bytes it began in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole<'b> {
    pub(super) event: &'b [u8],
    /// Where its document stands in it.
    pub(super) data: (usize, usize),
}

#[derive(Debug)]
struct Kept {
    shape: Shape,
    /// The name that its events have.
    name: Box<[u8]>,
    has_fit: bool,
}

/// The shapes of one stream's events.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// The one that fitted last comes first.
    kept: Vec<Kept>,
    /// So many events pass before one is learned again.
    patience: u32,
    /// How many shapes were learned in vain, in a row.
    in_vain: u32,
    /// How the last event began that fitted no shape, and how many did so in a row.
    last_start: [u8; START_BYTES],
    alike: u32,
}

impl Repeats {
    /// Hears the event that `bytes` begin with, if it fits a shape.
    ///
    /// Returns its length and whether it ends the message.
    pub(super) fn pass<D: Documents>(
        &mut self,
        bytes: &[u8],
        sink: &mut D,
    ) -> Option<(usize, bool)> {
        let fit = |(at, kept): (usize, _)| Some((at, kept, Kept::fit(kept, bytes)?));
        let (at, kept, fit) = self.kept.iter().enumerate().find_map(fit)?;
        sink.open();
        fit.replay(sink);
        let passed = (fit.len, sink.close(&kept.name));
        self.patience = 0;
        self.in_vain = 0;
        self.kept.swap(0, at);
        if let Some(first) = self.kept.first_mut() {
            first.has_fit = true;
        }
        Some(passed)
    }

    /// Takes an event that fitted no shape, to learn its own.
    pub(super) fn learn(&mut self, whole: Whole<'_>, name: &[u8], root: &'static Node) {
        if whole.event.first_chunk() != Some(&self.last_start) {
            self.last_start = whole.event.first_chunk().copied().unwrap_or_default();
            self.alike = 0;
        }
        self.alike = self.alike.saturating_add(1);
        if self.alike < ALIKE_MIN {
            return;
        }
        if self.patience > 0 {
            self.patience = self.patience.saturating_sub(1);
            return;
        }
        let (from, to) = whole.data;
        let Some(shape) = Shape::learn(whole.event, from, to, root) else {
            self.wait_longer();
            return;
        };
        if self.kept.len() >= KEPT_MAX && self.kept.pop().is_some_and(|kept| !kept.has_fit) {
            self.wait_longer();
        }
        self.kept.insert(
            0,
            Kept {
                shape,
                name: name.into(),
                has_fit: false,
            },
        );
    }

    fn wait_longer(&mut self) {
        self.in_vain = self.in_vain.saturating_add(1);
        self.patience = 1_u32
            .checked_shl(self.in_vain)
            .map_or(PATIENCE_MAX, |events| events.min(PATIENCE_MAX));
    }
}

impl Kept {
    fn fit(&self, bytes: &[u8]) -> Option<Fit<'_>> {
        self.shape.fit(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Meter;
    use super::super::json::SHAPE_SIZE_MAX;
    use super::*;

    #[test]
    fn a_meter_with_all_its_shapes_takes_less_than_eight_kibibytes() {
        let kept = KEPT_MAX * (size_of::<Kept>() + SHAPE_SIZE_MAX + 40);
        assert!(size_of::<Meter>() + kept <= 8 << 10);
    }
}
