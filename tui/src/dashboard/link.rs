//! The two connections to the controller: one that waits for changes, one that never waits.
//!
//! Orders and details go over the second, so that they are not stuck behind a waiting poll.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bb_proto::client::{Client, ClientError};
use bb_proto::request::{
    AuditList, BottleCutoff, BottleRestore, BottleStop, BudgetRaise, EventsList, Expect, Hello,
    Snapshot, UsageBy, UsageQuery,
};
use bb_proto::version::{PROTOCOL, VERSION};
use bb_proto::{reply, view};

use super::clean::{Clean, clean};
use super::msg::{Act, Answer, Ask, Deal, Happenings, Msg, Raise};
use super::rows::{Bottle, Budget, Call, Deed, Delta, Failure, Greeting, Head};
use super::zone::Zone;

/// How long the controller may wait for a change before it answers.
const WAIT_MS: u64 = 1_000;
/// Polls are at least this far apart: four a second at most.
const POLL_GAP: Duration = Duration::from_millis(250);
/// How many questions may wait for the second connection.
const ASKS_MAX: usize = 16;
/// How many orders to reconnect may wait.
const RECONNECTS_MAX: usize = 4;

/// The ways to the two threads.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) reconnect: SyncSender<Duration>,
    pub(crate) asks: SyncSender<Ask>,
}

/// Starts both threads; what they find out is handed to `tell` until that says no.
pub(crate) fn start<T>(socket: &Path, tell: T) -> io::Result<Link>
where
    T: Fn(Msg) -> bool + Clone + Send + 'static,
{
    let (reconnect, reconnects) = sync_channel(RECONNECTS_MAX);
    let (asks, asked) = sync_channel(ASKS_MAX);
    let poller = Poller {
        socket: socket.to_owned(),
        tell: tell.clone(),
        reconnects,
        zone: (String::new(), Zone::default()),
    };
    thread::Builder::new()
        .name("poll".to_owned())
        .spawn(move || poller.run())?;
    let second = Asker {
        socket: socket.to_owned(),
        client: None,
    };
    thread::Builder::new()
        .name("ask".to_owned())
        .spawn(move || second.run(&asked, &tell))?;
    Ok(Link { reconnect, asks })
}

/// Nobody listens any more.
struct Gone;

struct Poller<T> {
    socket: PathBuf,
    tell: T,
    reconnects: Receiver<Duration>,
    /// The zone that was looked up last, by its name.
    zone: (String, Zone),
}

impl<T: Fn(Msg) -> bool> Poller<T> {
    fn run(mut self) {
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

struct Asker {
    socket: PathBuf,
    client: Option<Client>,
}

impl Asker {
    fn run(mut self, asked: &Receiver<Ask>, tell: &impl Fn(Msg) -> bool) {
        while let Ok(ask) = asked.recv() {
            let answer = self.answer(ask);
            if !tell(Msg::Answer(Box::new(answer))) {
                return;
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        let was_connected = self.client.is_some();
        match self.try_once(&ask) {
            // The connection may have ended long ago; orders have an id and are done once.
            Err(Failure::Broken(_)) if was_connected => self.try_once(&ask),
            other => other,
        }
        .unwrap_or_else(|failure| ask.failed(failure))
    }

    fn try_once(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.socket)?,
        };
        let answer = put(&mut client, ask);
        if !matches!(answer, Err(Failure::Broken(_))) {
            self.client = Some(client);
        }
        answer
    }
}

fn put(client: &mut Client, ask: &Ask) -> Result<Answer, Failure> {
    match ask {
        Ask::Act(act) => {
            let acted = order(client, act)?;
            let deed = acted.targets.into_iter().next().map(Deed::from);
            let deed = deed.ok_or_else(|| Failure::Broken(clean!("no target in the answer")))?;
            Ok(Answer::Act(act.clone(), Ok(deed)))
        }
        Ask::Raise(raise) => {
            let changed = client.call(&raise_request(raise))?;
            let budget = changed.budget.map(|told| Box::new(Budget::from(told)));
            Ok(Answer::Raise(raise.clone(), Ok(budget)))
        }
        Ask::Calls { bottle, limit } => {
            let usages = client.call(&UsageQuery {
                bottle: Some(bottle.clone()),
                by: UsageBy::Call,
                limit: Some(*limit),
                ..UsageQuery::default()
            })?;
            let calls = usages.rows.into_iter().filter_map(Call::from_row).collect();
            Ok(Answer::Calls(bottle.clone(), Ok(calls)))
        }
        Ask::Audit { bottle, limit } => {
            let events = client.call(&AuditList {
                bottle: Some(bottle.clone()),
                limit: Some(*limit),
                ..AuditList::default()
            })?;
            Ok(Answer::Audit(bottle.clone(), Ok(happenings(events).rows)))
        }
        Ask::Events {
            before,
            matching,
            limit,
        } => {
            let events = client.call(&EventsList {
                before: *before,
                bottle: None,
                pattern: matching.clone(),
                limit: Some(*limit),
            })?;
            Ok(Answer::Events {
                before: *before,
                matching: matching.clone(),
                result: Ok(happenings(events)),
            })
        }
    }
}

fn happenings(told: reply::Events) -> Happenings {
    Happenings {
        rows: told.events.into_iter().map(Into::into).collect(),
        more: told.more,
    }
}

fn order(client: &mut Client, act: &Act) -> Result<reply::Acted, ClientError> {
    let names = vec![act.target.name.clone()];
    let expect = Some(Expect {
        run: Some(act.target.run),
        revision: None,
    });
    let request_id = (!act.dry_run).then(|| act.request_id.clone());
    let (why, dry_run) = (None, act.dry_run);
    match act.deal {
        Deal::Cutoff => client.call(&BottleCutoff {
            names,
            why,
            expect,
            request_id,
            dry_run,
        }),
        Deal::Restore => client.call(&BottleRestore {
            names,
            why,
            expect,
            request_id,
            dry_run,
        }),
        Deal::Stop => client.call(&BottleStop {
            names,
            why,
            expect,
            request_id,
            dry_run,
        }),
    }
}

fn raise_request(raise: &Raise) -> BudgetRaise {
    BudgetRaise {
        budget: raise.budget.clone(),
        by: raise.by,
        why: None,
        request_id: Some(raise.request_id.clone()),
        dry_run: false,
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotReachable { path, source } => {
                Self::Unasked(clean!("nobody listens at {path} ({source})"))
            }
            ClientError::Broken(source) => Self::Broken(clean!("{source}")),
            ClientError::Malformed(what) => Self::Broken(clean!("no answer of ours: {what}")),
            ClientError::Refused(error) => Self::Refused {
                text: Clean::new(&error.message),
                hint: error.data.hint.as_deref().map(Clean::new),
            },
        }
    }
}
