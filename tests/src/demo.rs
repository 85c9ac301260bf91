//! The demo: the whole system on a home of its own, without any key. The scripted provider
//! answers; four bottles work, one of them runs away and is cut off.
//!
//! Everything is real but the provider and the agents: the programs that are shown are those that
//! are installed.

mod agent;
mod cast;
mod stage;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bb_proto::view::{Bottle, BottleState};
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use cast::RUNAWAY;
use stage::Stage;

/// How long the runaway may take to be cut off where nobody watches.
const CUTOFF_LIMIT: Duration = Duration::from_mins(2);
/// How long the others are still watched after that.
const AFTERMATH: Duration = Duration::from_secs(4);

/// Shows four agents under budgets, without any key, on a home that is gone afterwards.
///
/// In a terminal the dashboard opens; leaving it (q) ends everything. Elsewhere it runs until the
/// runaway agent is cut off, and prints what bb-ctl says.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Open no dashboard, in a terminal neither
    #[arg(long)]
    no_dash: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// Be the agent in one of the bottles
    #[command(hide = true)]
    Agent {
        /// Which part it plays
        part: String,
    },
}

/// Runs the demo, or one agent of it.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ran = runtime().and_then(|runtime| {
        runtime.block_on(async {
            match arguments.role {
                Some(Role::Agent { part }) => agent::run(&part).await,
                None => demo(!arguments.no_dash && has_terminal()).await,
            }
        })
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(std::io::stderr(), "demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Plays it to its end or to an interruption, and clears up either way.
async fn demo(with_dashboard: bool) -> anyhow::Result<()> {
    let mut interruption = Interruption::listen()?;
    let mut stage = Stage::new()?;
    let played = tokio::select! {
        played = play(&mut stage, with_dashboard) => played,
        () = interruption.came() => Ok(()),
    };
    let cleared = stage.clear().await;
    played?;
    cleared?;
    say("the demo is over: its bottles and its controller have ended, its home is removed")
}

async fn play(stage: &mut Stage, with_dashboard: bool) -> anyhow::Result<()> {
    stage.start().await?;
    if with_dashboard {
        return stage.show_dashboard().await;
    }
    say("four bottles run; one of them runs away")?;
    let is_cut_off = |bottle: &Bottle| bottle.state == BottleState::Cutoff;
    stage
        .wait_for(RUNAWAY, "cut off", CUTOFF_LIMIT, is_cut_off)
        .await?;
    say(&format!("{RUNAWAY} is cut off; its agent was told:"))?;
    tokio::time::sleep(AFTERMATH).await;
    say(&format!("  {}", stage.last_words(RUNAWAY)?))?;
    for arguments in [&["list"][..], &["usage"], &["audit"]] {
        say(&format!("\n$ bb-ctl {}", arguments.join(" ")))?;
        say(stage.ask(arguments).await?.trim_end())?;
    }
    say("")
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("writing to standard output")
}

/// What ends the demo from outside.
#[derive(Debug)]
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interruption {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn came(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
