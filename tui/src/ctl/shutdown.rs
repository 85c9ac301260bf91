//! `bb-ctl shutdown`.

use std::time::{Duration, Instant};

use bb_proto::client::Client;
use bb_proto::home::Home;
use bb_proto::request;
use serde_json::json;

use super::connection::Connection;
use super::exit::{Exit, Failure, Outcome};
use super::output::Output;
use super::wait;
use super::words;

/// How long the controller may take beyond what it grants the calls in flight.
const CLOSING: Duration = Duration::from_secs(10);

/// End the controller: no call goes through until it is started again
///
/// Calls in flight may come to their end for a while, and every bottle's command goes on. Returns
/// when the controller has ended.
#[derive(Debug, clap::Args)]
pub(super) struct Shutdown {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Shutdown {
    pub(super) fn run(
        self,
        home: &Home,
        yes: bool,
        mut connection: Connection,
        output: Output,
    ) -> Outcome {
        let pid = connection.hello().pid;
        if self.dry_run {
            let would = connection.call(&request::Shutdown { dry_run: true })?;
            output.show(&would, |would| {
                let calls = words::count(would.in_flight, "call");
                format!("would end the controller (pid {pid}): {calls} in flight")
            })?;
            return Ok(Exit::DONE);
        }
        if !yes && Output::can_ask() {
            let would = connection.call(&request::Shutdown { dry_run: true })?;
            let calls = words::count(would.in_flight, "call");
            let question = format!("end the controller (pid {pid}), {calls} in flight?");
            if !Output::confirm(&question)? {
                return Err(Failure::declined());
            }
        }
        let ending = connection.call(&request::Shutdown { dry_run: false })?;
        drop(connection);
        let limit = Duration::from_millis(ending.grace_ms).saturating_add(CLOSING);
        let begun = Instant::now();
        let gone = wait::until(limit, || Client::connect(&home.socket()).is_err());
        if !gone {
            return Err(Failure::failed(format!(
                "the controller (pid {pid}) still answers after {} s",
                begun.elapsed().as_secs()
            )));
        }
        output.show(
            &json!({"pid": pid, "in_flight": ending.in_flight, "grace_ms": ending.grace_ms}),
            |_| format!("the controller (pid {pid}) has ended"),
        )?;
        Ok(Exit::DONE)
    }
}
