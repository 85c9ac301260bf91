//! A client and a provider, each on a WebSocket, and the calls between them: one after another, each
//! asked for only once it is admitted.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bb_core::book::{Ask, CutReason};
use bb_core::refusal::{self, Reason};
use bb_core::request::{Message, RequestFacts, begins_response};
use bb_proto::ids::{CallId, ProviderKey};
use bb_proto::reply::Ending;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use uuid::Uuid;

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
    background: bool,
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
        let has_room = {
            let waiting: usize = self.waiting.iter().map(|text| text.len()).sum();
            (waiting as u64) < self.egress.limits().body_max
        };
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
        let is_behind = self.asking.is_some() || !self.waiting.is_empty();
        let asks = Message::read(text.as_bytes()) == Message::Create;
        if is_behind || (asks && self.turn.is_some()) {
            self.waiting.push_back(text);
            return Ok(());
        }
        self.take(text).await
    }

    /// Takes a client's message whose turn it is.
    async fn take(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        match Message::read(text.as_bytes()) {
            Message::Create => self.ask(text),
            Message::Other => match self.call.open_egress(&self.egress).await {
                Ok(()) => self.tell_provider(text).await,
                Err(refused) => self.refuse(refused.reason).await,
            },
            Message::Unreadable => self.refuse(Reason::BadRequest).await,
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
        let provider = call
            .provider()
            .map_err(|refused| Over::Later(refused.reason))?;
        let identity = &call.who.identity;
        let ask = Ask {
            call: CallId(Uuid::now_v7()),
            bottle: identity.bottle.clone(),
            run: identity.run,
            provider: provider.row.key.clone(),
            wire: call.wire,
            model: facts.model.clone().unwrap_or_default(),
            input,
            output_max: facts.output_max,
            choices: facts.choices,
            background: facts.background,
        };
        let ledger = self.egress.shared.ledger.clone();
        self.asking = Some(Asking {
            text,
            provider: provider.row.key.clone(),
            background: facts.background,
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
            background,
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
        let call = CallInFlight {
            ledger: self.egress.shared.ledger.clone(),
            call: ticket.admitted.call,
            admitted: ticket.admitted,
            bottle: bottle.clone(),
            status: None,
            is_resolved: false,
            goes_on: background.then(|| self.egress.going_on(&provider)),
            tracker: self.egress.shared.tracker.clone(),
        };
        let tap = Tap::of_messages(self.call.wire);
        self.turn = Some(Turn::new(call, ticket.cut, tap));
        self.tell_provider(text).await
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
        let Some(turn) = &mut self.turn else {
            if begins_response(text.as_bytes()) {
                return Err(Over::Forbidden("a response that was not asked for"));
            }
            return self.tell_client(text).await;
        };
        if !turn.read(&text) {
            turn.report(is_burst);
            return self.tell_client(text).await;
        }
        // What came before the end need not wait for the charge.
        self.flush().await?;
        if let Some(turn) = &mut self.turn {
            self.context_tokens = turn.tap.known().stated.total();
            turn.settle(&text).await.map_err(|_| Over::LedgerClosed)?;
        }
        self.turn = None;
        self.quiet_since = Instant::now();
        self.tell_client(text).await
    }

    async fn tell_client(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        let Self { client, turn, .. } = self;
        let Some(turn) = turn else {
            return client.write(text).await.map_err(|_| Over::ClientLeft(None));
        };
        tokio::select! {
            written = client.write(text) => written.map_err(|_| Over::ClientLeft(None)),
            reason = turn.ordered_to_end() => Err(Over::Cut(reason)),
        }
    }

    async fn flush(&mut self) -> Result<(), Over> {
        let Self { client, turn, .. } = self;
        let Some(turn) = turn else {
            return client.flush().await.map_err(|_| Over::ClientLeft(None));
        };
        tokio::select! {
            flushed = client.flush() => flushed.map_err(|_| Over::ClientLeft(None)),
            reason = turn.ordered_to_end() => Err(Over::Cut(reason)),
        }
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

    /// Reads on without the client, for what the call in flight states at its end.
    pub(super) async fn drain(&mut self) -> Ending {
        let bound = self.egress.limits().drain;
        let Self { provider, turn, .. } = self;
        let Some(turn) = turn.as_mut().filter(|turn| !turn.has_ended) else {
            return Ending::ClientGone;
        };
        let read = async {
            loop {
                tokio::select! {
                    _ = turn.ordered_to_end() => return Ending::Cut,
                    received = provider.receive() => match received {
                        Received::Text(text) if turn.read(&text) => return turn.tap.ending_by_provider(),
                        Received::Text(_) => turn.report(false),
                        Received::Binary | Received::Closed(_) => return Ending::ClientGone,
                    },
                }
            }
        };
        tokio::time::timeout(bound, read)
            .await
            .unwrap_or(Ending::ClientGone)
    }
}

/// Makes a message of what this program wrote.
pub(super) fn text_of(bytes: Vec<u8>) -> Utf8Bytes {
    String::from_utf8(bytes).unwrap_or_default().into()
}
