//! The connection that waits for changes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bb_proto::client::Client;
use bb_proto::request::{Hello, Snapshot};
use bb_proto::version::{PROTOCOL, VERSION};
use bb_proto::view;

use crate::dashboard::msg::Msg;
use crate::dashboard::rows::{Bottle, Budget, Delta, Failure, Greeting, Head};
use crate::dashboard::zone::Zone;

/// How long the controller may wait for a change before it answers.
const WAIT_MS: u64 = 1_000;
/// Polls are at least this far apart: four a second at most.
const POLL_GAP: Duration = Duration::from_millis(250);

/// Nobody listens any more.
struct Gone;

/// Follows the controller, through its ends and returns.
pub(crate) struct Poller<T> {
    socket: PathBuf,
    tell: T,
    reconnects: Receiver<Duration>,
    /// The zone that was looked up last, by its name.
    zone: (String, Zone),
}

impl<T: Fn(Msg) -> bool> Poller<T> {
    pub(crate) fn new(socket: &Path, tell: T, reconnects: Receiver<Duration>) -> Self {
        Self {
            socket: socket.to_owned(),
            tell,
            reconnects,
            zone: (String::new(), Zone::default()),
        }
    }

    /// Runs until nobody listens any more.
    pub(crate) fn run(mut self) {
        while self.connect().is_ok() && self.wait().is_ok() {}
    }

    fn tell(&self, msg: Msg) -> Result<(), Gone> {
        if (self.tell)(msg) { Ok(()) } else { Err(Gone) }
    }

    /// Connects and follows the controller until the connection ends.
    fn connect(&mut self) -> Result<(), Gone> {
        match greet(&self.socket) {
            Ok((_, greeting)) if greeting.protocol != PROTOCOL => {
                self.tell(Msg::OtherVersion(Box::new(greeting)))
            }
            Ok((client, greeting)) => {
                while self.reconnects.try_recv().is_ok() {}
                self.tell(Msg::Up(Box::new(greeting)))?;
                let failure = self.follow(client)?;
                self.tell(Msg::Down(failure))
            }
            Err(failure) => self.tell(Msg::Down(failure)),
        }
    }

    /// Waits until it is to be tried again.
    fn wait(&self) -> Result<(), Gone> {
        let mut wait = self.reconnects.recv().map_err(|_| Gone)?;
        loop {
            match self.reconnects.recv_timeout(jittered(wait)) {
                Ok(sooner) => wait = sooner,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(Gone),
            }
        }
    }

    fn follow(&mut self, mut client: Client) -> Result<Failure, Gone> {
        let mut since = None;
        loop {
            let asked = Instant::now();
            let delta = match self.snapshot(&mut client, since) {
                Ok(delta) => delta,
                Err(failure) => return Ok(failure),
            };
            since = Some(delta.head.told.revision);
            self.tell(Msg::Snapshot(Box::new(delta)))?;
            let rest = POLL_GAP.saturating_sub(asked.elapsed());
            match self.reconnects.recv_timeout(rest) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Gone),
            }
        }
    }

    /// Asks for what changed, all its parts.
    fn snapshot(&mut self, client: &mut Client, since: Option<u64>) -> Result<Delta, Failure> {
        let mut told = client.call(&Snapshot {
            since,
            wait_ms: since.map(|_| WAIT_MS),
            part: None,
        })?;
        while let (true, Some(part)) = (told.more, told.next) {
            let next = client.call(&Snapshot {
                since,
                wait_ms: None,
                part: Some(part),
            })?;
            told = joined(told, next);
        }
        Ok(self.taken_in(told))
    }

    fn taken_in(&mut self, told: view::Snapshot) -> Delta {
        if told.head.time_zone != self.zone.0 {
            let name = told.head.time_zone.clone();
            let zone = Zone::named(&name);
            self.zone = (name, zone);
        }
        Delta {
            head: Head {
                told: told.head,
                zone: self.zone.1.clone(),
            },
            bottles: told.bottles.into_iter().map(Bottle::from).collect(),
            budgets: told.budgets.into_iter().map(Budget::from).collect(),
            whole: told.whole,
            bottles_gone: told.bottles_gone,
            budgets_gone: told.budgets_gone,
        }
    }
}

/// Puts a part behind those before it. What changed between two parts is asked for again, so the
/// revision stays that of the first.
fn joined(mut told: view::Snapshot, next: view::Snapshot) -> view::Snapshot {
    let revision = told.head.revision.min(next.head.revision);
    told.head = next.head;
    told.head.revision = revision;
    told.budgets.extend(next.budgets);
    told.bottles.extend(next.bottles);
    told.budgets_gone.extend(next.budgets_gone);
    told.bottles_gone.extend(next.bottles_gone);
    told.more = next.more;
    told.next = next.next;
    told
}

/// Takes up to a tenth off a wait, so that clients that lost one controller do not come at once.
fn jittered(wait: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    wait.saturating_sub(wait / 10 * (nanos % 100) / 100)
}

fn greet(socket: &Path) -> Result<(Client, Greeting), Failure> {
    let mut client = Client::connect(socket)?;
    // Which version it speaks is compared here, so that both versions can be shown.
    let greeting = client.call(&Hello {
        client: Some(format!("bb-dash {VERSION}")),
        protocol: None,
    })?;
    Ok((client, greeting.into()))
}
