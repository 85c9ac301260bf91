//! Entries, and what entries were rolled up to, as they are exported.

use bb_proto::ids::{AgentName, BottleName, CallId, ProviderKey, RunId};
use bb_proto::reply::{Ending, EntryKind, LedgerEntries, LedgerEntry, RolledUp};
use bb_proto::usage::Wire;
use serde::Serialize;

use super::super::super::exit::Failure;
use super::super::super::words;
use super::csv;

/// The fields of both.
pub(super) const HEAD: [&str; 30] = [
    "seq",
    "kind",
    "at",
    "started_at",
    "call",
    "bottle",
    "run",
    "agent",
    "provider",
    "wire",
    "model",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "charge",
    "overrun",
    "estimated",
    "ending",
    "status",
    "uid",
    "why",
    "capped",
    "unbounded",
    "first",
    "calls",
    "estimated_calls",
    "voided",
    "amended",
];

/// A line of an export.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Line<'a> {
    One(Box<One<'a>>),
    Hour(Box<Hour<'a>>),
}

/// An entry.
#[derive(Debug, Serialize)]
pub(super) struct One<'a> {
    seq: u64,
    kind: EntryKind,
    at: String,
    started_at: String,
    call: CallId,
    bottle: &'a BottleName,
    run: RunId,
    agent: Option<&'a AgentName>,
    provider: &'a ProviderKey,
    wire: Wire,
    model: &'a str,
    input: Option<i64>,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    output: Option<i64>,
    reasoning: Option<i64>,
    charge: i64,
    overrun: u64,
    estimated: bool,
    ending: Ending,
    status: Option<u16>,
    uid: Option<u32>,
    why: Option<&'a str>,
    capped: Option<u64>,
    unbounded: bool,
}

/// The sums of an hour.
#[derive(Debug, Serialize)]
pub(super) struct Hour<'a> {
    seq: u64,
    kind: &'static str,
    at: String,
    bottle: &'a BottleName,
    run: RunId,
    agent: Option<&'a AgentName>,
    provider: &'a ProviderKey,
    model: &'a str,
    input: Option<i64>,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    output: Option<i64>,
    reasoning: Option<i64>,
    charge: i64,
    overrun: u64,
    first: u64,
    calls: u64,
    estimated_calls: u64,
    voided: u64,
    amended: u64,
}

/// Returns the lines of a page in the order of their numbers.
pub(super) fn in_order(page: &LedgerEntries) -> Vec<Line<'_>> {
    let ones = page.entries.iter().map(|entry| (entry.seq, one(entry)));
    let hours = page.rolled_up.iter().map(|row| (row.seq, hour(row)));
    let mut lines: Vec<(u64, Line<'_>)> = ones.chain(hours).collect();
    lines.sort_by_key(|(seq, _)| *seq);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn one(entry: &LedgerEntry) -> Line<'_> {
    let usage = entry.usage;
    Line::One(Box::new(One {
        seq: entry.seq,
        kind: entry.kind,
        at: words::exact_instant(entry.at),
        started_at: words::exact_instant(entry.started_at),
        call: entry.call,
        bottle: &entry.bottle,
        run: entry.run,
        agent: entry.agent.as_ref(),
        provider: &entry.provider,
        wire: entry.wire,
        model: &entry.model,
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        output: usage.output,
        reasoning: usage.reasoning,
        charge: entry.charge,
        overrun: entry.overrun.0,
        estimated: entry.estimated,
        ending: entry.ending,
        status: entry.status,
        uid: entry.uid,
        why: entry.why.as_deref(),
        capped: entry.capped,
        unbounded: entry.unbounded,
    }))
}

fn hour(row: &RolledUp) -> Line<'_> {
    let usage = row.usage;
    Line::Hour(Box::new(Hour {
        seq: row.seq,
        kind: "rolled_up",
        at: words::exact_instant(row.hour),
        bottle: &row.bottle,
        run: row.run,
        agent: row.agent.as_ref(),
        provider: &row.provider,
        model: &row.model,
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        output: usage.output,
        reasoning: usage.reasoning,
        charge: row.charge,
        overrun: row.overrun.0,
        first: row.first,
        calls: row.calls,
        estimated_calls: row.estimated,
        voided: row.voided,
        amended: row.amended,
    }))
}

impl Line<'_> {
    /// Writes the line as a record: its fields in the order of the head, null and what it has not
    /// as nothing.
    pub(super) fn record(&self) -> Result<String, Failure> {
        let value = serde_json::to_value(self)
            .map_err(|error| Failure::failed(format!("an entry cannot be written: {error}")))?;
        let fields: Vec<String> = HEAD
            .iter()
            .map(|name| match value.get(*name) {
                None | Some(serde_json::Value::Null) => String::new(),
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            })
            .collect();
        Ok(csv::record(fields.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::super::super::super::output;
    use super::*;

    fn page() -> LedgerEntries {
        let run = "019aa0b2-6f00-7000-8000-0000000000a1";
        let entry = json!({"seq": 7, "kind": "amend", "call": "019aa0b2-6f00-7000-8000-0000000000c1",
            "at": 1_795_183_263_007_i64, "started_at": 0, "bottle": "web",
            "run": run, "provider": "claude",
            "wire": "gemini", "model": "a,\"b\"", "usage": {"input": -5, "cache_read": null,
            "cache_write": 0, "output": null, "reasoning": null}, "charge": -5, "overrun": 0,
            "estimated": false, "ending": "complete"});
        let hour = json!({"seq": 6, "first": 2, "hour": 1_795_179_600_000_i64, "bottle": "web",
            "run": run, "provider": "claude", "model": "", "calls": 3, "estimated": 1, "voided": 0,
            "amended": 1, "usage": {"input": 90, "cache_read": null, "cache_write": 0,
            "output": 12, "reasoning": null}, "charge": 102, "overrun": 7});
        let page = json!({"entries": [entry], "rolled_up": [hour], "last": 7, "more": false});
        serde_json::from_value(page).expect("a page")
    }

    #[test]
    fn the_head_has_every_field_of_the_lines_and_no_other() {
        let mut fields = BTreeSet::new();
        for line in in_order(&page()) {
            let line = output::json_line(&line).expect("a line");
            let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            fields.extend(value.as_object().expect("an object").keys().cloned());
        }
        assert_eq!(fields, HEAD.map(str::to_owned).into());
    }

    #[test]
    fn what_was_not_stated_is_null_in_json_and_empty_in_csv_and_zero_is_zero() {
        let page = page();
        let [hour, one] = in_order(&page).try_into().expect("two lines");
        insta::assert_snapshot!(output::json_line(&one).expect("a line"), @r#"{"seq":7,"kind":"amend","at":"2026-11-20T14:01:03.007Z","started_at":"1970-01-01T00:00:00.000Z","call":"019aa0b2-6f00-7000-8000-0000000000c1","bottle":"web","run":"019aa0b2-6f00-7000-8000-0000000000a1","agent":null,"provider":"claude","wire":"gemini","model":"a,\"b\"","input":-5,"cache_read":null,"cache_write":0,"output":null,"reasoning":null,"charge":-5,"overrun":0,"estimated":false,"ending":"complete","status":null,"uid":null,"why":null,"capped":null,"unbounded":false}"#);
        insta::assert_snapshot!(one.record().expect("a record"), @r#"7,amend,2026-11-20T14:01:03.007Z,1970-01-01T00:00:00.000Z,019aa0b2-6f00-7000-8000-0000000000c1,web,019aa0b2-6f00-7000-8000-0000000000a1,,claude,gemini,"a,""b""",-5,,0,,,-5,0,false,complete,,,,,false,,,,,"#);
        insta::assert_snapshot!(output::json_line(&hour).expect("a line"), @r#"{"seq":6,"kind":"rolled_up","at":"2026-11-20T13:00:00.000Z","bottle":"web","run":"019aa0b2-6f00-7000-8000-0000000000a1","agent":null,"provider":"claude","model":"","input":90,"cache_read":null,"cache_write":0,"output":12,"reasoning":null,"charge":102,"overrun":7,"first":2,"calls":3,"estimated_calls":1,"voided":0,"amended":1}"#);
        insta::assert_snapshot!(hour.record().expect("a record"), @"6,rolled_up,2026-11-20T13:00:00.000Z,,,web,019aa0b2-6f00-7000-8000-0000000000a1,,claude,,,90,,0,12,,102,7,,,,,,,,2,3,1,0,1");
    }
}
