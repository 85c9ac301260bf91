//! Owns what is known of providers: hosts, credentials, quirks, and which path is which call.
//!
//! A provider is a row, not code: settings may change a row or make another. A path is matched
//! as it stands, after strict reading; what could be read in two ways matches nothing. Who may
//! call, and what is done with an unknown path, is decided elsewhere.

mod known;
mod path;

use std::borrow::Cow;

use bb_proto::ids::ProviderKey;
use bb_proto::usage::Wire;

use crate::meter::Quirks;

pub use known::{known, quirks_at};

/// One provider: where it is, how its credential is sent, and what its paths mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRow {
    /// The key of budgets and the first path segment of a base URL.
    pub key: ProviderKey,
    /// Where calls go that no alternate takes.
    pub upstream: Upstream,
    /// Other upstreams of the same provider, by the beginning of the path.
    pub alternates: Vec<Alternate>,
    /// How the real credential is sent.
    pub credential: CredentialHeader,
    /// Whether `stream_options.include_usage` may be added to a streamed chat request.
    pub include_usage: bool,
    /// The version segments that may begin a path; the first is put in where a path has none.
    pub versions: Vec<Cow<'static, str>>,
    /// Whether Responses over a WebSocket pass; else an upgrade is refused, and clients use POST.
    pub websocket: bool,
    /// Whether a cap that is put into a chat request is `max_completion_tokens`, since newer models
    /// refuse `max_tokens`.
    pub completion_cap: bool,
    /// What its numbers do not tell of themselves.
    pub quirks: Quirks,
    /// The paths that are known, in the order they are tried.
    pub routes: Vec<Route>,
}

/// The origin of a provider and the path under which its API begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Whether the connection is encrypted.
    pub scheme: Scheme,
    /// A host name or address, lower case, without a port.
    pub host: Cow<'static, str>,
    /// The port, where it is not the scheme's own.
    pub port: Option<u16>,
    /// What stands before every path: empty, or begins with `/` and does not end in one.
    pub prefix: Cow<'static, str>,
}

/// The scheme of an upstream's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// TLS.
    Https,
    /// No TLS: a provider on this host, or a test.
    Http,
}

/// An upstream that takes the paths with one beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternate {
    /// The beginning of the path, whole segments, such as `/backend-api`.
    pub path: Cow<'static, str>,
    /// Where such a path goes.
    pub upstream: Upstream,
}

/// How a credential stands in a request's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialHeader {
    /// `x-api-key: KEY`.
    XApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `x-goog-api-key: KEY`.
    XGoogApiKey,
}

/// A method and a path pattern, and what they mean.
///
/// Segments of a pattern: a literal; `{v}` at the beginning for one of the row's versions or
/// none; `{id}` for any one segment; `{id}:verb` for one segment that ends in `:verb`; `{name}`
/// for one segment without a colon; `{rest}` at the end for one or more segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method, or `*` for any.
    pub method: Cow<'static, str>,
    /// The pattern, beginning with `/`.
    pub pattern: Cow<'static, str>,
    /// What a request for it is.
    pub kind: RouteKind,
}

/// What a request for a known path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind {
    /// A model call in this dialect: it is reserved, metered and charged.
    Call(Wire),
    /// A WebSocket on which model calls in this dialect are made, each metered by itself.
    WebSocket(Wire),
    /// A look at an answer in this dialect that was made earlier: it costs nothing by itself.
    Poll(Wire),
    /// Known to cost no tokens: counts of tokens, lists of models, answers read again.
    Unmetered,
    /// Known, and not let through.
    Refused(RouteRefusal),
}

/// Why a known path is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteRefusal {
    /// Batches spend tokens after their request has ended.
    Batch,
    /// Realtime and live sessions spend tokens in frames that are not metered.
    Realtime,
    /// Stored files belong to the whole account and are input that no request body shows.
    Files,
}

/// Returns what a request is, or `None` for a path that no route of the row matches.
///
/// The path may carry a query. Dot segments, empty segments, percent-encoding, backslashes and
/// anything else that a server may normalise match no route.
pub fn route(row: &ProviderRow, method: &str, path: &str) -> Option<RouteKind> {
    path::find(row, method, path).map(|found| found.route.kind)
}

/// Returns whether a call at this path takes a cap on its output, with or without a query.
///
/// The backend of an account's login takes none, and neither does a compaction.
pub fn takes_cap(path: &str) -> bool {
    let path = path::without_query(path);
    !path::begins_with(path, "/backend-api") && !path.ends_with("/responses/compact")
}

impl ProviderRow {
    /// Returns the upstream that a path goes to.
    pub fn upstream_for(&self, path: &str) -> &Upstream {
        self.alternates
            .iter()
            .find(|alternate| path::begins_with(path::without_query(path), &alternate.path))
            .map_or(&self.upstream, |alternate| &alternate.upstream)
    }

    /// Returns the path and query to send upstream for a path and query below the base URL.
    ///
    /// The upstream's prefix comes first. A version that both the prefix and the path have is
    /// written once, the path's; a known path without one gets the row's first version.
    pub fn upstream_path(&self, method: &str, path: &str) -> String {
        path::upstream(self, method, path)
    }

    /// Returns whether requests to a host (lower case, without a port) are this provider's.
    pub fn serves_host(&self, host: &str) -> bool {
        self.upstreams().any(|upstream| upstream.host == host)
    }

    /// Returns the part of a path on one of the provider's hosts that routes are matched with.
    ///
    /// That is the path without the prefix of the upstream at that host; `None` where no
    /// upstream of the row is at the host or the path is not under its prefix.
    pub fn path_on_host<'a>(&self, host: &str, path: &'a str) -> Option<&'a str> {
        self.upstreams()
            .filter(|upstream| upstream.host == host)
            .find_map(|upstream| path::strip(path, &upstream.prefix))
    }

    /// Returns the dialects that the row's routes call, each once, in the routes' order.
    pub fn wires(&self) -> Vec<Wire> {
        let mut wires = Vec::new();
        for route in &self.routes {
            if let RouteKind::Call(wire) = route.kind
                && !wires.contains(&wire)
            {
                wires.push(wire);
            }
        }
        wires
    }

    fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let alternates = self.alternates.iter().map(|alternate| &alternate.upstream);
        std::iter::once(&self.upstream).chain(alternates)
    }
}

impl Upstream {
    /// Parses a base URL: `http` or `https`, a host, perhaps a port and a path; nothing else.
    ///
    /// Fails with the sentence that says what is wrong.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        path::parse_upstream(url)
    }

    /// Returns the port, the scheme's own where none is stated.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
        })
    }
}

impl CredentialHeader {
    /// Every header a client may send a credential in.
    pub const ALL: [Self; 3] = [Self::XApiKey, Self::Bearer, Self::XGoogApiKey];

    /// Returns the header's name, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::XApiKey => "x-api-key",
            Self::Bearer => "authorization",
            Self::XGoogApiKey => "x-goog-api-key",
        }
    }

    /// Returns the header's value for a key.
    pub fn value(self, key: &str) -> String {
        match self {
            Self::XApiKey | Self::XGoogApiKey => key.to_owned(),
            Self::Bearer => format!("Bearer {key}"),
        }
    }

    /// Returns the key that a header's value carries, where it carries one.
    pub fn key_in(self, value: &str) -> Option<&str> {
        let key = match self {
            Self::XApiKey | Self::XGoogApiKey => value.trim(),
            Self::Bearer => {
                let (scheme, key) = value.trim().split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())?
            }
        };
        (!key.is_empty()).then_some(key)
    }
}

#[cfg(test)]
mod tests;
