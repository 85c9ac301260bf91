//! Who asks, and what for: the first steps of a call's journey.

use std::sync::Arc;

use bb_core::book::Ask;
use bb_core::estimate::InputSize;
use bb_core::provider::RouteKind;
use bb_core::refusal::Reason;
use bb_core::request::{Bound, RequestFacts};
use bb_proto::ids::CallId;
use bb_proto::usage::Wire;
use http::header::{self, HeaderMap};
use http::{Method, Request, Uri, Version};
use hyper::body::Incoming;
use uuid::Uuid;

use super::Egress;
use super::headers::{towards_upstream, without_keys};
use super::identify::{Identified, Unidentified, identify, target};
use super::refuse::Refused;
use crate::settings::providers::{Provider, Providers};

pub(super) type Refusing = (Refused, Option<Wire>);

/// A model call that may be asked for: who asks, whom, and in which dialect.
pub(super) struct Call {
    pub(super) who: Identified,
    pub(super) wire: Wire,
    providers: Arc<Providers>,
    provider: String,
    pub(super) path: String,
}

pub(super) enum Routed {
    Call(Call),
    Unmetered(Call),
    Poll(Call),
    WebSocket(Call),
}

/// Finds who asks, and what for.
pub(super) fn route(egress: &Egress, request: &Request<Incoming>) -> Result<Routed, Refusing> {
    let plain = |reason| (Refused::plain(reason), None);
    if request.method() == Method::CONNECT || is_absolute(request) {
        return Err(plain(Reason::HostRefused));
    }
    let path_and_query = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let target = target(path_and_query).ok_or_else(|| plain(Reason::UnknownPath))?;
    let providers = egress.providers();
    let provider = providers
        .get(target.provider)
        .ok_or_else(|| plain(Reason::UnknownProvider))?;
    let kind = provider.route(request.method().as_str(), target.path);
    let wire = match kind {
        Some(RouteKind::Call(wire) | RouteKind::WebSocket(wire) | RouteKind::Poll(wire)) => {
            Some(wire)
        }
        _ => provider.row.wires().first().copied(),
    };
    let who = identify(&egress.shared.ledger, &target, request.headers()).map_err(|why| {
        egress.count_wrong_token();
        let reason = match why {
            Unidentified::NoToken => Reason::Token,
            Unidentified::Mismatch => Reason::TokenMismatch,
        };
        (Refused::plain(reason), wire)
    })?;
    let refused = |reason| Err((Refused::of(reason, &who.identity.bottle), wire));
    let is_websocket = wants_websocket(request.headers());
    if is_websocket && !(provider.row.websocket && matches!(kind, Some(RouteKind::WebSocket(_)))) {
        return refused(Reason::Upgrade);
    }
    let call = |who, wire| Call {
        who,
        wire,
        provider: target.provider.to_owned(),
        path: target.path.to_owned(),
        providers: Arc::clone(&providers),
    };
    match kind {
        None => refused(Reason::UnknownPath),
        Some(RouteKind::Refused(why)) => refused(why.into()),
        Some(RouteKind::Call(wire)) => Ok(Routed::Call(call(who, wire))),
        Some(RouteKind::WebSocket(wire)) if is_websocket => Ok(Routed::WebSocket(call(who, wire))),
        Some(RouteKind::WebSocket(_)) => refused(Reason::Upgrade),
        Some(RouteKind::Poll(wire)) => Ok(Routed::Poll(call(who, wire))),
        Some(RouteKind::Unmetered) => Ok(Routed::Unmetered(call(
            who,
            wire.unwrap_or(Wire::OpenaiChat),
        ))),
    }
}

impl Call {
    pub(super) fn provider(&self) -> Result<&Provider, Refused> {
        self.providers
            .get(&self.provider)
            .ok_or_else(|| Refused::of(Reason::UnknownProvider, &self.who.identity.bottle))
    }

    pub(super) fn refused(&self, reason: Reason) -> Refused {
        Refused::of(reason, &self.who.identity.bottle)
    }

    /// Makes what the ledger is asked of a request.
    pub(super) fn ask(
        &self,
        facts: &RequestFacts,
        input: InputSize,
        bound: Option<Bound>,
    ) -> Result<Ask, Refused> {
        let identity = &self.who.identity;
        Ok(Ask {
            call: CallId(Uuid::now_v7()),
            bottle: identity.bottle.clone(),
            run: identity.run,
            provider: self.provider()?.row.key.clone(),
            wire: self.wire,
            model: facts.model.clone().unwrap_or_default(),
            input,
            output_max: facts.output_max,
            choices: facts.choices,
            background: facts.background,
            bound,
            sidecar: None,
        })
    }

    /// Makes the head that the provider gets of the one that the client sent.
    pub(super) fn towards_provider(
        &self,
        head: http::request::Parts,
    ) -> Result<http::request::Parts, Refused> {
        self.towards_provider_at(head, &self.path)
    }

    /// The same for another path of the provider.
    pub(super) fn towards_provider_at(
        &self,
        mut head: http::request::Parts,
        path: &str,
    ) -> Result<http::request::Parts, Refused> {
        let provider = self.provider()?;
        let credential = provider.credential_header();
        let in_header = self.who.token_in_header;
        towards_upstream(&mut head.headers, &provider.key, credential, in_header)
            .map_err(|_| self.refused(Reason::NoCredential))?;
        let path = without_keys(path, &provider.key);
        let path = provider.row.upstream_path(head.method.as_str(), &path);
        head.uri = Uri::try_from(path).map_err(|_| self.refused(Reason::BadRequest))?;
        head.version = Version::HTTP_11;
        head.extensions.clear();
        Ok(head)
    }
}

/// Returns whether a request is one to a proxy; HTTP/2 names scheme and host in every request.
pub(super) fn is_absolute(request: &Request<Incoming>) -> bool {
    request.version() != Version::HTTP_2 && request.uri().scheme().is_some()
}

/// Returns whether a WebSocket is asked for; other upgrades are offers that need no answer.
fn wants_websocket(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::UPGRADE).iter();
    let mut protocols = offers
        .filter_map(|offer| offer.to_str().ok())
        .flat_map(|offer| offer.split(','));
    protocols.any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}
