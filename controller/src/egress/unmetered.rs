//! What costs no tokens by itself: lists of models, counts of tokens, looks at earlier answers. It
//! passes, unless the operator says no.

use bb_core::refusal::Reason;
use http::{Request, Response};
use hyper::body::Incoming;

use super::Egress;
use super::body::RequestBody;
use super::client_body::ClientBody;
use super::headers::strip_hop_by_hop;
use super::polled_body::PolledBody;
use super::refuse::{Refused, upstream_failed};
use super::request::waits_to_send;
use super::route::{Call, Refusing};
use super::tap::Tap;

/// Passes what costs no tokens: lists of models, counts of tokens.
pub(super) async fn pass_through(
    egress: &Egress,
    call: &Call,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, Refusing> {
    let wire = Some(call.wire);
    let (head, body) = request.into_parts();
    let waits_to_send = waits_to_send(&head.headers);
    let head = match call.open_egress(egress).await {
        Ok(()) => call.towards_provider(head),
        Err(refused) => Err(refused),
    };
    let head = match head {
        Ok(head) => head,
        Err(refused) => {
            egress.discard(body, waits_to_send);
            return Err((refused, wire));
        }
    };
    let request = Request::from_parts(head, RequestBody::Passed(body));
    let upstream = call
        .provider()
        .map_err(|r| (r, wire))?
        .upstream(&call.path)
        .clone();
    let limits = egress.limits();
    let sent = egress
        .shared
        .upstreams
        .send(&upstream, request, limits.connect_timeout);
    match tokio::time::timeout(limits.response_timeout, sent).await {
        Ok(Ok(response)) => {
            let (mut head, body) = response.into_parts();
            strip_hop_by_hop(&mut head.headers);
            Ok(Response::from_parts(head, ClientBody::Passed(body)))
        }
        Ok(Err(error)) => Err((call.refused(upstream_failed(&error)), wire)),
        Err(_) => Err((call.refused(Reason::UpstreamTimeout), wire)),
    }
}

/// Passes a look at an answer that was made earlier; what it states is charged to its call, once.
pub(super) async fn poll(
    egress: &Egress,
    call: &Call,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, Refusing> {
    let provider = call.provider().map_err(|r| (r, Some(call.wire)))?;
    let background = &egress.shared.background;
    let noted = background.call_of(&provider.row.key, &call.path);
    let response = pass_through(egress, call, request).await?;
    let Some(noted) = noted.filter(|_| response.status().is_success()) else {
        return Ok(response);
    };
    let tap = Tap::new(call.wire, response.headers(), provider.row.quirks, 1, false);
    let ledger = egress.shared.ledger.clone();
    Ok(response.map(|body| match body {
        ClientBody::Passed(body) => {
            ClientBody::Polled(Box::new(PolledBody::new(body, tap, noted, ledger)))
        }
        other => other,
    }))
}

impl Call {
    /// Looks whether the operator lets the bottle out at all: a model call is told so where it is
    /// reserved, and this is for what is not.
    pub(super) async fn open_egress(&self, egress: &Egress) -> Result<(), Refused> {
        let name = self.who.identity.bottle.clone();
        let looked = egress.shared.ledger.look(move |book, _| {
            let bottle = book.bottles().get(&name);
            bottle.is_some_and(|it| it.is_closed_by_operator() || it.stop_ordered_at.is_some())
        });
        match looked.await {
            Ok(false) => Ok(()),
            Ok(true) => Err(self.refused(Reason::Operator)),
            Err(_) => Err(self.refused(Reason::LedgerClosed)),
        }
    }
}
