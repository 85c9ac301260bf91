//! The one place where a refusal becomes an answer.

use bb_core::refusal;
use bb_proto::budget::Scope;
use bb_proto::usage::Wire;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::Whole;
use super::client_body::ClientBody;
use super::refuse::Refused;

/// Makes the answer, in the dialect of the call where it is known.
pub(super) fn respond(refused: &Refused, wire: Option<Wire>) -> Response<ClientBody> {
    let body = Bytes::from(refusal::body(wire, refused.reason));
    let mut response = Response::new(ClientBody::Whole(Whole::new(body, None)));
    *response.status_mut() =
        StatusCode::from_u16(refused.reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(refusal::CONTENT_TYPE),
    );
    for (name, value) in refusal::headers(refused.reason) {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    let mut put = |name: &'static str, value: &str| {
        // A name of another script is no header text; it is in the events.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put(refusal::HEADER_REASON, refused.reason.as_str());
    if let Some(bottle) = &refused.bottle {
        put(refusal::HEADER_BOTTLE, bottle.as_str());
    }
    let Some(by) = &refused.by else {
        return response;
    };
    if let Some(budget) = &by.budget {
        let scope = match &budget.scope {
            Scope::Launch(_) => "launch".to_owned(),
            scope => scope.to_string(),
        };
        put(refusal::HEADER_SCOPE, &scope);
    }
    if let Some(limit) = by.limit {
        put(refusal::HEADER_LIMIT, &limit.to_string());
    }
    if let Some(used) = by.used {
        put(refusal::HEADER_USED, &used.to_string());
    }
    let resets_at = by
        .resets_at
        .map(|at| jiff::Timestamp::from_millisecond(at.0));
    if let Some(Ok(at)) = resets_at {
        put(refusal::HEADER_RESETS_AT, &at.to_string());
    }
    response
}
