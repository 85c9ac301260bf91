//! `bb-ctl ledger tail`.

use bb_proto::ids::BottleName;
use bb_proto::reply::{EntryKind, LedgerEntry};
use bb_proto::request::LedgerTail;

use super::super::connection::Connection;
use super::super::exit::{Exit, Outcome};
use super::super::output::Output;
use super::super::table::{self, Column};
use super::super::words;
use crate::format::{self, text};

/// How long one question waits for the next entry, in milliseconds: less than an answer may take.
const WAIT_MS: u64 = 2_000;
/// The most entries of a page.
const PAGE_ENTRIES: u32 = 1_000;

/// Print the newest entries of the ledger; the newest last
///
/// Entries are charges (settle), what a later word of the provider changed of one (amend, with the
/// differences), and calls that were taken back (void). With --json: one entry a line, all counts
/// as they are.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Tail {
    /// Go on with entries as they are made, until the controller ends
    #[arg(short, long)]
    follow: bool,
    /// How many entries, at most 1000
    #[arg(
        short = 'n',
        long,
        value_name = "ENTRIES",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(..=1_000)
    )]
    number: u32,
    /// Only this bottle's
    #[arg(long, value_name = "BOTTLE")]
    bottle: Option<BottleName>,
}

const COLUMNS: [Column; 15] = [
    Column::left("AT"),
    Column::right("ENTRY").drops(9),
    Column::left("KIND"),
    Column::left("BOTTLE").down_to(16),
    Column::left("PROVIDER").drops(6),
    Column::left("MODEL").drops(7).down_to(12),
    Column::right("INPUT").drops(2),
    Column::right("CACHE_R").drops(3),
    Column::right("CACHE_W").drops(4),
    Column::right("OUTPUT").drops(2),
    Column::right("REASONING").drops(8),
    Column::right("CHARGE"),
    Column::right("OVERRUN").drops(5),
    Column::left("ENDING").drops(1),
    Column::right("STATUS").drops(5),
];

/// How wide columns are at least where lines go on, so that they stay below each other.
const FOLLOWED: [usize; 15] = [20, 7, 6, 16, 8, 20, 6, 7, 7, 6, 9, 7, 7, 13, 6];

impl Tail {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let mut page = connection.call(&LedgerTail {
            after: None,
            bottle: self.bottle.clone(),
            limit: Some(self.number),
            wait_ms: None,
        })?;
        if !self.follow {
            output.show_each(&page.entries, |entries| {
                if entries.is_empty() {
                    return "no entries".to_owned();
                }
                let rows: Vec<Vec<String>> = entries.iter().map(cells).collect();
                table::draw(&COLUMNS, &rows, Output::width())
            })?;
            return Ok(Exit::DONE);
        }
        if !output.is_json() {
            output.show(&(), |()| followed(&[]).0)?;
        }
        loop {
            output.show_each(&page.entries, |entries| followed(entries).1)?;
            if Output::reader_is_gone() {
                return Ok(Exit::DONE);
            }
            page = connection.call(&LedgerTail {
                after: Some(page.last),
                bottle: self.bottle.clone(),
                limit: Some(PAGE_ENTRIES),
                wait_ms: Some(WAIT_MS),
            })?;
        }
    }
}

/// Draws entries that others follow: the head, and the rows below it. Each column has its width
/// from the beginning, so that later rows stand below earlier ones.
fn followed(entries: &[LedgerEntry]) -> (String, String) {
    let wide = |cells: Vec<String>| -> Vec<String> {
        let padded = cells.iter().zip(FOLLOWED).zip(COLUMNS);
        padded
            .map(|((cell, width), column)| column.pad(&text::clean(cell), width))
            .collect()
    };
    let blank = wide(vec![String::new(); FOLLOWED.len()]);
    let rows = entries.iter().map(|entry| wide(cells(entry)));
    let rows: Vec<Vec<String>> = std::iter::once(blank).chain(rows).collect();
    let drawn = table::draw(&COLUMNS, &rows, Output::width());
    let mut lines = drawn.lines();
    let head = lines.next().unwrap_or_default().to_owned();
    (head, lines.skip(1).collect::<Vec<_>>().join("\n"))
}

fn cells(entry: &LedgerEntry) -> Vec<String> {
    let usage = &entry.usage;
    let mark = if entry.estimated { "~" } else { "" };
    let kind = match entry.kind {
        EntryKind::Settle => "settle",
        EntryKind::Amend => "amend",
        EntryKind::Void => "void",
        _ => "unknown",
    };
    vec![
        words::instant(entry.at),
        entry.seq.to_string(),
        kind.to_owned(),
        entry.bottle.to_string(),
        entry.provider.to_string(),
        entry.model.clone(),
        stated(usage.input),
        stated(usage.cache_read),
        stated(usage.cache_write),
        stated(usage.output),
        stated(usage.reasoning),
        format!("{mark}{}", signed(entry.charge)),
        format::tokens(entry.overrun.0),
        ending(entry),
        entry
            .status
            .map_or("-".to_owned(), |status| status.to_string()),
    ]
}

/// Returns how a call ended, and what the gate `exact` made of it.
fn ending(entry: &LedgerEntry) -> String {
    let word = words::ending(entry.ending);
    match entry.capped {
        Some(cap) => format!("{word}, capped {}", format::tokens(cap)),
        None if entry.unbounded => format!("{word}, unbounded"),
        None => word.to_owned(),
    }
}

/// What the provider did not state is not a zero.
fn stated(count: Option<i64>) -> String {
    count.map_or("-".to_owned(), signed)
}

fn signed(count: i64) -> String {
    let tokens = format::tokens(count.unsigned_abs());
    if count < 0 {
        format!("-{tokens}")
    } else {
        tokens
    }
}
