//! `bb-ctl show`.

use bb_proto::ids::BottleName;
use bb_proto::reply::BottleDetail;
use bb_proto::request::BottleShow;
use bb_proto::time::Timestamp;
use bb_proto::view::{Bottle, Closed, PathRole, Wanted};

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::list;
use super::output::Output;
use super::table::{self, Column};
use super::words;
use crate::format::{self, text};

/// Show all that is known of a bottle
///
/// Its run and command, what is closed and by whom, what binds it now and what would next, and
/// every budget on its path.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The bottle
    #[arg(value_name = "BOTTLE")]
    name: BottleName,
}

const COLUMNS: [Column; 8] = [
    Column::left("BUDGET").down_to(34),
    Column::left("ROLE"),
    Column::right("USED/LIMIT"),
    Column::right("%").drops(1),
    Column::right("PENDING").drops(4),
    Column::right("/MIN").drops(3),
    Column::right("LEFT").drops(2),
    Column::left("FROM").drops(5),
];

impl Show {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let detail = connection.call(&BottleShow { name: self.name })?;
        output.show(&detail, |detail| page(detail, words::now()))?;
        Ok(Exit::DONE)
    }
}

fn page(detail: &BottleDetail, now: Timestamp) -> String {
    let bottle = &detail.bottle;
    let mut lines = vec![headline(bottle, now)];
    let mut say = |what: &str, text: String| lines.push(format!("  {what:<10}{text}"));
    if let Some(run) = &bottle.run {
        say("run", run_line(bottle, &run.to_string(), now));
    }
    if !bottle.command.is_empty() {
        say("command", words::command(&bottle.command));
    }
    if let Some(agent) = &bottle.agent {
        say("agent", agent.to_string());
    }
    if let Some(provider) = &bottle.provider {
        say("provider", provider.to_string());
    }
    if !bottle.parents.is_empty() {
        say("parents", words::names(&bottle.parents));
    }
    if !detail.children.is_empty() {
        say("children", words::names(&detail.children));
    }
    say("used", used_line(bottle));
    if bottle.refusals > 0 {
        say("refused", words::count(bottle.refusals, "call"));
    }
    for closed in &bottle.closed {
        say("closed", closed_line(closed, now));
    }
    if let Some(wanted) = &bottle.wanted {
        say("wanted", wanted_line(wanted, now));
    }
    for (provider, key) in &bottle.binding {
        let next = bottle
            .binds_next
            .get(provider)
            .map_or_else(String::new, |next| format!(", then {next}"));
        say("binds", format!("{provider}: {key}{next}"));
    }
    lines.push(String::new());
    lines.push(budgets(detail));
    lines.join("\n")
}

fn headline(bottle: &Bottle, now: Timestamp) -> String {
    let mut parts = vec![format!("{}: {}", bottle.name, words::state_of(bottle))];
    if bottle.warned {
        parts.push("warned".to_owned());
    }
    parts.push(words::enforcement(bottle.enforcement).to_owned());
    if bottle.in_flight > 0 {
        parts.push(format!(
            "{} in flight",
            words::count(bottle.in_flight, "call")
        ));
    }
    if bottle.waiting > 0 {
        parts.push(waiting(bottle, now));
    }
    parts.join(", ")
}

/// Returns how many calls wait, and of the first how long it has waited and still may.
fn waiting(bottle: &Bottle, now: Timestamp) -> String {
    let mut text = format!("{} waiting", bottle.waiting);
    if let Some(since) = bottle.waiting_since {
        text.push_str(", the first for ");
        text.push_str(&format::duration_ms(now.since(since).0));
    }
    if let Some(until) = bottle.waits_until {
        text.push_str(" and at most ");
        text.push_str(&format::duration_ms(until.since(now).0));
        text.push_str(" more");
    }
    text
}

fn run_line(bottle: &Bottle, run: &str, now: Timestamp) -> String {
    let mut parts = vec![run.to_owned()];
    if let Some(at) = bottle.launched_at {
        parts.push(format!("began {}", format::age(now, at)));
    }
    if let Some(at) = bottle.ended_at {
        let code = bottle
            .exit_code
            .map_or_else(String::new, |code| format!(" with {code}"));
        parts.push(format!("ended {}{code}", format::age(now, at)));
    }
    if let Some(process) = &bottle.process {
        parts.push(format!("pid {}", process.pid));
    }
    parts.join(", ")
}

fn closed_line(closed: &Closed, now: Timestamp) -> String {
    format!(
        "{} by {}, {}{}",
        closed.provider,
        words::closed_by(closed),
        format::age(now, closed.since),
        reason(closed.why.as_deref())
    )
}

fn wanted_line(wanted: &Wanted, now: Timestamp) -> String {
    format!(
        "{}, {}, tried {}{}",
        words::state(wanted.state),
        format::age(now, wanted.since),
        words::count(u64::from(wanted.tries), "time"),
        reason(wanted.why_not.as_deref())
    )
}

fn reason(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {}", text::clean(why)))
}

fn used_line(bottle: &Bottle) -> String {
    let model = bottle
        .last_model
        .as_deref()
        .map_or_else(String::new, |model| {
            format!("; newest model {}", text::clean(model))
        });
    format!(
        "{} in this run, {} ever, {} in the last minute{model}",
        format::tokens(bottle.used_run.0),
        format::tokens(bottle.used_total.0),
        format::tokens(bottle.rate_per_minute)
    )
}

fn budgets(detail: &BottleDetail) -> String {
    if detail.budgets.is_empty() {
        return "no budget is on its path: nothing limits it".to_owned();
    }
    let rows: Vec<Vec<String>> = detail
        .budgets
        .iter()
        .map(|budget| {
            let role = detail
                .bottle
                .path
                .iter()
                .find(|on_path| on_path.budget == budget.id)
                .map_or(PathRole::Counted, |on_path| on_path.role);
            vec![
                budget.id.to_string(),
                words::role(role).to_owned(),
                format::used_of(budget.used, budget.limit),
                format::percent(budget.used, budget.limit),
                format::tokens(budget.pending.0),
                format::tokens(budget.rate_per_minute),
                list::left(budget),
                words::source(&budget.source),
            ]
        })
        .collect();
    table::draw(&COLUMNS, &rows, Output::width())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_that_waits_says_how_long_it_has_and_still_may() {
        let json = serde_json::json!({"name": "web", "state": "running", "enforcement": "advisory", "in_flight": 3,
            "waiting": 2, "waiting_since": 1_000, "waits_until": 31_000, "refusals": 0, "path": [],
            "binding": {}, "used_run": 0, "used_total": 0, "rate_per_minute": 0});
        let bottle: Bottle = serde_json::from_value(json).expect("a bottle");
        assert_eq!(
            headline(&bottle, Timestamp(13_000)),
            "web: running, advisory, 3 calls in flight, 2 waiting, the first for 12s and at most \
             18s more"
        );
    }
}
