//! How a session ends: the call in flight is charged, and each end is told as it understands.

use std::time::Duration;

use bb_core::book::CutReason;
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::session::{Over, Session, text_of};
use super::socket::Socket;
use crate::egress::refuse::Refused;

/// A client that does not read is left so long after it should have been told.
const UNREAD_WAIT: Duration = Duration::from_millis(750);

impl Session {
    /// Charges the call in flight, and lets both ends go.
    pub(super) async fn end(mut self: Box<Self>, over: Over) {
        match over {
            Over::ClientLeft(why) => {
                if let Some(ending) = self.drain().await
                    && let Some(mut turn) = self.turn.take()
                {
                    turn.settle_early(ending).await;
                }
                close(self.provider, why).await;
            }
            Over::ProviderLeft(why) => {
                if let Some(mut turn) = self.turn.take() {
                    turn.settle_early(Ending::UpstreamGone).await;
                }
                if why.is_some() {
                    close(self.client, why).await;
                }
            }
            Over::Cut(reason) => self.cut(reason).await,
            Over::LedgerClosed => self.cut(CutReason::LedgerClosed).await,
            Over::Silent => {
                if let Some(mut turn) = self.turn.take() {
                    turn.settle_early(Ending::UpstreamGone).await;
                }
                close(self.client, Some(said(CloseCode::Away, "nothing was said"))).await;
            }
            Over::Later(reason) => {
                if let Some(mut turn) = self.turn.take() {
                    turn.settle_early(Ending::ClientGone).await;
                }
                let code = match reason {
                    Reason::Draining => CloseCode::Away,
                    _ => CloseCode::Again,
                };
                close(self.client, Some(said(code, reason.sentence()))).await;
            }
            Over::Forbidden(what) => {
                tracing::warn!(bottle = %self.call.who.identity.bottle, what, "not let through");
                // The provider stops at once, and what it did is charged.
                drop(self.provider);
                if let Some(mut turn) = self.turn.take() {
                    turn.settle_early(Ending::Cut).await;
                }
                close(self.client, Some(said(CloseCode::Unsupported, what))).await;
            }
        }
    }

    /// Ends the call in flight in its dialect.
    async fn cut(self: Box<Self>, reason: CutReason) {
        let Self {
            provider,
            mut client,
            turn,
            ..
        } = *self;
        // The provider learns of it at once, whenever the client reads its end.
        drop(provider);
        let Some(mut turn) = turn else { return };
        let refused = Refused::cut(reason, &turn.call.bottle);
        let ending = turn.tap.ending_before_held(refused.reason.sentence());
        if !turn.call.is_resolved {
            turn.settle_early(Ending::Cut).await;
        }
        let told = async {
            if let Some(ending) = ending.filter(|ending| !ending.is_empty()) {
                client.send(text_of(ending)).await?;
            }
            client.close(None).await;
            Ok::<_, tokio_tungstenite::tungstenite::Error>(())
        };
        if tokio::time::timeout(UNREAD_WAIT, told).await.is_err() {
            tracing::debug!("a client did not read how its call was ended");
        }
    }
}

fn said(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame {
        code,
        reason: reason.into(),
    }
}

/// Closes an end; one that does not read is left.
async fn close(socket: Socket, why: Option<CloseFrame>) {
    if tokio::time::timeout(UNREAD_WAIT, socket.close(why))
        .await
        .is_err()
    {
        tracing::debug!("the other end of a WebSocket did not read its close");
    }
}
