//! `bb-ctl run`: a command as a bottle, in the operator's terminal.
//!
//! The order matters. The child is spawned first and held, so that its process is known; then the
//! bottle is registered; then the child gets its environment and becomes the command. Nothing of
//! the command runs before the controller knows whom to stop.

mod held;
mod job;
mod naming;
mod process;
mod start;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use bb_proto::error::ErrorCode;
use bb_proto::home::Home;
use bb_proto::ids::BottleName;
use bb_proto::process::Process;
use bb_proto::reply::Registered;
use bb_proto::request::{BottleEnded, BottleRegister};
use serde_json::json;

use self::held::{Held, Plan};
use self::job::Ended;
use super::connection::Connection;
use super::env::CLIENT_DEFAULT;
use super::exit::{Exit, Failure, Outcome};
use super::launch::Launch;
use super::output::Output;
use super::program::{self, Found};

/// The most names that are tried where none is given.
const NAMES_MAX: u32 = 1000;

/// Runs what only `bb-ctl` itself asks for; `None` where the command line is a person's.
pub(super) fn inner(arguments: &[OsString]) -> Option<Exit> {
    held::inner(arguments).or_else(|| start::inner(arguments))
}

/// Run a command as a bottle: its model calls go through the proxy and count
///
/// The command gets the terminal: Ctrl-C, Ctrl-Z and resizing work as without bb-ctl, and its
/// exit code is ours. Where no controller answers, one is started. Put `--` before a command that
/// has options of its own: bb-ctl run --budget 200k -- claude -p "fix the tests".
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The bottle's name [default: after the command: claude, claude-2, …, the first that does
    /// not run]
    #[arg(long, value_name = "BOTTLE")]
    name: Option<BottleName>,
    #[command(flatten)]
    launch: Launch,
    /// The recipe by which the command is pointed at the proxy [default: the command's name where
    /// there is such a recipe, else sdk]
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// A variable of the command's environment; may be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = assignment)]
    env: Vec<(String, String)>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn run(self, home: Result<Home, Failure>, output: Output) -> Outcome {
        self.attempt(home, output)
            .map_err(|failure| match &failure {
                Failure::Told(told)
                    if !matches!(told.exit, Exit::NOT_EXECUTABLE | Exit::NOT_FOUND) =>
                {
                    failure.with_exit(Exit::RUN_FAILED)
                }
                _ => failure,
            })
    }

    fn attempt(self, home: Result<Home, Failure>, output: Output) -> Outcome {
        let home = home?;
        self.look_for_program()?;
        job::check_that_ends_are_seen()?;
        let mut connection = start::connect(&home, output)?;
        let held = Held::spawn(&self.command)?;
        let registered = self.register(&mut connection, held.process())?;
        drop(connection);
        self.announce(&registered, output);
        for warning in &registered.warnings {
            output.warn(warning);
        }
        let (name, run) = (registered.name.clone(), registered.run);
        let ended = job::see_through(held, &self.plan(registered, output))?;
        tell_end(
            &home,
            &BottleEnded {
                name: name.clone(),
                run,
                exit_code: i32::from(ended.exit_code()),
            },
        );
        if let Ended::BySignal(signal) = ended {
            output.note(
                &json!({"ended": {"name": name, "signal": signal.as_str()}}),
                |_| format!("bottle {name} was ended by {signal}"),
            );
        }
        Ok(Exit(ended.exit_code()))
    }

    /// Fails early where there is no such command: no bottle comes to be for a slip of the pen.
    fn look_for_program(&self) -> Result<(), Failure> {
        let path = self
            .env
            .iter()
            .rfind(|(name, _)| name == "PATH")
            .map(|(_, path)| OsString::from(path))
            .or_else(|| std::env::var_os("PATH"));
        let program = self.program();
        match program::find(program, path.as_deref()) {
            Found::At(_) => Ok(()),
            Found::NotExecutable(path) => Err(not_executable(&path.to_string_lossy(), None)),
            Found::Nowhere => Err(not_found(&program.to_string_lossy())),
        }
    }

    fn program(&self) -> &OsStr {
        self.command
            .first()
            .map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// Registers the bottle; finds a name that is free and a recipe that is known where none is
    /// given.
    fn register(
        &self,
        connection: &mut Connection,
        process: Process,
    ) -> Result<Registered, Failure> {
        let stem = naming::stem(self.program());
        let mut number = 1;
        let mut client = self
            .client
            .clone()
            .unwrap_or_else(|| file_name(self.program()));
        loop {
            let name = self.name.clone().unwrap_or_else(|| stem.numbered(number));
            let answer = connection.call(&BottleRegister {
                name,
                agent: self.launch.agent.clone(),
                parents: self.launch.parents(),
                provider: self.launch.provider.clone(),
                budgets: self.launch.budgets.clone(),
                command: naming::for_people(&self.command),
                client: Some(client.clone()),
                renew: false,
                process: Some(process),
                request_id: None,
                dry_run: false,
            });
            match answer {
                Err(failure)
                    if is(&failure, ErrorCode::Exists)
                        && self.name.is_none()
                        && number < NAMES_MAX =>
                {
                    number += 1;
                }
                Err(failure)
                    if is(&failure, ErrorCode::NotFound)
                        && self.client.is_none()
                        && client != CLIENT_DEFAULT =>
                {
                    CLIENT_DEFAULT.clone_into(&mut client);
                }
                other => return other,
            }
        }
    }

    fn announce(&self, registered: &Registered, output: Output) {
        let name = &registered.name;
        let said = json!({"started": {
            "name": name,
            "run": registered.run,
            "client": registered.client.as_ref().map(|client| &client.client),
        }});
        if output.is_json() || self.name.is_none() {
            output.note(&said, |_| {
                format!("bottle {name}, named after the command; --name gives it another")
            });
        }
    }

    fn plan(&self, registered: Registered, output: Output) -> Plan {
        let client = registered.client.unwrap_or_default();
        let mut env = client.env;
        env.extend(self.env.iter().cloned());
        Plan {
            env,
            env_remove: client.env_remove,
            args: client.args,
            json: output.is_json(),
        }
    }
}

/// Tells the controller at once what it would else find out by itself, by the process.
fn tell_end(home: &Home, ended: &BottleEnded) {
    if let Ok(mut connection) = Connection::open(home) {
        connection.call(ended).ok();
    }
}

fn is(failure: &Failure, code: ErrorCode) -> bool {
    failure.code() == Some(&code.to_string())
}

fn file_name(program: &OsStr) -> String {
    Path::new(program)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn not_found(program: &str) -> Failure {
    Failure::new(
        Exit::NOT_FOUND,
        "no_command",
        format!("{program}: no such command"),
    )
}

fn not_executable(program: &str, why: Option<&str>) -> Failure {
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    Failure::new(
        Exit::NOT_EXECUTABLE,
        "not_executable",
        format!("{program} cannot be executed{why}"),
    )
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
