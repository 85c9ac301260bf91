//! What is done to bottles by name: cutoff, restore, stop, remove.

use bb_proto::ids::BottleName;
use bb_proto::reply::{Acted, Target};
use bb_proto::request::{BottleCutoff, BottleRemove, BottleRestore, BottleStop};
use bb_proto::view::BottleState;

use super::connection::Connection;
use super::exit::{Exit, Failure, Outcome};
use super::output::Output;
use super::words;
use crate::format;

/// Which bottles, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Targets {
    /// The bottles
    #[arg(required = true, value_name = "BOTTLE")]
    names: Vec<BottleName>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Cutoff,
    Restore,
    Stop,
    Remove,
}

impl Act {
    pub(super) fn run(
        self,
        targets: &Targets,
        yes: bool,
        connection: &mut Connection,
        output: Output,
    ) -> Outcome {
        connection.expect_targets(targets.names.len())?;
        let asks = matches!(self, Self::Stop | Self::Remove) && !targets.dry_run && !yes;
        if asks && Output::can_ask() {
            let would = self.call(targets, true, connection)?;
            let what: Vec<String> = would.targets.iter().map(|t| self.line(t, true)).collect();
            if !Output::confirm(&format!("{}; go on?", what.join("; ")))? {
                return Err(Failure::declined());
            }
        }
        let acted = self.call(targets, targets.dry_run, connection)?;
        output.show(&acted, |acted| {
            let lines: Vec<String> = acted
                .targets
                .iter()
                .map(|target| self.line(target, acted.dry_run))
                .collect();
            lines.join("\n")
        })?;
        Ok(Exit::DONE)
    }

    fn call(
        self,
        targets: &Targets,
        dry_run: bool,
        connection: &mut Connection,
    ) -> Result<Acted, Failure> {
        macro_rules! call {
            ($method:ident) => {
                connection.call(&$method {
                    names: targets.names.clone(),
                    why: targets.why.clone(),
                    dry_run,
                    ..$method::default()
                })
            };
        }
        match self {
            Self::Cutoff => call!(BottleCutoff),
            Self::Restore => call!(BottleRestore),
            Self::Stop => call!(BottleStop),
            Self::Remove => call!(BottleRemove),
        }
    }

    /// Says in one line what was done to a bottle, or would be.
    fn line(self, target: &Target, dry_run: bool) -> String {
        let mut line = if !target.changed {
            self.already(target)
        } else if dry_run {
            self.would(target)
        } else {
            self.done(target)
        };
        if let Some(note) = &target.note {
            line.push_str("; ");
            line.push_str(note);
        }
        line
    }

    fn done(self, target: &Target) -> String {
        let name = &target.name;
        let ended = format!(
            "{} ended in {}",
            words::count(target.streams_ended, "stream"),
            format::took_us(target.took_us)
        );
        match (self, target.observed) {
            (Self::Cutoff, _) => format!("cut off {name}: {ended}, new calls refused"),
            (Self::Restore, BottleState::Cutoff) => format!("restored {name}: still cut off"),
            (Self::Restore, _) => format!("restored {name}: new calls admitted"),
            (Self::Stop, BottleState::Stopped | BottleState::Failed) => {
                format!("stopped {name}: {ended}")
            }
            (Self::Stop, _) => format!("told {name} to stop, it has not ended yet: {ended}"),
            (Self::Remove, _) => format!("removed {name}; the ledger keeps its calls"),
        }
    }

    fn would(self, target: &Target) -> String {
        let name = &target.name;
        let streams = words::count(target.streams_ended, "stream");
        match self {
            Self::Cutoff => {
                format!("would cut off {name}: {streams} would end, new calls would be refused")
            }
            Self::Restore => format!("would restore {name}: new calls would be admitted"),
            Self::Stop => format!("would stop {name}: {streams} would end"),
            Self::Remove => format!("would remove {name}; the ledger keeps its calls"),
        }
    }

    fn already(self, target: &Target) -> String {
        let name = &target.name;
        match (self, target.observed) {
            (Self::Cutoff, BottleState::Cutoff) => format!("{name} is cut off already"),
            (Self::Restore, BottleState::Running) => format!("{name} is not cut off"),
            (Self::Restore, BottleState::Cutoff) => {
                format!("{name} is not cut off by the operator, but by a budget")
            }
            (Self::Stop, BottleState::Stopped | BottleState::Failed) => {
                format!("{name} has ended already")
            }
            (_, observed) => format!("nothing to do for {name}: it is {}", words::state(observed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(changed: bool, observed: BottleState) -> Target {
        Target {
            name: BottleName::new("web").expect("a name"),
            run: None,
            changed,
            streams_ended: 3,
            took_us: 2_100,
            observed,
            note: None,
        }
    }

    #[test]
    fn each_act_says_what_it_did_and_what_was_so_already() {
        use BottleState::{Cutoff, Declared, Running, Stopped};
        let line = |act: Act, changed, observed| act.line(&target(changed, observed), false);
        for (said, line) in [
            (
                line(Act::Cutoff, true, Cutoff),
                "cut off web: 3 streams ended in 2 ms, new calls refused",
            ),
            (line(Act::Cutoff, false, Cutoff), "web is cut off already"),
            (
                line(Act::Cutoff, false, Stopped),
                "nothing to do for web: it is stopped",
            ),
            (
                line(Act::Restore, true, Running),
                "restored web: new calls admitted",
            ),
            (
                line(Act::Restore, true, Cutoff),
                "restored web: still cut off",
            ),
            (line(Act::Restore, false, Running), "web is not cut off"),
            (
                line(Act::Restore, false, Cutoff),
                "web is not cut off by the operator, but by a budget",
            ),
            (
                line(Act::Stop, true, Stopped),
                "stopped web: 3 streams ended in 2 ms",
            ),
            (
                line(Act::Stop, true, Running),
                "told web to stop, it has not ended yet: 3 streams ended in 2 ms",
            ),
            (line(Act::Stop, false, Stopped), "web has ended already"),
            (
                line(Act::Remove, true, Declared),
                "removed web; the ledger keeps its calls",
            ),
        ] {
            assert_eq!(said, line);
        }
    }

    #[test]
    fn what_would_be_done_is_never_said_as_done() {
        for act in [Act::Cutoff, Act::Restore, Act::Stop, Act::Remove] {
            let line = act.line(&target(true, BottleState::Running), true);
            assert!(line.starts_with("would "), "{line}");
        }
    }
}
