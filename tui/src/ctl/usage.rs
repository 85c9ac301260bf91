//! `bb-ctl usage`.

use std::time::Duration;

use bb_proto::ids::{BottleName, ProviderKey, RunId};
use bb_proto::reply::{CallRow, UsageRow, UsageSum, Usages};
use bb_proto::request::{UsageBy, UsageQuery};
use bb_proto::time::Timestamp;

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::table::{self, Column};
use super::words;
use crate::format;

/// Show tokens used, summed by bottle, agent, provider or model, or call by call
///
/// With --json: one object with rows and total.
#[derive(Debug, clap::Args)]
pub(super) struct Usage {
    /// What a row is
    #[arg(long, value_name = "WHAT", default_value = "bottle")]
    by: By,
    /// Only this bottle's
    #[arg(long, value_name = "BOTTLE")]
    bottle: Option<BottleName>,
    /// Only this run's
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Only this provider's
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderKey>,
    /// Only calls that ended within this time, such as 90m, 2h or 7d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// The most rows, at most 1000; the total counts all
    #[arg(long, value_name = "ROWS")]
    limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Bottle,
    Agent,
    Provider,
    Model,
    Call,
}

const SUMS: [Column; 11] = [
    Column::left("BOTTLE").down_to(16),
    Column::left("AGENT").down_to(12),
    Column::left("PROVIDER"),
    Column::left("MODEL").down_to(12),
    Column::right("CALLS").drops(1),
    Column::right("INPUT").drops(2),
    Column::right("CACHE_R").drops(3),
    Column::right("CACHE_W").drops(4),
    Column::right("OUTPUT").drops(2),
    Column::right("CHARGE"),
    Column::right("ESTIMATED").drops(5),
];

const CALLS: [Column; 12] = [
    Column::left("STARTED"),
    Column::left("BOTTLE").down_to(16),
    Column::left("PROVIDER").drops(6),
    Column::left("MODEL").drops(7).down_to(12),
    Column::right("INPUT").drops(2),
    Column::right("CACHE_R").drops(3),
    Column::right("CACHE_W").drops(4),
    Column::right("OUTPUT").drops(2),
    Column::right("REASONING").drops(8),
    Column::right("CHARGE"),
    Column::right("TOOK").drops(5),
    Column::left("ENDING").drops(1),
];

impl Usage {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let from = self.since.map(|since| before(words::now(), since));
        let usages = connection.call(&UsageQuery {
            bottle: self.bottle,
            run: self.run,
            provider: self.provider,
            from,
            to: None,
            by: match self.by {
                By::Bottle => UsageBy::Bottle,
                By::Agent => UsageBy::Agent,
                By::Provider => UsageBy::Provider,
                By::Model => UsageBy::Model,
                By::Call => UsageBy::Call,
            },
            limit: self.limit,
        })?;
        output.show(&usages, |usages| {
            if usages.rows.is_empty() {
                return "no calls".to_owned();
            }
            let width = Output::width();
            match self.by {
                By::Call => calls(usages, width),
                _ => sums(usages, width),
            }
        })?;
        Ok(Exit::DONE)
    }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(ms).max(0))
}

fn sums(usages: &Usages, width: usize) -> String {
    let mut rows: Vec<Vec<String>> = usages.rows.iter().map(sum_row).collect();
    rows.push(sum_cells(
        ["total", "", "", ""].map(str::to_owned),
        &usages.total,
    ));
    // The total stands under the first column that has anything in it.
    let has = |at: usize| {
        usages
            .rows
            .iter()
            .map(sum_row)
            .any(|row| row.get(at).is_some_and(|cell| !cell.is_empty()))
    };
    if let (Some(at), Some(total)) = ((0..4).find(|at| has(*at)), rows.last_mut()) {
        total.swap(0, at);
    }
    table::draw(&SUMS, &rows, width)
}

fn sum_row(row: &UsageRow) -> Vec<String> {
    let text = |text: Option<String>| text.unwrap_or_default();
    sum_cells(
        [
            text(row.bottle.as_ref().map(ToString::to_string)),
            text(row.agent.as_ref().map(ToString::to_string)),
            text(row.provider.as_ref().map(ToString::to_string)),
            text(row.model.clone()),
        ],
        &row.sum,
    )
}

fn sum_cells(names: [String; 4], sum: &UsageSum) -> Vec<String> {
    let numbers = [
        sum.calls.to_string(),
        format::tokens(sum.input),
        format::tokens(sum.cache_read),
        format::tokens(sum.cache_write),
        format::tokens(sum.output),
        format::tokens(sum.charge.0),
        sum.estimated.to_string(),
    ];
    names.into_iter().chain(numbers).collect()
}

fn calls(usages: &Usages, width: usize) -> String {
    let total = &usages.total;
    let mut rows: Vec<Vec<String>> = usages
        .rows
        .iter()
        .filter_map(|row| row.call.as_ref().map(|call| call_row(row, call)))
        .collect();
    rows.push(vec![
        "total".to_owned(),
        words::count(total.calls, "call"),
        String::new(),
        String::new(),
        format::tokens(total.input),
        format::tokens(total.cache_read),
        format::tokens(total.cache_write),
        format::tokens(total.output),
        format::tokens(total.reasoning),
        format::tokens(total.charge.0),
        String::new(),
        String::new(),
    ]);
    table::draw(&CALLS, &rows, width)
}

fn call_row(row: &UsageRow, call: &CallRow) -> Vec<String> {
    // What the provider did not state is not a zero.
    let stated = |count: Option<u64>| count.map_or("-".to_owned(), format::tokens);
    let mark = if call.estimated { "~" } else { "" };
    vec![
        words::instant(call.started_at),
        row.bottle
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        row.provider
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        row.model.clone().unwrap_or_default(),
        stated(call.usage.input),
        stated(call.usage.cache_read),
        stated(call.usage.cache_write),
        stated(call.usage.output),
        stated(call.usage.reasoning),
        format!("{mark}{}", format::tokens(row.sum.charge.0)),
        format::duration_ms(call.ended_at.since(call.started_at).0),
        words::ending(call.ending).to_owned(),
    ]
}
