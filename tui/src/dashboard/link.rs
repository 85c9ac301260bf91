//! The connections to the controller: one that waits for changes, one for orders, one for the rest.
//!
//! An order is stuck neither behind a poll that waits, nor behind details, nor behind a stop that
//! waits for a process to end.

mod ask;
mod poll;

use std::io;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use bb_proto::client::ClientError;

use super::clean::{Clean, clean};
use super::msg::{Ask, Deal, Msg};
use super::rows::Failure;
use ask::Asker;
use poll::Poller;

/// How many questions may wait for one connection.
const ASKS_MAX: usize = 16;
/// How many orders to reconnect may wait.
const RECONNECTS_MAX: usize = 4;

/// The ways to the threads that hold the connections.
#[derive(Debug)]
pub(crate) struct Link {
    reconnect: SyncSender<Duration>,
    orders: SyncSender<Ask>,
    rest: SyncSender<Ask>,
}

impl Link {
    /// Has it connect again after this time; one such order that waits already is as good.
    pub(crate) fn reconnect(&self, after: Duration) {
        self.reconnect.try_send(after).unwrap_or(());
    }

    /// Asks something; gives the question back where too many wait already.
    pub(crate) fn ask(&self, ask: Ask) -> Result<(), Ask> {
        let lane = match &ask {
            Ask::Act(act) if act.dry_run || act.deal != Deal::Stop => &self.orders,
            Ask::Raise(_) => &self.orders,
            _ => &self.rest,
        };
        lane.try_send(ask).map_err(|error| match error {
            TrySendError::Full(ask) | TrySendError::Disconnected(ask) => ask,
        })
    }
}

/// Starts the threads; what they find out is handed to `tell` until that says no.
pub(crate) fn start<T>(socket: &Path, tell: T) -> io::Result<Link>
where
    T: Fn(Msg) -> bool + Clone + Send + 'static,
{
    let (reconnect, reconnects) = sync_channel(RECONNECTS_MAX);
    let poller = Poller::new(socket, tell.clone(), reconnects);
    thread::Builder::new()
        .name("poll".to_owned())
        .spawn(move || poller.run())?;
    Ok(Link {
        reconnect,
        orders: asker(socket, "orders", tell.clone())?,
        rest: asker(socket, "rest", tell)?,
    })
}

/// Starts a thread that answers one question after the other; returns the way to it.
fn asker<T>(socket: &Path, name: &str, tell: T) -> io::Result<SyncSender<Ask>>
where
    T: Fn(Msg) -> bool + Send + 'static,
{
    let (asks, asked) = sync_channel(ASKS_MAX);
    let lane = Asker::new(socket);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || lane.run(&asked, &tell))?;
    Ok(asks)
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
