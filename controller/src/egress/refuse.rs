//! The one place where a refusal becomes an answer.

use bb_core::book::{CutReason, Refusal, RefusalReason};
use bb_core::refusal::{self, Reason};
use bb_proto::budget::Scope;
use bb_proto::ids::BottleName;
use bb_proto::usage::Wire;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::{ClientBody, Whole};
use crate::ledger::NotAdmitted;

/// A refusal with what is known of it: for the headers only, never for the body.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) bottle: Option<BottleName>,
    pub(super) by: Option<Box<Refusal>>,
}

impl Refused {
    pub(super) fn plain(reason: Reason) -> Self {
        Self {
            reason,
            bottle: None,
            by: None,
        }
    }

    pub(super) fn of(reason: Reason, bottle: &BottleName) -> Self {
        Self {
            reason,
            bottle: Some(bottle.clone()),
            by: None,
        }
    }

    pub(super) fn not_admitted(why: NotAdmitted, bottle: &BottleName) -> Self {
        match why {
            NotAdmitted::Closed => Self::of(Reason::LedgerClosed, bottle),
            NotAdmitted::Busy => Self::of(Reason::Busy, bottle),
            NotAdmitted::Refused(refusal) => Self {
                reason: reason_of(&refusal),
                bottle: Some(bottle.clone()),
                by: Some(Box::new(refusal)),
            },
        }
    }

    pub(super) fn cut(why: CutReason, bottle: &BottleName) -> Self {
        match why {
            CutReason::Operator => Self::of(Reason::Operator, bottle),
            CutReason::LedgerClosed => Self::of(Reason::LedgerClosed, bottle),
            CutReason::Draining => Self::of(Reason::Draining, bottle),
            CutReason::Budget(refusal) => Self {
                reason: reason_of(&refusal),
                bottle: Some(bottle.clone()),
                by: Some(Box::new(refusal)),
            },
        }
    }

    /// Makes the answer, in the dialect of the call where it is known.
    pub(super) fn into_response(self, wire: Option<Wire>) -> Response<ClientBody> {
        let body = Bytes::from(refusal::body(wire, self.reason));
        let mut response = Response::new(ClientBody::Whole(Whole::new(body, None)));
        *response.status_mut() =
            StatusCode::from_u16(self.reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(refusal::CONTENT_TYPE),
        );
        for (name, value) in refusal::headers(self.reason) {
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
        put(refusal::HEADER_REASON, self.reason.as_str());
        if let Some(bottle) = &self.bottle {
            put(refusal::HEADER_BOTTLE, bottle.as_str());
        }
        let Some(by) = &self.by else { return response };
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
        response
    }
}

fn reason_of(refusal: &Refusal) -> Reason {
    match refusal.reason {
        RefusalReason::Operator => Reason::Operator,
        RefusalReason::Ended => Reason::Token,
        RefusalReason::Background => Reason::Background,
        RefusalReason::NoRoom => Reason::NoRoom,
        RefusalReason::Budget => match refusal.budget.as_ref().map(|budget| &budget.scope) {
            Some(Scope::Agent(_) | Scope::Host) => Reason::SharedBudget,
            _ => Reason::Budget,
        },
    }
}
