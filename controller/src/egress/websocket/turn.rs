//! One response on a WebSocket: a call in flight, metered message by message.

use bb_core::book::CutReason;
use bb_core::request::ProviderMessage;
use bb_proto::reply::Ending;
use http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;

use crate::egress::in_flight::CallInFlight;
use crate::egress::reporting::{REPORT_BYTES, REPORT_BYTES_IN_A_BURST, Reporting};
use crate::egress::sending::is_unbilled;
use crate::egress::tap::Tap;
use crate::ledger::{Closed, Cut};

/// A response that was asked for and has not ended.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) call: CallInFlight,
    pub(super) cut: Cut,
    pub(super) tap: Tap,
    /// When the provider last said something.
    pub(super) heard_at: Instant,
    /// The provider's id of the response, once it has begun.
    pub(super) response_id: Option<String>,
    /// Another message of the client was passed on meanwhile: an error may speak of that one.
    pub(super) is_disturbed: bool,
    reporting: Reporting,
}

/// An error instead of a response.
#[derive(Deserialize)]
struct Failure {
    status: Option<u16>,
}

impl Turn {
    pub(super) fn new(call: CallInFlight, cut: Cut, tap: Tap) -> Self {
        Self {
            call,
            cut,
            tap,
            heard_at: Instant::now(),
            response_id: None,
            is_disturbed: false,
            reporting: Reporting::default(),
        }
    }

    /// Returns whether a message may be one of this response.
    pub(super) fn is_of(&self, message: &ProviderMessage<'_>) -> bool {
        match (message, &self.response_id) {
            (ProviderMessage::Begins(Some(id)) | ProviderMessage::Ends(Some(id)), Some(own)) => {
                id == own
            }
            _ => true,
        }
    }

    /// Reads a message of the provider; returns whether it ends the response.
    pub(super) fn read(&mut self, text: &str, message: &ProviderMessage<'_>) -> bool {
        self.heard_at = Instant::now();
        if let ProviderMessage::Begins(Some(id)) = message {
            self.response_id.get_or_insert_with(|| id.to_string());
        }
        if *message == ProviderMessage::Error && self.is_disturbed {
            return false;
        }
        self.tap.read_message(text)
    }

    /// Tells the ledger what has flowed; `is_burst` where more is there to be read at once.
    pub(super) fn report(&mut self, is_burst: bool) {
        let step = if is_burst {
            REPORT_BYTES_IN_A_BURST
        } else {
            REPORT_BYTES
        };
        self.reporting.report(&self.call, &self.tap, step);
    }

    /// Waits for the order to end it.
    pub(super) async fn ordered_to_end(&mut self) -> CutReason {
        std::future::poll_fn(|cx| self.cut.poll_order(cx)).await
    }

    /// Charges the response that `last` ends, or takes the call back where it says that there
    /// was none.
    pub(super) async fn settle(&mut self, last: &str) -> Result<(), Closed> {
        let known = self.tap.known();
        let has_begun = self.response_id.is_some() || known.flowed_bytes > 0;
        if !has_begun && !known.stated.is_stated() && was_refused(last) {
            self.call.void();
            return Ok(());
        }
        let ending = self.tap.ending_by_provider();
        self.call.settle(self.tap.seen(), ending).await.map(drop)
    }

    /// Charges what is known by now, as a call that ended early.
    pub(super) async fn settle_early(&mut self, ending: Ending) {
        self.tap.finish();
        let seen = self.tap.seen();
        let ending = if seen.known.complete {
            Ending::Complete
        } else {
            ending
        };
        if self.call.settle(seen, ending).await.is_err() {
            tracing::warn!(call = %self.call.call, "charged in memory: the ledger is closed");
        }
    }
}

/// Returns whether a message is the provider's word that it did not serve the call.
fn was_refused(text: &str) -> bool {
    let failure: Option<Failure> = serde_json::from_str(text).ok();
    let status = failure.and_then(|failure| StatusCode::from_u16(failure.status?).ok());
    status.is_some_and(is_unbilled)
}
