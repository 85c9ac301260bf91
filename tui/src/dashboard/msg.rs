//! What comes in, and what is wanted in return.

use std::time::Duration;

use bb_proto::budget::BudgetKey;
use bb_proto::ids::{BottleName, RunId};
use bb_proto::units::Tokens;
use crossterm::event::KeyEvent;

use super::keys::Action;
use super::rows::{Budget, Call, Deed, Delta, Failure, Greeting, Happening};
use super::state::Tab;

/// What comes in.
#[derive(Debug)]
pub(crate) enum Msg {
    /// The time since the program began; comes before every other message.
    At(Duration),
    Key(KeyEvent),
    Click(Click),
    /// The wheel was turned by one notch, over what.
    Wheel {
        down: bool,
        over: Option<Click>,
    },
    Paste(String),
    Resize {
        width: u16,
        height: u16,
    },
    /// The controller answers.
    Up(Box<Greeting>),
    /// It does not.
    Down(Failure),
    /// It speaks another version of the messages.
    OtherVersion(Box<Greeting>),
    Snapshot(Box<Delta>),
    Answer(Box<Answer>),
    /// SIGTERM, SIGHUP or SIGINT.
    Terminate,
    /// SIGTSTP.
    Suspend,
}

/// What the mouse can hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Click {
    Row(BottleName),
    Fold(BottleName),
    Pane,
    Tab(Tab),
    Event(u64),
    Act(Action),
}

/// What is wanted from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Ask(Ask),
    /// Connects again after this time.
    Reconnect(Duration),
    /// Turns the capture of the mouse on or off.
    Mouse(bool),
    /// Draws every cell anew.
    Redraw,
    Suspend,
    Quit,
}

/// A question to the controller, on the connection that never waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Act(Act),
    Raise(Raise),
    Calls {
        bottle: BottleName,
        limit: u32,
    },
    Audit {
        bottle: BottleName,
        limit: u32,
    },
    Events {
        before: Option<u64>,
        matching: Option<String>,
        limit: u32,
    },
}

/// What an operator can do to a bottle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deal {
    Cutoff,
    Restore,
    Stop,
}

/// One bottle in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: BottleName,
    pub(crate) run: RunId,
}

/// An order for one bottle, or the question what it would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) deal: Deal,
    pub(crate) target: Target,
    pub(crate) dry_run: bool,
    /// The same id twice is done once.
    pub(crate) request_id: String,
}

/// A raise of one budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raise {
    pub(crate) budget: BudgetKey,
    pub(crate) by: Tokens,
    pub(crate) request_id: String,
}

/// What the controller answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Act(Act, Result<Deed, Failure>),
    Raise(Raise, Result<Option<Box<Budget>>, Failure>),
    Calls(BottleName, Result<Vec<Call>, Failure>),
    Audit(BottleName, Result<Vec<Happening>, Failure>),
    Events {
        before: Option<u64>,
        matching: Option<String>,
        result: Result<Happenings, Failure>,
    },
}

/// Events, newest first.
#[derive(Debug)]
pub(crate) struct Happenings {
    pub(crate) rows: Vec<Happening>,
    /// Whether there are older ones.
    pub(crate) more: bool,
}

impl Ask {
    /// Turns the question into an answer that says why there is none.
    pub(crate) fn failed(self, failure: Failure) -> Answer {
        match self {
            Self::Act(act) => Answer::Act(act, Err(failure)),
            Self::Raise(raise) => Answer::Raise(raise, Err(failure)),
            Self::Calls { bottle, .. } => Answer::Calls(bottle, Err(failure)),
            Self::Audit { bottle, .. } => Answer::Audit(bottle, Err(failure)),
            Self::Events {
                before, matching, ..
            } => Answer::Events {
                before,
                matching,
                result: Err(failure),
            },
        }
    }
}
