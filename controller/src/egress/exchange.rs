//! The journey of a call, from top to bottom: identify, route, read, reserve, forward, meter,
//! settle. Each step needs what the step before made.

use bb_core::meter::{Framing, UsageChunkFilter};
use bb_core::refusal::Reason;
use bb_core::request::{Bound, RequestFacts, with_include_usage};
use bb_proto::reply::Ending;
use bb_proto::usage::Wire;
use http::header::{self};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::Egress;
use super::body::{RequestBody, Whole};
use super::capping::Editable;
use super::client_body::ClientBody;
use super::document::{Document, Reading};
use super::encoded::Undecoded;
use super::flow::{Flow, HELD_BYTES_MAX, Hold};
use super::headers::strip_hop_by_hop;
use super::identify::target;
use super::in_flight::CallInFlight;
use super::metered_body::MeteredBody;
use super::refuse::{Refused, upstream_failed};
use super::request::{Unread, read_whole, waits_to_send};
use super::respond::respond;
use super::route::{Call, Refusing, Routed, is_absolute, route};
use super::sending::{Arrived, Parts, Sending, is_unbilled};
use super::tap::{Seen, Tap, framing};
use super::unmetered::{pass_through, poll};
use super::upstream::UpstreamBody;
use super::websocket;
use crate::ledger::Ticket;

/// A call with its request read.
struct Prepared {
    call: Call,
    head: http::request::Parts,
    body: Editable,
    facts: RequestFacts,
    bound: Option<Bound>,
    /// Whether usage was asked for on the client's behalf, and is taken out again.
    asked_usage: bool,
}

/// A call that was admitted: the only thing that can be forwarded.
struct Admitted {
    prepared: Prepared,
    ticket: Ticket,
}

/// Answers one request.
pub(super) async fn answer(egress: Egress, request: Request<Incoming>) -> Response<ClientBody> {
    let is_head = request.method() == Method::HEAD;
    if is_front_door(&request) {
        return greet();
    }
    match journey(&egress, request).await {
        Ok(response) => response,
        Err((refused, wire)) => {
            tracing::debug!(
                reason = refused.reason.as_str(),
                bottle = refused.bottle.as_ref().map(tracing::field::display),
                "refused"
            );
            let mut response = respond(&refused, wire);
            if is_head {
                *response.body_mut() = ClientBody::empty();
            }
            response
        }
    }
}

async fn journey(
    egress: &Egress,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, Refusing> {
    let call = match route(egress, &request) {
        Ok(Routed::Call(call)) => call,
        Ok(Routed::Unmetered(passing)) => return pass_through(egress, &passing, request).await,
        Ok(Routed::Poll(passing)) => return poll(egress, &passing, request).await,
        Ok(Routed::WebSocket(call)) => return websocket::open(egress, call, request).await,
        Err(refusing) => {
            let waits_to_send = waits_to_send(request.headers());
            egress.discard(request.into_body(), waits_to_send);
            return Err(refusing);
        }
    };
    let wire = Some(call.wire);
    let prepared = prepare(egress, call, request)
        .await
        .map_err(|refused| (refused, wire))?;
    let admitted = reserve(egress, prepared)
        .await
        .map_err(|refused| (refused, wire))?;
    forward(egress, admitted)
        .await
        .map_err(|refused| (refused, wire))
}

/// Reads what the request says of itself, and makes it the provider's.
async fn prepare(
    egress: &Egress,
    call: Call,
    request: Request<Incoming>,
) -> Result<Prepared, Refused> {
    let (head, mut incoming) = request.into_parts();
    let sent = match read_whole(&mut incoming, egress.limits().body_max).await {
        Ok(body) => body,
        Err(Unread::TooLong) => {
            egress.discard(incoming, waits_to_send(&head.headers));
            return Err(call.refused(Reason::BodyTooLarge));
        }
        Err(Unread::Broken(error)) => {
            tracing::debug!(%error, "a client's request broke off");
            return Err(call.refused(Reason::BadRequest));
        }
    };
    // What cannot be read might ask for what a budget does not admit.
    let body = Editable::new(&head.headers, sent, egress.limits().body_max);
    let mut body = body.map_err(|why| match why {
        Undecoded::TooLong => call.refused(Reason::BodyTooLarge),
        Undecoded::Unreadable => call.refused(Reason::BadRequest),
    })?;
    let facts = RequestFacts::read(call.wire, &call.path, body.text());
    let mut asked_usage = false;
    let wants_usage = call.wire == Wire::OpenaiChat
        && facts.stream
        && facts.include_usage != Some(true)
        && call.provider()?.row.include_usage;
    if wants_usage && let Some(with_usage) = with_include_usage(body.text()) {
        asked_usage = body.change(&head.headers, with_usage).is_some();
    }
    let bound = call.bound_of(egress, &head, &facts, &body).await;
    let head = call.towards_provider(head)?;
    Ok(Prepared {
        call,
        head,
        body,
        facts,
        bound,
        asked_usage,
    })
}

/// Asks the ledger; waits where the call may have to.
async fn reserve(egress: &Egress, mut prepared: Prepared) -> Result<Admitted, Refused> {
    let call = &prepared.call;
    if egress.is_draining() {
        return Err(call.refused(Reason::Draining));
    }
    let ask = call.ask(&prepared.facts, prepared.facts.input(), prepared.bound)?;
    match egress.shared.ledger.reserve(ask).await {
        Ok(ticket) => {
            if let Some(cap) = ticket.admitted.terms.cap()
                && prepared.cap(cap).is_none()
            {
                egress.shared.ledger.void(ticket.admitted.call, None);
                return Err(prepared.call.refused(Reason::Unbounded));
            }
            tracing::debug!(call = %ticket.admitted.call, terms = ?ticket.admitted.terms, "admitted");
            Ok(Admitted { prepared, ticket })
        }
        Err(why) => Err(Refused::not_admitted(why, &call.who.identity.bottle)),
    }
}

impl Prepared {
    /// Makes the request ask for no more output than so many tokens a choice.
    fn cap(&mut self, tokens: u64) -> Option<()> {
        let text = self.call.capped(self.body.text(), tokens)?;
        self.body.change(&self.head.headers, text)
    }
}

/// Sends the request, and makes the client's answer of the provider's.
async fn forward(egress: &Egress, admitted: Admitted) -> Result<Response<ClientBody>, Refused> {
    let Admitted { prepared, ticket } = admitted;
    let Prepared {
        call,
        head,
        body,
        facts,
        asked_usage,
        ..
    } = prepared;
    let body = RequestBody::Whole(Whole::new(body.into_sent(), None));
    let request = Request::from_parts(head, body);
    let limits = egress.limits();
    let provider = call.provider()?;
    let upstream = provider.upstream(&call.path).clone();
    let (wire, quirks, choices) = (call.wire, provider.row.quirks, facts.choices);
    let is_array = wire == Wire::Gemini && facts.stream;
    let parts = Parts {
        call: CallInFlight::new(
            egress,
            &provider.row.key,
            &call.who.identity.bottle,
            ticket.admitted,
        ),
        cut: ticket.cut,
        make_tap: Box::new(move |headers| Tap::new(wire, headers, quirks, choices, is_array)),
    };
    let sender = egress.clone();
    let sent = Box::pin(async move {
        sender
            .shared
            .upstreams
            .send(&upstream, request, limits.connect_timeout)
            .await
    });
    match Sending::new(egress.clone(), sent, parts, limits.response_timeout).await {
        Arrived::Answer(response, parts) => {
            receive(egress, &call, response, parts, asked_usage, is_array).await
        }
        Arrived::Failed(error, mut parts) => {
            tracing::info!(call = %parts.call.call, %error, "the provider could not be asked");
            if error.is_unsent() {
                parts.call.void();
            } else {
                settle_unseen(&mut parts.call, Ending::UpstreamGone).await;
            }
            Err(call.refused(upstream_failed(&error)))
        }
        Arrived::TimedOut(mut parts) => {
            settle_unseen(&mut parts.call, Ending::UpstreamGone).await;
            Err(call.refused(Reason::UpstreamTimeout))
        }
        Arrived::Cut(reason, mut parts) => {
            settle_unseen(&mut parts.call, Ending::Cut).await;
            Err(Refused::cut(reason, &parts.call.bottle))
        }
    }
}

/// Charges a call of which nothing came back, by estimate.
async fn settle_unseen(call: &mut CallInFlight, ending: Ending) {
    if call.settle(Seen::default(), ending).await.is_err() {
        tracing::warn!(call = %call.call, "charged in memory: the ledger is closed");
    }
}

/// Takes the provider's answer: whole where it is one document, else as it flows.
///
/// JSON is one document unless the request asked for an array of chunks (`is_array`).
async fn receive(
    egress: &Egress,
    call: &Call,
    response: Response<UpstreamBody>,
    mut parts: Parts,
    asked_usage: bool,
    is_array: bool,
) -> Result<Response<ClientBody>, Refused> {
    let limits = egress.limits();
    let (mut head, body) = response.into_parts();
    strip_hop_by_hop(&mut head.headers);
    parts.call.status = Some(head.status.as_u16());
    if is_unbilled(head.status) {
        parts.call.void();
        return Ok(Response::from_parts(head, ClientBody::Passed(body)));
    }
    let is_document = is_document(&head, is_array);
    let Parts {
        call: in_flight,
        cut,
        make_tap,
    } = parts;
    let tap = make_tap(&head.headers);
    // What is encoded passes as it is: the filter would look for events in it, and wait.
    let filter = (asked_usage && tap.is_plain()).then(UsageChunkFilter::new);
    let mut flow = Flow::new(body, tap, in_flight, cut, filter, limits.idle_timeout);
    if is_document {
        return receive_document(egress, call, head, flow).await;
    }
    head.headers.remove(header::CONTENT_LENGTH);
    flow.hold = Hold::Event;
    let body = MeteredBody::new(Some(flow), egress);
    Ok(Response::from_parts(
        head,
        ClientBody::Metered(Box::new(body)),
    ))
}

/// Returns whether an answer is one document, whose headers wait for its charge.
fn is_document(head: &http::response::Parts, is_array: bool) -> bool {
    if matches!(
        head.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        return true;
    }
    let is_short = head
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|len| len.to_str().ok()?.parse::<usize>().ok())
        .is_some_and(|len| len <= HELD_BYTES_MAX);
    is_short || (framing(&head.headers) == Some(Framing::Json) && !is_array)
}

/// Reads a document whole, charges it, and only then shows any of it; one that is too long for
/// that flows with its last frame held.
async fn receive_document(
    egress: &Egress,
    call: &Call,
    head: http::response::Parts,
    flow: Flow,
) -> Result<Response<ClientBody>, Refused> {
    let mut reading = Reading::new(flow, egress);
    match reading.read().await {
        Document::Whole(bytes, trailers) => {
            let mut head = head;
            if trailers.is_some() {
                head.headers.remove(header::CONTENT_LENGTH);
            }
            let whole = Whole::new(bytes, trailers);
            Ok(Response::from_parts(head, ClientBody::Whole(whole)))
        }
        Document::Long => Ok(Response::from_parts(
            head,
            ClientBody::Metered(Box::new(reading.go_on())),
        )),
        Document::Broken => Err(call.refused(Reason::UpstreamUnreachable)),
        Document::Idle => Err(call.refused(Reason::UpstreamTimeout)),
        Document::Cut(reason) => Err(Refused::cut(reason, &call.who.identity.bottle)),
        Document::LedgerClosed => Err(call.refused(Reason::LedgerClosed)),
    }
}

/// Clients look whether anybody is there before their first call.
fn is_front_door(request: &Request<Incoming>) -> bool {
    let is_look = matches!(*request.method(), Method::HEAD | Method::GET);
    let path = request.uri().path();
    let Some(target) = target(path) else {
        return false;
    };
    is_look && !is_absolute(request) && matches!(target.path, "" | "/")
}

fn greet() -> Response<ClientBody> {
    Response::new(ClientBody::empty())
}
