//! Owns what an agent gets instead of the provider's answer.
//!
//! The status decides how often a client asks again, so every refusal that will not change by
//! itself is 400: the one status that is a single request for all clients that were tried. Some
//! clients also read the text for signs of a passing fault, digits such as `500` among them: a
//! sentence here has no digit, no name and none of those words. Names and figures belong into
//! headers.

mod of_book;
mod shape;

use crate::provider::RouteRefusal;

pub use shape::{CONTENT_TYPE, anthropic_type, body, gemini_status, headers, message, openai_code};

/// The header that names the refused bottle.
pub const HEADER_BOTTLE: &str = "x-bot-bottle-name";
/// The header that carries [`Reason::as_str`].
pub const HEADER_REASON: &str = "x-bot-bottle-reason";
/// The header that says which budget refused, by its scope.
pub const HEADER_SCOPE: &str = "x-bot-bottle-scope";
/// The header that carries that budget's limit in tokens.
pub const HEADER_LIMIT: &str = "x-bot-bottle-limit";
/// The header that carries what that budget has been charged, in tokens.
pub const HEADER_USED: &str = "x-bot-bottle-used";
/// The header that carries the instant at which that budget's window turns, as RFC 3339 in UTC.
pub const HEADER_RESETS_AT: &str = "x-bot-bottle-resets-at";

/// Why a request is answered by the controller and not by the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A budget that binds the call is spent, and it is the bottle's own.
    Budget,
    /// A budget that binds the call is spent, and others draw on it too.
    SharedBudget,
    /// What is left is set aside for open calls, and the wait for it has ended.
    NoRoom,
    /// The estimate of this one call is above what one call may be.
    TooLarge,
    /// The gate admits only calls with a known upper bound, and this one has none.
    Unbounded,
    /// The call would go on after its request has ended, under a hard budget.
    Background,
    /// The operator has cut the bottle off.
    Operator,
    /// The bottle is frozen.
    Frozen,
    /// The ledger cannot be written.
    LedgerClosed,
    /// No token, or one that no bottle has.
    Token,
    /// The token is of another bottle than the listener or the other token.
    TokenMismatch,
    /// The first segment of the path names no provider.
    UnknownProvider,
    /// The provider has no such path, as far as is known.
    UnknownPath,
    /// The path is known and not let through.
    RouteRefused,
    /// The host of a proxy request or a CONNECT is not allowed.
    HostRefused,
    /// The host of a request is not the one its connection was opened for.
    HostMismatch,
    /// The request's body is longer than the limit.
    BodyTooLarge,
    /// The request cannot be read as what it claims to be.
    BadRequest,
    /// The provider's real credential is not set or could not be read.
    NoCredential,
    /// The provider could not be reached.
    UpstreamUnreachable,
    /// The provider did not answer within the limit.
    UpstreamTimeout,
    /// A WebSocket upgrade, where the same call can be made by POST.
    Upgrade,
    /// More calls are waiting than may.
    Busy,
    /// The controller is stopping and takes no new calls.
    Draining,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 24] = [
        Self::Budget,
        Self::SharedBudget,
        Self::NoRoom,
        Self::TooLarge,
        Self::Unbounded,
        Self::Background,
        Self::Operator,
        Self::Frozen,
        Self::LedgerClosed,
        Self::Token,
        Self::TokenMismatch,
        Self::UnknownProvider,
        Self::UnknownPath,
        Self::RouteRefused,
        Self::HostRefused,
        Self::HostMismatch,
        Self::BodyTooLarge,
        Self::BadRequest,
        Self::NoCredential,
        Self::UpstreamUnreachable,
        Self::UpstreamTimeout,
        Self::Upgrade,
        Self::Busy,
        Self::Draining,
    ];

    /// Returns the reason's name in headers, events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::SharedBudget => "shared_budget",
            Self::NoRoom => "no_room",
            Self::TooLarge => "too_large",
            Self::Unbounded => "unbounded",
            Self::Background => "background",
            Self::Operator => "operator",
            Self::Frozen => "frozen",
            Self::LedgerClosed => "ledger_closed",
            Self::Token => "token",
            Self::TokenMismatch => "token_mismatch",
            Self::UnknownProvider => "unknown_provider",
            Self::UnknownPath => "unknown_path",
            Self::RouteRefused => "route_refused",
            Self::HostRefused => "host_refused",
            Self::HostMismatch => "host_mismatch",
            Self::BodyTooLarge => "body_too_large",
            Self::BadRequest => "bad_request",
            Self::NoCredential => "no_credential",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_slow",
            Self::Upgrade => "upgrade",
            Self::Busy => "busy",
            Self::Draining => "draining",
        }
    }

    /// Returns the status of the answer.
    ///
    /// A wrong token is not 401 and a long body not 413: the first is retried for minutes, and
    /// of the second one client replaces the sentence by its own. 403 answers only CONNECT and
    /// proxy requests. What passes by itself is 502 to 504, for clients know to ask again.
    pub fn status(self) -> u16 {
        match self {
            Self::Budget
            | Self::SharedBudget
            | Self::NoRoom
            | Self::TooLarge
            | Self::Unbounded
            | Self::Background
            | Self::Operator
            | Self::Frozen
            | Self::LedgerClosed
            | Self::Token
            | Self::TokenMismatch
            | Self::RouteRefused
            | Self::BodyTooLarge
            | Self::BadRequest
            | Self::NoCredential => 400,
            Self::HostRefused => 403,
            Self::UnknownProvider | Self::UnknownPath => 404,
            Self::HostMismatch => 421,
            Self::Upgrade => 426,
            Self::UpstreamUnreachable => 502,
            Self::Busy | Self::Draining => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    /// Returns whether the same request may be admitted soon without anybody's doing.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::UpstreamUnreachable | Self::UpstreamTimeout | Self::Busy | Self::Draining
        )
    }

    /// Returns the sentence that the agent and its person read.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Budget => "this bottle has spent its token budget; ask the operator to raise it",
            Self::SharedBudget => {
                "the token budget that this bottle shares is spent; ask the operator to raise it"
            }
            Self::NoRoom => {
                "what is left of the token budget is set aside for calls that are still open; \
                 ask the operator to raise it"
            }
            Self::TooLarge => {
                "this call is larger than one call of this bottle may be; \
                 make it smaller or ask the operator"
            }
            Self::Unbounded => {
                "the budget of this bottle admits only calls whose tokens have a known upper \
                 bound, and this call has none; ask the operator"
            }
            Self::Background => {
                "a background call goes on where its tokens are not seen; \
                 the budget of this bottle does not admit it"
            }
            Self::Operator => "the operator has cut this bottle off",
            Self::Frozen => "this bottle is frozen; ask the operator to resume it",
            Self::LedgerClosed => {
                "the controller cannot write its ledger and admits no calls until it can; \
                 tell the operator"
            }
            Self::Token => "this request has no token of a bottle",
            Self::TokenMismatch => "this request has the token of another bottle",
            Self::UnknownProvider => "no provider of this name is known to the controller",
            Self::UnknownPath => "the controller does not know this path of the provider",
            Self::RouteRefused => "this bottle may not use this path of the provider",
            Self::HostRefused => "this bottle may not reach this host",
            Self::HostMismatch => "this request is for another host than its connection",
            Self::BodyTooLarge => "the body of this request is longer than the controller takes",
            Self::BadRequest => "the controller cannot read this request",
            Self::NoCredential => {
                "the controller has no credential for this provider; ask the operator to set it"
            }
            Self::UpstreamUnreachable => "the controller could not reach the provider",
            Self::UpstreamTimeout => "the provider did not answer the controller in time",
            Self::Upgrade => "the controller takes no WebSocket here; use POST",
            Self::Busy => "the controller has more calls waiting than it takes",
            Self::Draining => "the controller is stopping and takes no new calls",
        }
    }
}

impl From<RouteRefusal> for Reason {
    fn from(refusal: RouteRefusal) -> Self {
        match refusal {
            RouteRefusal::Batch | RouteRefusal::Realtime | RouteRefusal::Files => {
                Self::RouteRefused
            }
        }
    }
}

#[cfg(test)]
mod tests;
