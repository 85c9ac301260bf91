//! `bb-ctl ledger export`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use bb_proto::ids::{AgentName, BottleName, CallId, ProviderKey, RunId};
use bb_proto::reply::{Ending, EntryKind, LedgerEntry};
use bb_proto::request::LedgerExport;
use bb_proto::time::Timestamp;
use bb_proto::usage::Wire;
use serde::Serialize;
use serde_json::json;

use super::super::connection::Connection;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::output::{self, Output};
use super::super::words;
use super::csv;

/// Write all entries of the ledger, oldest first
///
/// Times are RFC 3339 in UTC. A count that the provider did not state is null in JSON and empty in
/// CSV, which is not zero; those of an amendment are differences. The sum of the charges is what
/// was charged. A file is put in its place when it is whole.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Export {
    /// Only entries made at or after this time, such as 2026-11-20 or 2026-11-20T14:00:00Z
    #[arg(long, value_name = "TIME", value_parser = words::parse_instant)]
    from: Option<Timestamp>,
    /// Only entries made before this time
    #[arg(long, value_name = "TIME", value_parser = words::parse_instant)]
    to: Option<Timestamp>,
    /// One JSON object a line, or comma-separated values with a head (RFC 4180)
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    format: Format,
    /// Where to; - is standard output. One that is there is only overwritten with --yes
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

/// An entry as it is exported.
#[derive(Debug, Serialize)]
struct Exported<'a> {
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
    capped: Option<u64>,
    unbounded: bool,
}

const HEAD: [&str; 23] = [
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
    "capped",
    "unbounded",
];

impl Export {
    pub(super) fn run(
        self,
        open: impl FnOnce() -> Result<Connection, Failure>,
        yes: bool,
        output: Output,
    ) -> Outcome {
        if self.file == Path::new("-") {
            self.entries(&mut open()?, Output::put)?;
            return Ok(Exit::DONE);
        }
        let is_there = self.file.symlink_metadata().is_ok();
        if is_there && !yes {
            return Err(Failure::new(
                Exit::FAILED,
                "exists",
                format!("{} is there already", self.file.display()),
            )
            .with_hint("overwrite it with --yes, or name another file"));
        }
        let mut connection = open()?;
        let mut beside = self.file.clone().into_os_string();
        beside.push(format!(".{}.part", std::process::id()));
        let beside = PathBuf::from(beside);
        let written = self.to_file(&mut connection, &beside);
        let put = written.and_then(|entries| {
            std::fs::rename(&beside, &self.file).map_err(|error| failed(&self.file, &error))?;
            Ok(entries)
        });
        let entries = match put {
            Ok(entries) => entries,
            Err(failure) => {
                // Where it was never made there is nothing to take away.
                std::fs::remove_file(&beside).ok();
                return Err(failure);
            }
        };
        let path = self.file.display().to_string();
        output.show(&json!({"path": path, "entries": entries}), |_| {
            format!("{} written to {path}", words::entries(entries))
        })?;
        Ok(Exit::DONE)
    }

    fn to_file(&self, connection: &mut Connection, beside: &Path) -> Result<u64, Failure> {
        let failed = |error: std::io::Error| failed(&self.file, &error);
        let mut file = BufWriter::new(File::create_new(beside).map_err(failed)?);
        let entries = self.entries(connection, |text| {
            file.write_all(text.as_bytes()).map_err(failed)
        })?;
        let file = file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        Ok(entries)
    }

    /// Writes page by page; returns how many entries.
    fn entries(
        &self,
        connection: &mut Connection,
        mut put: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut query = LedgerExport {
            from: self.from,
            to: self.to,
            ..LedgerExport::default()
        };
        if self.format == Format::Csv {
            put(&csv::record(HEAD))?;
        }
        let mut written = 0;
        loop {
            let page = connection.call(&query)?;
            let mut lines = String::new();
            for entry in &page.entries {
                let exported = exported(entry);
                lines.push_str(&match self.format {
                    Format::Jsonl => output::json_line(&exported)?,
                    Format::Csv => record(&exported)?,
                });
                written += 1;
            }
            if !lines.is_empty() {
                put(&lines)?;
            }
            query.after = Some(page.last);
            if !page.more {
                return Ok(written);
            }
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

fn exported(entry: &LedgerEntry) -> Exported<'_> {
    let usage = entry.usage;
    Exported {
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
        capped: entry.capped,
        unbounded: entry.unbounded,
    }
}

/// Writes an entry as a record: its fields in the order of the head, null as nothing.
fn record(exported: &Exported<'_>) -> Result<String, Failure> {
    let value = serde_json::to_value(exported)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> LedgerEntry {
        let json = json!({"seq": 7, "kind": "amend", "call": "019aa0b2-6f00-7000-8000-0000000000c1",
            "at": 1_795_183_263_007_i64, "started_at": 0, "bottle": "web",
            "run": "019aa0b2-6f00-7000-8000-0000000000a1", "provider": "claude",
            "wire": "gemini", "model": "a,\"b\"", "usage": {"input": -5, "cache_read": null,
            "cache_write": 0, "output": null, "reasoning": null}, "charge": -5, "overrun": 0,
            "estimated": false, "ending": "complete"});
        serde_json::from_value(json).expect("an entry")
    }

    #[test]
    fn a_record_has_a_field_for_every_field_of_the_line() {
        let entry = entry();
        let exported = exported(&entry);
        let line = output::json_line(&exported).expect("a line");
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let mut fields: Vec<&String> = value.as_object().expect("an object").keys().collect();
        let mut head = HEAD.to_vec();
        fields.sort();
        head.sort_unstable();
        assert_eq!(fields, head);
    }

    #[test]
    fn what_was_not_stated_is_null_in_json_and_empty_in_csv_and_zero_is_zero() {
        let entry = entry();
        insta::assert_snapshot!(output::json_line(&exported(&entry)).expect("a line"), @r#"{"seq":7,"kind":"amend","at":"2026-11-20T14:01:03.007Z","started_at":"1970-01-01T00:00:00.000Z","call":"019aa0b2-6f00-7000-8000-0000000000c1","bottle":"web","run":"019aa0b2-6f00-7000-8000-0000000000a1","agent":null,"provider":"claude","wire":"gemini","model":"a,\"b\"","input":-5,"cache_read":null,"cache_write":0,"output":null,"reasoning":null,"charge":-5,"overrun":0,"estimated":false,"ending":"complete","status":null,"capped":null,"unbounded":false}"#);
        insta::assert_snapshot!(record(&exported(&entry)).expect("a record"), @r#"7,amend,2026-11-20T14:01:03.007Z,1970-01-01T00:00:00.000Z,019aa0b2-6f00-7000-8000-0000000000c1,web,019aa0b2-6f00-7000-8000-0000000000a1,,claude,gemini,"a,""b""",-5,,0,,,-5,0,false,complete,,,false"#);
    }
}
