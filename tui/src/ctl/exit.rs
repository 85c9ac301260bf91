//! How a command ends: its exit code, and the shape of what went wrong.

use std::io;

use bb_proto::client::ClientError;
use bb_proto::error::{ErrorCode, RpcError};
use clap::error::ErrorKind;
use serde_json::{Value, json};

/// The code a command ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit(pub(super) u8);

impl Exit {
    /// What was asked for was done, or was so already.
    pub(super) const DONE: Self = Self(0);
    /// Refused, or failed.
    pub(super) const FAILED: Self = Self(1);
    /// The command line is not understood.
    pub(super) const USAGE: Self = Self(2);
    /// A budget is spent.
    pub(super) const OVER_BUDGET: Self = Self(3);
    /// No controller answers.
    pub(super) const UNREACHABLE: Self = Self(4);
    /// `run` itself failed; below it are the codes of the command it runs.
    pub(super) const RUN_FAILED: Self = Self(125);
    /// The command of `run` cannot be executed.
    pub(super) const NOT_EXECUTABLE: Self = Self(126);
    /// The command of `run` is not there.
    pub(super) const NOT_FOUND: Self = Self(127);
}

/// What a command returns.
pub(super) type Outcome = Result<Exit, Failure>;

/// Why a command has not done what was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Something to say.
    Told(Box<Told>),
    /// Nobody reads what we print any more; whoever it was has what it wanted.
    ReaderGone,
}

/// A failure in words.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) exit: Exit,
    /// A stable word for programs.
    pub(super) code: String,
    /// One sentence.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self::Told(Box::new(Told {
            exit,
            code: code.to_owned(),
            message: message.into(),
            hint: None,
        }))
    }

    /// Something on this side failed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::FAILED, "failed", message)
    }

    /// The command line is not understood.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::USAGE, "usage", message)
    }

    /// The operator was asked, and did not want it.
    pub(super) fn declined() -> Self {
        Self::new(Exit::FAILED, "declined", "nothing was done")
    }

    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint = Some(hint.into());
        }
        self
    }

    /// Gives the failure another exit code than its kind has.
    #[must_use]
    pub(super) fn with_exit(mut self, exit: Exit) -> Self {
        if let Self::Told(told) = &mut self {
            told.exit = exit;
        }
        self
    }

    /// Returns the controller's or our stable word for it.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Told(told) => Some(&told.code),
            Self::ReaderGone => None,
        }
    }
}

impl Told {
    /// Returns the failure as programs read it.
    pub(super) fn as_json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}})
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        let exit = match error.data.code {
            ErrorCode::OverBudget => Exit::OVER_BUDGET,
            _ => Exit::FAILED,
        };
        let failure = Self::new(exit, &error.data.code.to_string(), error.message);
        match error.data.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(error) => error.into(),
            ClientError::NotReachable { path, source } => {
                let why = match source.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => String::new(),
                    _ => format!(": {source}"),
                };
                let message = format!("no controller answers at {path}{why}");
                Self::new(Exit::UNREACHABLE, "not_reachable", message)
            }
            ClientError::Broken(source) => match source.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::new(
                    Exit::FAILED,
                    "no_answer",
                    "the controller did not answer in time",
                ),
                _ => Self::new(
                    Exit::UNREACHABLE,
                    "connection_lost",
                    format!("the connection to the controller was lost: {source}"),
                ),
            },
            ClientError::Malformed(what) => Self::new(
                Exit::FAILED,
                "malformed",
                format!("the controller answered what is no answer: {what}"),
            )
            .with_hint("bb-ctl doctor tells whether both are of one version"),
        }
    }
}

/// Turns what clap says about a command line into our shape: a sentence and a hint.
pub(super) fn from_clap(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::MissingSubcommand {
        return Failure::usage("the command is missing").with_hint("--help lists the commands");
    }
    let text = error.render().to_string();
    let mut blocks = text.split("\n\n");
    let message = blocks
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    let rest: Vec<&str> = blocks.collect();
    let line = |prefix: &str| {
        rest.iter()
            .flat_map(|block| block.lines())
            .find_map(|line| line.trim().strip_prefix(prefix))
            .map(str::trim)
    };
    let hint = line("tip:").map_or_else(
        || line("Usage:").map(|usage| format!("usage: {usage}")),
        |tip| Some(tip.to_owned()),
    );
    let failure = Failure::usage(message);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
