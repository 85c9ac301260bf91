//! Which of the asked-for choices of an answer have ended.

/// The most choices told apart; an answer with more ends where the stream says so.
const CHOICES_MAX: u32 = 128;

/// The choices that have ended, against how many were asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices {
    asked: u32,
    ended: u128,
}

impl Choices {
    pub(super) fn new(asked: u32) -> Self {
        Self {
            asked: asked.clamp(1, CHOICES_MAX),
            ended: 0,
        }
    }

    /// Takes note of a choice; one without a number is the first.
    pub(super) fn note(&mut self, choice: Choice) {
        if choice.has_ended {
            let index = u32::try_from(choice.index.unwrap_or(0)).unwrap_or(u32::MAX);
            self.ended |= 1_u128.checked_shl(index).unwrap_or(0);
        }
    }

    /// Returns whether every choice has ended.
    pub(super) fn all_ended(self) -> bool {
        self.ended.count_ones() >= self.asked
    }
}

/// One choice as it is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Choice {
    pub(super) index: Option<u64>,
    pub(super) has_ended: bool,
}
