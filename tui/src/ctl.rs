//! `bb-ctl`, the command line: what can be asked, and who answers.

mod act;
mod audit;
mod budget;
mod completions;
mod connection;
mod doctor;
mod env;
mod exit;
mod launch;
mod ledger;
mod list;
mod output;
mod program;
mod register;
mod run;
mod settings;
mod shell;
mod show;
mod shutdown;
mod status;
mod table;
mod usage;
mod verify;
mod wait;
mod watch;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;

use act::{Act, Targets};
use connection::Connection;
use exit::{Exit, Outcome};
use output::Output;

/// Over the options that every command has.
const EVERYWHERE: &str = "Options of every command";

/// Meter and limit what coding agents spend, and stop them without their help
///
/// Speaks with the controller (bb-controller) of a home directory over its socket. Exit codes: 0
/// done, or so already; 1 refused or failed; 2 the command line is not understood; 3 a budget is
/// spent; 4 no controller answers. `bb-ctl run` ends with the code of its command; its own
/// failures are 125, 126 (cannot be executed) and 127 (not found).
#[derive(Debug, clap::Parser)]
#[command(
    name = "bb-ctl",
    version,
    propagate_version = false,
    max_term_width = 100
)]
#[command(subcommand_required = true, arg_required_else_help = false)]
struct Cli {
    /// The controller's home directory [default: `BB_HOME`, else ~/.bot-bottle]
    #[arg(long, global = true, value_name = "DIR", help_heading = EVERYWHERE)]
    home: Option<PathBuf>,
    /// Print JSON: one object, or one object a line
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Do not ask, where it would ask
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    yes: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Run),
    Register(register::Register),
    List(list::List),
    Show(show::Show),
    Env(env::Env),
    /// Close all egress of bottles: end their streams, refuse their calls
    ///
    /// Their processes go on. It stays until `bb-ctl restore`.
    Cutoff(Targets),
    /// Lift the operator's cutoff of bottles
    ///
    /// What a spent budget closed stays closed until the budget has room: `bb-ctl budget raise`.
    Restore(Targets),
    /// End the processes of bottles
    Stop(Targets),
    /// Forget bottles that have ended; the ledger keeps their calls
    Remove(Targets),
    #[command(subcommand)]
    Budget(budget::Budget),
    Usage(usage::Usage),
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    Verify(verify::Verify),
    Audit(audit::Audit),
    Watch(watch::Watch),
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Say what is enforced, what is missing, and what to do about it
    Doctor,
    /// Show where the controller is and how it stands
    Status,
    Completions(completions::Completions),
    Shutdown(shutdown::Shutdown),
}

/// Runs the command line and returns how it ended.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = match run::inner(&arguments) {
        Some(exit) => exit,
        None => outer(&arguments),
    };
    ExitCode::from(exit.0)
}

fn outer(arguments: &[OsString]) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => return Output::help(&error),
        Err(error) => {
            let exit = Output::new(said(arguments, "--json")).fail(&exit::from_clap(&error));
            return if is_run(arguments) {
                Exit::RUN_FAILED
            } else {
                exit
            };
        }
    };
    let output = Output::new(cli.json);
    match dispatch(cli, output) {
        Ok(exit) => exit,
        Err(failure) => output.fail(&failure),
    }
}

fn dispatch(cli: Cli, output: Output) -> Outcome {
    let home = || connection::choose_home(cli.home.clone());
    let open = || Connection::open(&home()?);
    let act = |act: Act, targets: &Targets| act.run(targets, cli.yes, &mut open()?, output);
    match cli.command {
        Command::Run(run) => run.run(home(), output),
        Command::Register(register) => register.run(&mut open()?, output),
        Command::List(list) => list.run(&mut open()?, output),
        Command::Show(show) => show.run(&mut open()?, output),
        Command::Env(env) => env.run(&mut open()?, output),
        Command::Cutoff(targets) => act(Act::Cutoff, &targets),
        Command::Restore(targets) => act(Act::Restore, &targets),
        Command::Stop(targets) => act(Act::Stop, &targets),
        Command::Remove(targets) => act(Act::Remove, &targets),
        Command::Budget(budget) => budget.run(open, output),
        Command::Usage(usage) => usage.run(&mut open()?, output),
        Command::Ledger(ledger) => ledger.run(open, cli.yes, output),
        Command::Verify(verify) => verify.run(&mut open()?, output),
        Command::Audit(audit) => audit.run(&mut open()?, output),
        Command::Watch(watch) => watch.run(open()?, output),
        Command::Settings(settings) => settings.run(&mut open()?, output),
        Command::Doctor => doctor::run(&home()?, output),
        Command::Status => status::run(&home()?, &mut open()?, output),
        Command::Completions(completions) => completions.run(output),
        Command::Shutdown(shutdown) => shutdown.run(&home()?, cli.yes, open()?, output),
    }
}

/// Returns whether a flag of ours stands on a command line that could not be parsed.
fn said(arguments: &[OsString], flag: &str) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == flag)
}

/// Returns whether a command line that could not be parsed is one of `run`.
fn is_run(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--home" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return word == "run";
        }
    }
    false
}
