//! A child whose process is known before it is the command.
//!
//! It is `bb-ctl` itself, in a process group of its own, waiting on a pipe. It reads the plan
//! (environment and arguments), then becomes the command. When the pipe ends without a plan, it
//! ends too: a bottle that was never registered never runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bb_proto::process::Process;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::{not_executable, process};
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::output::Output;

/// The word by which `bb-ctl` knows that it is to become another command.
const BECOME: &str = "__become";

/// What a held child is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Variables to set.
    pub(super) env: BTreeMap<String, String>,
    /// Variables to take away.
    pub(super) env_remove: Vec<String>,
    /// Arguments right after the program.
    pub(super) args: Vec<String>,
    /// Whether it is to say in JSON what goes wrong.
    pub(super) json: bool,
}

/// A child that waits for its plan.
#[derive(Debug)]
pub(super) struct Held {
    process: Process,
    pid: Pid,
    plan: PipeWriter,
}

impl Held {
    /// Spawns the child, in a process group of its own.
    pub(super) fn spawn(command: &[OsString]) -> Result<Self, Failure> {
        let (reader, writer) = io::pipe().map_err(|error| cannot_spawn(&error))?;
        // A duplicate, since it stays open over `exec`; the child closes it before its own.
        let inherited = nix::unistd::dup(&reader).map_err(|errno| cannot_spawn(&errno.into()))?;
        let child = Command::new("/proc/self/exe")
            .arg0("bb-ctl")
            .arg(BECOME)
            .arg(inherited.as_raw_fd().to_string())
            .args(command)
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_spawn(&error))?;
        let pid = child.id();
        let start_ticks = process::start_ticks(pid).map_err(|error| cannot_spawn(&error))?;
        Ok(Self {
            process: Process { pid, start_ticks },
            pid: Pid::from_raw(pid.cast_signed()),
            plan: writer,
        })
    }

    /// Returns the process that will be the command.
    pub(super) fn process(&self) -> Process {
        self.process
    }

    /// Returns its id, which is also its group's.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets the child become the command.
    pub(super) fn release(mut self, plan: &Plan) -> io::Result<()> {
        let plan = serde_json::to_vec(plan)?;
        self.plan.write_all(&plan)
    }
}

fn cannot_spawn(error: &io::Error) -> Failure {
    Failure::new(
        Exit::RUN_FAILED,
        "failed",
        format!("the command cannot be started: {error}"),
    )
}

/// Becomes the command of a plan, where the command line says so.
pub(super) fn inner(arguments: &[OsString]) -> Option<Exit> {
    match arguments {
        [_, word, pipe, command @ ..] if word == BECOME => Some(become_command(pipe, command)),
        _ => None,
    }
}

fn become_command(pipe: &OsString, command: &[OsString]) -> Exit {
    let plan = pipe
        .to_str()
        .and_then(|pipe| pipe.parse().ok())
        .and_then(|pipe| read_plan(pipe).ok());
    let (Some(plan), Some((program, arguments))) = (plan, command.split_first()) else {
        return Exit::RUN_FAILED;
    };
    let mut command = Command::new(program);
    for name in &plan.env_remove {
        command.env_remove(name);
    }
    let error = command
        .args(&plan.args)
        .args(arguments)
        .envs(&plan.env)
        .stdin(Stdio::inherit())
        .exec();
    let shown = program.to_string_lossy();
    let why = match error.kind() {
        // The program itself was looked for before.
        io::ErrorKind::NotFound => "its interpreter is not there".to_owned(),
        _ => error.to_string(),
    };
    Output::new(plan.json).fail(&not_executable(&shown, Some(&why)))
}

fn read_plan(inherited: RawFd) -> io::Result<Plan> {
    // Opened anew, since nothing else makes a file of a bare number without unsafe code.
    let mut pipe = File::open(format!("/proc/self/fd/{inherited}"))?;
    nix::unistd::close(inherited)?;
    let mut plan = Vec::new();
    pipe.read_to_end(&mut plan)?;
    Ok(serde_json::from_slice(&plan)?)
}
