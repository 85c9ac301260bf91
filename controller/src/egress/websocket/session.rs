//! A client and a provider, each on a WebSocket, and the calls between them: one after another, each
//! asked for only once it is admitted.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bb_core::book::CutReason;
use bb_core::refusal::{self, Reason};
use bb_core::request::{ClientMessage, ProviderMessage, RequestFacts};
use bb_proto::ids::ProviderKey;
use bb_proto::reply::Ending;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

use super::socket::{Received, Socket};
use super::turn::Turn;
use crate::egress::Egress;
use crate::egress::in_flight::CallInFlight;
use crate::egress::refuse::Refused;
use crate::egress::route::Call;
use crate::egress::tap::Tap;
use crate::ledger::{NotAdmitted, Ticket};

/// How long a WebSocket is kept on which nothing is asked; a provider ends one after an hour.
const IDLE_KEPT: Duration = Duration::from_mins(65);
/// The most messages of a client that wait behind one that is to be admitted.
const WAITING_MAX: usize = 64;
/// So many messages that have come are passed on before anything else is looked at.
const BURST_MESSAGES: usize = 32;

/// Why a session ends.
#[derive(Debug)]
pub(super) enum Over {
    /// The client has left.
    ClientLeft(Option<CloseFrame>),
    /// The provider has left, with its word if it said one.
    ProviderLeft(Option<CloseFrame>),
    /// The call in flight is to end.
    Cut(CutReason),
    /// The end of the call in flight may not be shown: it is not charged on disk.
    LedgerClosed,
    /// The provider was silent for too long, or nobody asked anything.
    Silent,
    /// It goes no further, for a reason that passes; the client may come again.
    Later(Reason),
    /// One of the ends does what is not let through.
    Forbidden(&'static str),
}

/// A client's message that asks for a response and waits to be admitted.
struct Asking {
    text: Utf8Bytes,
    provider: ProviderKey,
    /// The message that breaks it off, where the client has sent one meanwhile.
    cancel: Option<Utf8Bytes>,
    admission: Pin<Box<dyn Future<Output = Result<Ticket, NotAdmitted>> + Send>>,
}

/// A client, a provider, and what is between them.
pub(super) struct Session {
    pub(super) egress: Egress,
    pub(super) call: Call,
    pub(super) client: Socket,
    pub(super) provider: Socket,
    /// The call in flight.
    pub(super) turn: Option<Turn>,
    asking: Option<Asking>,
    /// What the client sent behind a message that waits, in its order.
    waiting: VecDeque<Utf8Bytes>,
    waiting_bytes: u64,
    /// The id of the last response that ended.
    ended: Option<String>,
    /// What the last response took and gave, which the next one may go on from.
    context_tokens: u64,
    draining: watch::Receiver<bool>,
    quiet_since: Instant,
}

/// What happens next.
enum Next {
    FromClient(Received),
    FromProvider(Received),
    Admission(Result<Ticket, NotAdmitted>),
    Over(Over),
}

impl Session {
    pub(super) fn new(egress: Egress, call: Call, client: Socket, provider: Socket) -> Self {
        let draining = egress.shared.draining.clone();
        Self {
            egress,
            call,
            client,
            provider,
            turn: None,
            asking: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            ended: None,
            context_tokens: 0,
            draining,
            quiet_since: Instant::now(),
        }
    }

    /// Serves until one end leaves, or the session is ended.
    pub(super) async fn run(mut self: Box<Self>) {
        let over = loop {
            if let Err(over) = self.step().await {
                break over;
            }
        };
        tracing::debug!(bottle = %self.call.who.identity.bottle, ?over, "a WebSocket ended");
        self.asking = None;
        self.end(over).await;
    }

    async fn step(&mut self) -> Result<(), Over> {
        for _ in 0..BURST_MESSAGES {
            let Some(received) = self.provider.received() else {
                break;
            };
            self.hear_provider(received, true).await?;
        }
        if let Some(turn) = &mut self.turn {
            turn.report(false);
        }
        self.flush().await?;
        if !self.is_busy()
            && let Some(text) = self.waiting.pop_front()
        {
            self.waiting_bytes -= text.len() as u64;
            return self.take(text).await;
        }
        match self.next().await {
            Next::FromProvider(received) => self.hear_provider(received, false).await,
            Next::FromClient(received) => self.hear_client(received).await,
            Next::Admission(admission) => self.admitted(admission).await,
            Next::Over(over) => Err(over),
        }
    }

    /// Waits for what happens next; whatever is not chosen stays as it is.
    async fn next(&mut self) -> Next {
        let is_busy = self.is_busy();
        let deadline = self.deadline();
        let has_room =
            self.waiting.len() < WAITING_MAX && self.waiting_bytes < self.egress.limits().body_max;
        let Self {
            client,
            provider,
            turn,
            asking,
            draining,
            ..
        } = self;
        let ordered_to_end = async {
            match turn {
                Some(turn) => turn.ordered_to_end().await,
                None => std::future::pending().await,
            }
        };
        let admission = async {
            match asking {
                Some(asking) => asking.admission.as_mut().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = ordered_to_end => Next::Over(Over::Cut(reason)),
            admission = admission => Next::Admission(admission),
            received = provider.receive() => Next::FromProvider(received),
            received = client.receive(), if has_room => Next::FromClient(received),
            () = tokio::time::sleep_until(deadline) => Next::Over(Over::Silent),
            _ = draining.wait_for(|draining| *draining), if !is_busy => {
                Next::Over(Over::Later(Reason::Draining))
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.turn.is_some() || self.asking.is_some()
    }

    fn deadline(&self) -> Instant {
        match &self.turn {
            Some(turn) => turn.heard_at + self.egress.limits().idle_timeout,
            None => self.quiet_since + IDLE_KEPT,
        }
    }

    async fn hear_client(&mut self, received: Received) -> Result<(), Over> {
        self.quiet_since = Instant::now();
        let text = match received {
            Received::Text(text) => text,
            Received::Binary => return Err(Over::Forbidden("a binary message of the client")),
            Received::Closed(why) => return Err(Over::ClientLeft(why)),
        };
        let message = ClientMessage::read(text.as_bytes());
        if message == ClientMessage::Cancel {
            return self.cancel(text).await;
        }
        if self.is_busy() || !self.waiting.is_empty() {
            self.waiting_bytes += text.len() as u64;
            self.waiting.push_back(text);
            return Ok(());
        }
        self.take(text).await
    }

    /// Passes on that a response is to be broken off, once it was asked for; where there is none,
    /// nothing is.
    ///
    /// An error that follows may speak of this message: it ends no call any more.
    async fn cancel(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        if let Some(turn) = &mut self.turn {
            turn.is_disturbed = true;
            return self.tell_provider(text).await;
        }
        if let Some(asking) = &mut self.asking {
            asking.cancel = Some(text);
        }
        Ok(())
    }

    /// Takes a client's message whose turn it is.
    ///
    /// What is not known may make the provider answer, which nobody would have been charged for.
    async fn take(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        match ClientMessage::read(text.as_bytes()) {
            ClientMessage::Create => self.ask(text),
            ClientMessage::Cancel | ClientMessage::Acknowledge => Ok(()),
            ClientMessage::Other | ClientMessage::Unreadable => {
                self.refuse(Reason::BadRequest).await
            }
        }
    }

    /// Asks for a call to be admitted; its message goes to the provider after that.
    fn ask(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        if self.egress.is_draining() {
            return Err(Over::Later(Reason::Draining));
        }
        let call = &self.call;
        let facts = RequestFacts::read(call.wire, &call.path, text.as_bytes());
        let mut input = facts.input();
        if facts.stored_input {
            // It goes on from the answer before, which its message does not repeat.
            input.context_tokens = self.context_tokens;
        }
        let ask = call
            .ask(&facts, input, call.bound(&facts))
            .map_err(|refused| Over::Later(refused.reason))?;
        let ledger = self.egress.shared.ledger.clone();
        self.asking = Some(Asking {
            text,
            provider: ask.provider.clone(),
            cancel: None,
            admission: Box::pin(async move { ledger.reserve(ask).await }),
        });
        Ok(())
    }

    async fn admitted(&mut self, admission: Result<Ticket, NotAdmitted>) -> Result<(), Over> {
        let Some(asking) = self.asking.take() else {
            return Ok(());
        };
        let Asking {
            text,
            provider,
            cancel,
            ..
        } = asking;
        let bottle = &self.call.who.identity.bottle;
        let ticket = match admission {
            Ok(ticket) => ticket,
            Err(why) => {
                let refused = Refused::not_admitted(why, bottle);
                return self.refuse(refused.reason).await;
            }
        };
        let Ticket { admitted, cut } = ticket;
        let text = match admitted.terms.cap() {
            None => text,
            Some(cap) => {
                let Some(capped) = self.call.capped(text.as_bytes(), cap) else {
                    self.egress.shared.ledger.void(admitted.call, None);
                    return self.refuse(Reason::Unbounded).await;
                };
                text_of(capped)
            }
        };
        let call = CallInFlight::new(&self.egress, &provider, bottle, admitted);
        let tap = Tap::of_messages(self.call.wire);
        self.turn = Some(Turn::new(call, cut, tap));
        self.tell_provider(text).await?;
        match cancel {
            Some(cancel) => self.cancel(cancel).await,
            None => Ok(()),
        }
    }

    /// Tells the client why its message goes no further.
    async fn refuse(&mut self, reason: Reason) -> Result<(), Over> {
        tracing::debug!(
            reason = reason.as_str(),
            bottle = %self.call.who.identity.bottle,
            "refused on a WebSocket"
        );
        if reason.is_passing() {
            return Err(Over::Later(reason));
        }
        self.tell_client(text_of(refusal::message(reason))).await?;
        self.flush().await
    }

    async fn hear_provider(&mut self, received: Received, is_burst: bool) -> Result<(), Over> {
        let text = match received {
            Received::Text(text) => text,
            Received::Binary => return Err(Over::Forbidden("a binary message of the provider")),
            Received::Closed(why) => return Err(Over::ProviderLeft(why)),
        };
        let message = ProviderMessage::read(text.as_bytes());
        if self.is_of_the_last(&message) {
            return self.tell_client(text).await;
        }
        let Some(turn) = &mut self.turn else {
            return match message {
                ProviderMessage::Error | ProviderMessage::Aside => self.tell_client(text).await,
                _ => Err(Over::Forbidden("a response that was not asked for")),
            };
        };
        if !turn.is_of(&message) {
            return Err(Over::Forbidden("two responses at once"));
        }
        if !turn.read(&text, &message) {
            turn.report(is_burst);
            return self.tell_client(text).await;
        }
        self.settle(text).await
    }

    /// Returns whether a message only says again that the last response has ended.
    fn is_of_the_last(&self, message: &ProviderMessage<'_>) -> bool {
        match (message, &self.ended) {
            (ProviderMessage::Ends(Some(id)), Some(ended)) => id == ended,
            _ => false,
        }
    }

    /// Charges the response that a message ends; what came before it does not wait for that.
    async fn settle(&mut self, last: Utf8Bytes) -> Result<(), Over> {
        let limit = self.egress.limits().idle_timeout;
        let Self { client, turn, .. } = self;
        let Some(turn) = turn else { return Ok(()) };
        let stated = turn.tap.known().stated;
        if stated.is_stated() {
            // One that the provider refused leaves the one before to go on from.
            self.context_tokens = stated.total();
        }
        if turn.response_id.is_some() {
            self.ended.clone_from(&turn.response_id);
        }
        let flushed = tokio::time::timeout(limit, client.flush());
        let (settled, flushed) = tokio::join!(turn.settle(&last), flushed);
        settled.map_err(|_| Over::LedgerClosed)?;
        self.turn = None;
        self.quiet_since = Instant::now();
        match flushed {
            Ok(Ok(())) => self.tell_client(last).await,
            Ok(Err(_)) | Err(_) => Err(Over::ClientLeft(None)),
        }
    }

    async fn tell_client(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        let limit = self.egress.limits().idle_timeout;
        let Self { client, turn, .. } = self;
        written(client.write(text), turn.as_mut(), limit).await
    }

    async fn flush(&mut self) -> Result<(), Over> {
        let limit = self.egress.limits().idle_timeout;
        let Self { client, turn, .. } = self;
        written(client.flush(), turn.as_mut(), limit).await
    }

    async fn tell_provider(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        let timeout = self.egress.limits().idle_timeout;
        let Self { provider, turn, .. } = self;
        let ordered_to_end = async {
            match turn {
                Some(turn) => turn.ordered_to_end().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            sent = tokio::time::timeout(timeout, provider.send(text)) => match sent {
                Ok(sent) => sent.map_err(|_| Over::ProviderLeft(None)),
                Err(_) => Err(Over::Silent),
            },
            reason = ordered_to_end => Err(Over::Cut(reason)),
        }
    }

    /// Reads on without the client, for what the call in flight states at its end; returns how it
    /// ended where that is not charged yet.
    pub(super) async fn drain(&mut self) -> Option<Ending> {
        let bound = self.egress.limits().drain;
        let Self { provider, turn, .. } = self;
        let turn = turn.as_mut()?;
        let read = async {
            loop {
                let received = tokio::select! {
                    _ = turn.ordered_to_end() => return Err(Ending::Cut),
                    received = provider.receive() => received,
                };
                let Received::Text(text) = received else {
                    return Err(Ending::ClientGone);
                };
                let message = ProviderMessage::read(text.as_bytes());
                if turn.is_of(&message) && turn.read(&text, &message) {
                    return Ok(text);
                }
                turn.report(false);
            }
        };
        let last = match tokio::time::timeout(bound, read).await {
            Ok(Ok(last)) => last,
            Ok(Err(ending)) => return Some(ending),
            Err(_) => return Some(Ending::ClientGone),
        };
        if turn.settle(&last).await.is_err() {
            tracing::warn!(call = %turn.call.call, "charged in memory: the ledger is closed");
        }
        None
    }
}

/// Waits until something is written to a client, which may be slow to read but not for ever, and
/// does not hold up the end of its call.
async fn written(
    writing: impl Future<Output = Result<(), tungstenite::Error>>,
    turn: Option<&mut Turn>,
    limit: Duration,
) -> Result<(), Over> {
    let ordered_to_end = async {
        match turn {
            Some(turn) => turn.ordered_to_end().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        written = tokio::time::timeout(limit, writing) => match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Over::ClientLeft(None)),
        },
        reason = ordered_to_end => Err(Over::Cut(reason)),
    }
}

/// Makes a message of what this program wrote.
pub(super) fn text_of(bytes: Vec<u8>) -> Utf8Bytes {
    String::from_utf8(bytes).unwrap_or_default().into()
}
