//! The command line of `bb-controller`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use bb_proto::home::Home;
use clap::Parser;

use crate::daemon;
use crate::recorded::Meter;

/// Meters what coding agents spend at an egress proxy and holds them to budgets.
///
/// One controller runs a home: it reads DIR/settings.yml, keeps its ledger in DIR/bot-bottle.db,
/// logs to DIR/log/controller.log, and answers bb-ctl and bb-dash on DIR/run/controller.sock. It
/// serves until it gets SIGTERM or `bb-ctl shutdown`; SIGHUP takes the settings again.
#[derive(Debug, Parser)]
#[command(
    name = "bb-controller",
    version,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The home directory; else the variable `BB_HOME`, else ~/.bot-bottle
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Meter(Box<Meter>),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Meter(meter)) = arguments.command {
        return match meter.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let source = std::error::Error::source(&error);
                let source = source.map_or_else(String::new, |source| format!(": {source}"));
                say(&format!("error: {error}{source}"));
                ExitCode::FAILURE
            }
        };
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let Some(home) = Home::choose(arguments.home, variable("BB_HOME"), variable("HOME")) else {
        say("error: neither --home nor BB_HOME nor HOME says where the home is");
        return ExitCode::from(2);
    };
    match daemon::run(home) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.report());
            ExitCode::from(error.exit_code())
        }
    }
}

fn say(text: &str) {
    if let Err(error) = writeln!(std::io::stderr(), "{text}") {
        tracing::debug!(%error, "nobody reads standard error");
    }
}
