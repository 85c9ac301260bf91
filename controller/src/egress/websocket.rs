//! Responses over a WebSocket: the upgrade is passed on, and behind it each response is a call,
//! with its reservation, its metering, its charge.

use std::sync::Arc;

use bb_core::refusal::Reason;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::OwnedSemaphorePermit;

use super::Egress;
use super::body::{RequestBody, Whole};
use super::client_body::ClientBody;
use super::headers::strip_hop_by_hop;
use super::refuse::{Refused, upstream_failed};
use super::route::{Call, Refusing};
use super::upstream::UpstreamBody;

mod ending;
mod session;
mod socket;
mod turn;

use session::Session;
use socket::{Side, socket};

/// The most of them that are open at once on one thread.
pub(super) const WEBSOCKETS_MAX: usize = 2_000;

/// An upgrade that the provider has agreed to.
struct Agreed {
    client: OnUpgrade,
    provider: OnUpgrade,
    /// Holds its place among those that may be open.
    permit: OwnedSemaphorePermit,
}

/// Passes an upgrade on; what follows it is metered.
pub(super) async fn open(
    egress: &Egress,
    call: Call,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, Refusing> {
    let wire = Some(call.wire);
    upgrade(egress, call, request)
        .await
        .map_err(|refused| (refused, wire))
}

async fn upgrade(
    egress: &Egress,
    call: Call,
    mut request: Request<Incoming>,
) -> Result<Response<ClientBody>, Refused> {
    if egress.is_draining() {
        return Err(call.refused(Reason::Draining));
    }
    let permit = Arc::clone(&egress.shared.websockets).try_acquire_owned();
    let permit = permit.map_err(|_| call.refused(Reason::Busy))?;
    call.open_egress(egress).await?;
    let client = hyper::upgrade::on(&mut request);
    let (head, _) = request.into_parts();
    let mut head = call.towards_provider(head)?;
    ask_for_upgrade(&mut head.headers);
    let request = Request::from_parts(head, RequestBody::Whole(Whole::default()));
    let limits = egress.limits();
    let upstream = call.provider()?.upstream(&call.path).clone();
    let upgrading = egress
        .shared
        .upstreams
        .upgrade(&upstream, request, limits.connect_timeout);
    let mut response = match tokio::time::timeout(limits.response_timeout, upgrading).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(call.refused(upstream_failed(&error))),
        Err(_) => return Err(call.refused(Reason::UpstreamTimeout)),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return not_upgraded(&call, response);
    }
    if has_extensions(response.headers()) {
        // It was offered none: what its frames hold cannot be read.
        return Err(call.refused(Reason::Upgrade));
    }
    let agreed = Agreed {
        client,
        provider: hyper::upgrade::on(&mut response),
        permit,
    };
    let (mut head, _) = response.into_parts();
    strip_hop_by_hop(&mut head.headers);
    ask_for_upgrade(&mut head.headers);
    let egress = egress.clone();
    let tracker = egress.shared.tracker.clone();
    tracker.spawn(serve(egress, call, agreed));
    Ok(Response::from_parts(head, ClientBody::empty()))
}

/// Serves both ends once each is a WebSocket.
async fn serve(egress: Egress, call: Call, agreed: Agreed) {
    let Agreed {
        client,
        provider,
        permit,
    } = agreed;
    let timeout = egress.limits().connect_timeout;
    let both = async { tokio::join!(client, provider) };
    match tokio::time::timeout(timeout, both).await {
        Ok((Ok(client), Ok(provider))) => {
            let body_max = egress.limits().body_max;
            let client = socket(client, Side::Client, body_max).await;
            let provider = socket(provider, Side::Provider, body_max).await;
            Box::new(Session::new(egress, call, client, provider))
                .run()
                .await;
        }
        Ok((Err(error), _) | (_, Err(error))) => {
            tracing::debug!(%error, "a WebSocket ended before it began");
        }
        Err(_) => tracing::debug!("a WebSocket was agreed to and never began"),
    }
    drop(permit);
}

/// Passes on why there is no WebSocket. A provider that has none is said to want POST, which the
/// client then tries at once.
fn not_upgraded(
    call: &Call,
    response: Response<Incoming>,
) -> Result<Response<ClientBody>, Refused> {
    if matches!(response.status().as_u16(), 404 | 405 | 426 | 501) {
        return Err(call.refused(Reason::Upgrade));
    }
    let (mut head, body) = response.into_parts();
    strip_hop_by_hop(&mut head.headers);
    let body = ClientBody::Passed(UpstreamBody::Shared(body));
    Ok(Response::from_parts(head, body))
}

/// Writes the headers of an upgrade; no extension is offered or agreed to, since what is
/// compressed cannot be read in part.
fn ask_for_upgrade(headers: &mut HeaderMap) {
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

fn has_extensions(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    values.any(|value| !value.as_bytes().trim_ascii().is_empty())
}
