//! All that the dashboard knows. Only `update` changes it; `view` reads it.

use std::time::Duration;

mod dialog;
mod filter;
mod fleet;
mod lines;
mod log;
mod order;
mod pane;
mod prompt;
mod table;

use bb_proto::time::Timestamp;

pub(crate) use dialog::{Aim, Dialog, RaiseForm};
pub(crate) use filter::Filter;
pub(crate) use fleet::{Fleet, Left, SOON_MS, Sign, is_spent};
pub(crate) use lines::{Fold, Line};
pub(crate) use log::{Log, PAGE};
pub(crate) use pane::{AGAIN, Pane, REST, Tab};
pub(crate) use prompt::{Prompt, Typed, type_key, type_text};
pub(crate) use table::{LOOK_EVERY, Table};

use super::clean::Clean;
use super::keys::Mode;
use super::msg::Ask;
use super::rows::{Greeting, Head};
use super::theme::Look;
use super::zone::Zone;

/// An answer older than this is shown with its age.
const AGING: Duration = Duration::from_secs(2);
/// An answer older than this is no ground to act on.
const STALE: Duration = Duration::from_secs(10);

/// What is known of the connection.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// Not tried yet.
    Connecting,
    Up,
    Down {
        why: Clean,
        /// How often it was tried since the last answer.
        tries: u32,
        next_try: Duration,
    },
    OtherVersion(Greeting),
}

/// How far what is shown can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Live,
    /// Nothing came for this long, though the connection stands.
    Aging(Duration),
    /// No answer for this long; `None`: there never was one.
    Stale(Option<Duration>),
}

/// What covers the screen.
#[derive(Debug, Clone)]
pub(crate) enum Overlay {
    Dialog(Dialog),
    Raise(Box<RaiseForm>),
    Help { scroll: u16 },
}

/// A sentence in the event line, until something else is there to say.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) text: Clean,
    pub(crate) bad: bool,
    pub(crate) until: Duration,
}

/// What of the screen is another one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Changed {
    Nothing,
    /// It may wait for the next frame.
    Data,
    /// The operator waits for it.
    Input,
}

/// An order that was sent and has no answer.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) ask: Ask,
    pub(crate) sent_at: Duration,
    /// How often the connection broke before the answer came.
    pub(crate) broken: u32,
}

/// What the dashboard is started with.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) look: Look,
    pub(crate) read_only: bool,
    pub(crate) mouse: bool,
    pub(crate) socket: Clean,
    /// Begins every `request_id`, so that no other client has the same.
    pub(crate) session: String,
    pub(crate) width: u16,
    pub(crate) height: u16,
}

/// All that the dashboard knows.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) start: Start,
    pub(crate) at: Duration,
    pub(crate) link: Link,
    /// Who answered last.
    pub(crate) greeting: Option<Greeting>,
    pub(crate) answered_at: Option<Duration>,
    pub(crate) head: Option<Head>,
    pub(crate) fleet: Fleet,
    pub(crate) table: Table,
    pub(crate) pane: Pane,
    pub(crate) log: Log,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) prompt: Option<Prompt>,
    /// What stands in the filter line.
    pub(crate) filter_text: String,
    pub(crate) said: Option<Said>,
    /// Orders without an answer, in the order in which they were sent.
    pub(crate) open: Vec<Open>,
    pub(crate) requests: u64,
    pub(crate) key_at: Duration,
    pub(crate) changed: Changed,
}

impl State {
    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            at: Duration::ZERO,
            link: Link::Connecting,
            greeting: None,
            answered_at: None,
            head: None,
            fleet: Fleet::default(),
            table: Table::default(),
            pane: Pane::default(),
            log: Log::default(),
            overlay: None,
            prompt: None,
            filter_text: String::new(),
            said: None,
            open: Vec::new(),
            requests: 0,
            key_at: Duration::ZERO,
            changed: Changed::Input,
        }
    }

    /// Returns the controller's time in its last answer.
    pub(crate) fn now(&self) -> Timestamp {
        self.head
            .as_ref()
            .map_or(Timestamp(0), |head| head.told.now)
    }

    pub(crate) fn zone(&self) -> Zone {
        self.head
            .as_ref()
            .map(|head| head.zone.clone())
            .unwrap_or_default()
    }

    pub(crate) fn freshness(&self) -> Freshness {
        let age = self.answered_at.map(|then| self.at.saturating_sub(then));
        match (&self.link, age) {
            (Link::Up, Some(age)) if age < AGING => Freshness::Live,
            (Link::Up, Some(age)) if age < STALE => Freshness::Aging(age),
            (_, age) => Freshness::Stale(age),
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        matches!(self.freshness(), Freshness::Stale(_))
    }

    /// Returns whether an order can be delivered and its question be read.
    pub(crate) fn may_act(&self) -> bool {
        !self.start.read_only
            && !self.is_stale()
            && self.start.width >= 16
            && self.start.height >= 4
    }

    /// Returns where a key is pressed.
    pub(crate) fn mode(&self) -> Mode {
        match (&self.overlay, &self.link) {
            (Some(Overlay::Dialog(_) | Overlay::Raise(_)), _) => Mode::Dialog,
            (Some(Overlay::Help { .. }), _) => Mode::Help,
            (None, Link::OtherVersion(_)) => Mode::Bare,
            (None, _) if self.log.open => Mode::Events,
            (None, _) if self.pane.focused || self.pane.zoomed => Mode::Pane,
            (None, _) => Mode::Table,
        }
    }

    /// Returns an id for the next request that changes something.
    pub(crate) fn next_request(&mut self) -> String {
        self.requests += 1;
        format!("{}-{}", self.start.session, self.requests)
    }

    /// Says something in the event line.
    pub(crate) fn say(&mut self, text: Clean, bad: bool) {
        self.said = Some(Said {
            text,
            bad,
            until: self.at + Duration::from_secs(12),
        });
    }

    /// Returns when something on the screen or to be asked is due without anything coming in.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let bold_ends = self
            .fleet
            .last_turn()
            .map(|turned| turned + super::view::BOLD_FOR)
            .filter(|end| *end > self.at);
        let said_ends = self.said.as_ref().map(|said| said.until);
        // The age in the title, once there is one.
        let whole_second = Duration::from_secs(self.at.as_secs() + 1);
        let ages = match (&self.link, self.answered_at) {
            (Link::Up, Some(then)) => Some(whole_second.max(then + AGING)),
            (Link::Down { .. }, _) => Some(whole_second),
            _ => None,
        };
        let may_look = self.table.unsettled && self.overlay.is_none();
        let looks = may_look.then_some(self.table.look_at);
        [
            bold_ends,
            said_ends,
            ages,
            looks,
            super::update::details_due(self),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
