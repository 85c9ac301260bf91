//! `bb-ctl audit`, and events as lines.

use bb_proto::event::{Actor, Event};
use bb_proto::ids::BottleName;
use bb_proto::request::AuditList;

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::words;
use crate::format::text;

/// Show what was decided and done, by whom and why; the newest last
///
/// With --json: one event a line.
#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    /// Only what is about this bottle
    #[arg(long, value_name = "BOTTLE")]
    bottle: Option<BottleName>,
    /// Only entries whose sentence has this text in it
    #[arg(long = "match", value_name = "TEXT")]
    pattern: Option<String>,
    /// Only entries before this number: the way to read back
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// The most entries, at most 1000
    #[arg(long, value_name = "ENTRIES", default_value_t = 100)]
    limit: u32,
}

impl Audit {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let answer = connection.call(&AuditList {
            before: self.before,
            bottle: self.bottle,
            pattern: self.pattern,
            limit: Some(self.limit),
        })?;
        let mut events = answer.events;
        events.reverse();
        if let (true, Some(oldest), false) = (answer.more, events.first(), output.is_json()) {
            output.note(&(), |()| {
                format!("there are older entries: --before {}", oldest.seq)
            });
        }
        output.show_each(&events, |events| {
            if events.is_empty() {
                return "no entries".to_owned();
            }
            let lines: Vec<String> = events.iter().map(line).collect();
            lines.join("\n")
        })?;
        Ok(Exit::DONE)
    }
}

/// Writes an event on one line: when, by whom, what, why.
pub(super) fn line(event: &Event) -> String {
    let actor = match (event.actor, event.uid) {
        (Actor::Budget, _) => "budget".to_owned(),
        (Actor::Operator, Some(uid)) => format!("operator {uid}"),
        (Actor::Operator, None) => "operator".to_owned(),
        (Actor::System, _) => "system".to_owned(),
    };
    let mut line = format!(
        "{}  {actor:<13}  {}",
        words::instant(event.at),
        text::clean(&event.text)
    );
    if let Some(why) = &event.why {
        line.push_str(": ");
        line.push_str(&text::clean(why));
    }
    line
}
