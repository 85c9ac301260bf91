//! What the link hands over: the controller's rows, with their foreign text cleaned.

use bb_proto::event::{Actor, Event, EventKind};
use bb_proto::ids::{BottleName, RunId};
use bb_proto::reply::{self, Ending, UsageRow};
use bb_proto::time::Timestamp;
use bb_proto::usage::Usage;
use bb_proto::view::{self, BottleState};

use super::clean::{Clean, clean};
use super::zone::Zone;

/// Who answered `hello`.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub(crate) protocol: u32,
    pub(crate) version: Clean,
    pub(crate) pid: u32,
    pub(crate) home: Clean,
    pub(crate) started_at: Timestamp,
}

/// Where the controller stands.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) told: view::Head,
    pub(crate) zone: Zone,
}

/// What a snapshot brings: everything, or what changed.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    pub(crate) head: Head,
    pub(crate) bottles: Vec<Bottle>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) whole: bool,
    pub(crate) bottles_gone: Vec<BottleName>,
    pub(crate) budgets_gone: Vec<bb_proto::budget::BudgetKey>,
}

/// A bottle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bottle {
    pub(crate) told: view::Bottle,
    pub(crate) name: Clean,
    pub(crate) agent: Option<Clean>,
    pub(crate) model: Option<Clean>,
    pub(crate) why_not: Option<Clean>,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) told: view::Budget,
    pub(crate) scope: Clean,
    pub(crate) provider: Clean,
    pub(crate) window: Clean,
}

/// A call that was resolved.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    pub(crate) model: Clean,
    pub(crate) usage: Usage,
    pub(crate) charge: u64,
    pub(crate) estimated: bool,
    pub(crate) ending: Ending,
    pub(crate) status: Option<u16>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) kind: EventKind,
    pub(crate) actor: Actor,
    pub(crate) bottle: Option<(BottleName, Clean)>,
    pub(crate) text: Clean,
    pub(crate) why: Option<Clean>,
}

/// What an act did to its one target.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) changed: bool,
    pub(crate) streams_ended: u64,
    pub(crate) took_us: u64,
    pub(crate) observed: BottleState,
    pub(crate) note: Option<Clean>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The connection broke before the answer came: whether it was done is not known.
    Broken(Clean),
    /// Nobody could be asked: surely not done.
    Unasked(Clean),
    /// The controller refused.
    Refused { text: Clean, hint: Option<Clean> },
}

impl From<reply::Hello> for Greeting {
    fn from(told: reply::Hello) -> Self {
        Self {
            protocol: told.protocol,
            version: Clean::new(&told.version),
            pid: told.pid,
            home: Clean::new(&told.home),
            started_at: told.started_at,
        }
    }
}

impl From<view::Bottle> for Bottle {
    fn from(told: view::Bottle) -> Self {
        Self {
            name: shown_name(&told.name, told.run),
            agent: told.agent.as_ref().map(|agent| Clean::new(agent.as_str())),
            model: told.last_model.as_deref().map(Clean::new),
            why_not: told
                .wanted
                .as_ref()
                .and_then(|wanted| wanted.why_not.as_deref().map(Clean::new)),
            told,
        }
    }
}

/// Two names may clean to the same text; one that was changed by it carries digits of its run.
fn shown_name(name: &BottleName, run: Option<RunId>) -> Clean {
    let shown = Clean::new(name.as_str());
    match run {
        Some(run) if shown.as_str() != name.as_str() => {
            let run = run.to_string();
            // The first digits are the time: runs that began together share them.
            let digits = run.get(run.len().saturating_sub(4)..).unwrap_or(&run);
            clean!("{shown}#{digits}")
        }
        _ => shown,
    }
}

impl From<view::Budget> for Budget {
    fn from(told: view::Budget) -> Self {
        use bb_proto::budget::Scope;
        let scope = match (&told.scope, &told.bottle) {
            (Scope::Launch(_), Some(bottle)) => clean!("launch:{bottle}"),
            (Scope::Launch(_), None) => clean!("launch"),
            (scope, _) => clean!("{scope}"),
        };
        Self {
            scope,
            provider: clean!("{}", told.provider),
            window: clean!("{}", told.window),
            told,
        }
    }
}

impl Call {
    /// Takes a row of `usage.query`; `None` where the row is not of a call.
    pub(crate) fn from_row(row: UsageRow) -> Option<Self> {
        let call = row.call?;
        Some(Self {
            started_at: call.started_at,
            ended_at: call.ended_at,
            model: row.model.as_deref().map_or_else(|| clean!("?"), Clean::new),
            usage: call.usage,
            charge: row.sum.charge.0,
            estimated: call.estimated,
            ending: call.ending,
            status: call.status,
        })
    }
}

impl From<Event> for Happening {
    fn from(told: Event) -> Self {
        Self {
            seq: told.seq,
            at: told.at,
            kind: told.kind,
            actor: told.actor,
            bottle: told.bottle.map(|name| {
                let shown = Clean::new(name.as_str());
                (name, shown)
            }),
            text: Clean::new(&told.text),
            why: told.why.as_deref().map(Clean::new),
        }
    }
}

impl From<reply::Target> for Deed {
    fn from(told: reply::Target) -> Self {
        Self {
            changed: told.changed,
            streams_ended: told.streams_ended,
            took_us: told.took_us,
            observed: told.observed,
            note: told.note.as_deref().map(Clean::new),
        }
    }
}
