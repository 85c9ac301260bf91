//! `bb-ctl ledger export`.

mod row;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use bb_proto::request::LedgerExport;
use bb_proto::time::Timestamp;
use serde_json::json;

use super::super::connection::Connection;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::output::{self, Output};
use super::super::words;
use super::csv;

/// Write all entries of the ledger, oldest first
///
/// Times are RFC 3339 in UTC. A count that the provider did not state is null in JSON and empty in
/// CSV, which is not zero; those of an amendment are differences. What is older than the settings
/// keep is rolled up to hours: sums of calls, which stand at the beginning of theirs. The sum of the
/// charges is what was charged. A file is put in its place when it is whole.
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
            put(&csv::record(row::HEAD))?;
        }
        let mut written = 0;
        loop {
            let page = connection.call(&query)?;
            let mut lines = String::new();
            for row in row::in_order(&page) {
                lines.push_str(&match self.format {
                    Format::Jsonl => output::json_line(&row)?,
                    Format::Csv => row.record()?,
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
