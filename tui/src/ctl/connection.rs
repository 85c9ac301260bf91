//! The way to the controller: which home, which socket, the first words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bb_proto::client::{ANSWER_TIMEOUT, Client, ClientError};
use bb_proto::event::EventNotification;
use bb_proto::home::{Home, SOCKET_PATH_BYTES_MAX};
use bb_proto::reply;
use bb_proto::request;
use bb_proto::version::{PROTOCOL, VERSION};

use super::exit::{Exit, Failure};
use super::words;

/// How long the controller may take to read its whole ledger.
const WHOLE_READ_TIMEOUT: Duration = Duration::from_hours(1);

/// A connection on which both sides have said who they are.
#[derive(Debug)]
pub(super) struct Connection {
    home: Home,
    client: Client,
    hello: reply::Hello,
}

/// Chooses the home: the flag, else `BB_HOME`, else `~/.bot-bottle`.
pub(super) fn choose_home(given: Option<PathBuf>) -> Result<Home, Failure> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let home = Home::choose(given, variable("BB_HOME"), variable("HOME")).ok_or_else(|| {
        Failure::usage("there is no home directory: neither BB_HOME nor HOME is set")
            .with_hint("name one with --home DIR")
    })?;
    let path = std::path::absolute(home.path())
        .map_err(|error| Failure::usage(format!("--home is no path: {error}")))?;
    let home = Home::new(path);
    let bytes = home.socket().as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        let path = home.socket();
        return Err(Failure::new(
            Exit::FAILED,
            "home_too_long",
            format!(
                "{} has {bytes} bytes; the path of a socket has at most {SOCKET_PATH_BYTES_MAX}",
                path.display()
            ),
        )
        .with_hint("choose a shorter home with --home DIR or BB_HOME"));
    }
    Ok(home)
}

/// Returns the command that starts a controller of this home, as a shell takes it.
pub(super) fn start_command(home: &Path) -> String {
    format!(
        "bb-controller --home {}",
        words::quote(&home.to_string_lossy())
    )
}

impl Connection {
    /// Connects to the controller of a home and greets it.
    pub(super) fn open(home: &Home) -> Result<Self, Failure> {
        let failed = |error| failure(home, error);
        let mut client = Client::connect(&home.socket()).map_err(failed)?;
        let hello = client
            .call(&request::Hello {
                client: Some(format!("bb-ctl {VERSION}")),
                protocol: Some(PROTOCOL),
            })
            .map_err(failed)?;
        Ok(Self {
            home: home.clone(),
            client,
            hello,
        })
    }

    /// What the controller said of itself.
    pub(super) fn hello(&self) -> &reply::Hello {
        &self.hello
    }

    /// Lets the answers take as long as one would for each of so many targets.
    pub(super) fn expect_targets(&self, targets: usize) -> Result<(), Failure> {
        let targets = u32::try_from(targets.max(1)).unwrap_or(u32::MAX);
        self.client
            .set_timeout(ANSWER_TIMEOUT.saturating_mul(targets))
            .map_err(|error| failure(&self.home, error))
    }

    /// Lets the answer take as long as reading the whole ledger may.
    pub(super) fn expect_whole_read(&self) -> Result<(), Failure> {
        self.client
            .set_timeout(WHOLE_READ_TIMEOUT)
            .map_err(|error| failure(&self.home, error))
    }

    /// Calls a method.
    pub(super) fn call<M: request::Method>(&mut self, params: &M) -> Result<M::Reply, Failure> {
        self.client
            .call(params)
            .map_err(|error| failure(&self.home, error))
    }

    /// Returns the whole state, its parts put together.
    pub(super) fn snapshot(&mut self) -> Result<bb_proto::view::Snapshot, Failure> {
        let mut whole = self.call(&request::Snapshot::default())?;
        while let Some(part) = whole.next.take().filter(|_| whole.more) {
            let next = self.call(&request::Snapshot {
                part: Some(part),
                ..request::Snapshot::default()
            })?;
            whole.budgets.extend(next.budgets);
            whole.bottles.extend(next.bottles);
            whole.more = next.more;
            whole.next = next.next;
        }
        Ok(whole)
    }

    /// Waits for the next event, after `events.watch` was called.
    pub(super) fn next_event(&mut self) -> Result<EventNotification, Failure> {
        loop {
            let event = self.client.next_event();
            if let Some(event) = event.map_err(|error| failure(&self.home, error))? {
                return Ok(event);
            }
        }
    }
}

/// Says what went wrong on the way to a controller, and how one is started where none is there.
fn failure(home: &Home, error: ClientError) -> Failure {
    match Failure::from(error) {
        Failure::Told(told) if told.exit == Exit::UNREACHABLE => {
            let start = start_command(home.path());
            Failure::Told(told).with_hint(format!("start one: {start}"))
        }
        other => other,
    }
}
