//! Owns the reading of paths: what matches a pattern, and what is sent upstream.

use std::borrow::Cow;

use super::{ProviderRow, Route, Scheme, Upstream};

const VERSION: &str = "{v}";
const ONE: &str = "{id}";
const NAME: &str = "{name}";
const REST: &str = "{rest}";

/// A route that a path matched, and whether the path named no version where it may.
pub(super) struct Found<'a> {
    pub(super) route: &'a Route,
    lacks_version: bool,
}

pub(super) fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// Returns whether a path is exactly `beginning`, or goes on below it with whole segments.
pub(super) fn begins_with(path: &str, beginning: &str) -> bool {
    path.strip_prefix(beginning)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Takes a prefix of whole segments away; what is left begins with `/`.
pub(super) fn strip<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.starts_with('/'))
}

pub(super) fn find<'a>(row: &'a ProviderRow, method: &str, path: &str) -> Option<Found<'a>> {
    let path = without_query(path);
    if !is_plain(path) {
        return None;
    }
    let has_version = version_of(row, path).is_some();
    // What may be read may be looked at.
    let method = if method == "HEAD" { "GET" } else { method };
    row.routes.iter().find_map(|route| {
        if route.method != "*" && route.method != method {
            return None;
        }
        matches(row, &route.pattern, path).then_some(Found {
            route,
            lacks_version: !has_version && route.pattern.starts_with("/{v}/"),
        })
    })
}

/// Returns whether a path can be read in one way only.
fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@/".contains(&byte);
    rest.bytes().all(plain_byte)
        && rest
            .split('/')
            .all(|segment| segment.bytes().any(|byte| byte != b'.'))
}

fn matches(row: &ProviderRow, pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/').skip(1).peekable();
    let mut given = path.split('/').skip(1).peekable();
    if wanted.next_if_eq(&VERSION).is_some() {
        given.next_if(|segment| row.versions.iter().any(|version| version == segment));
    }
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(REST), Some(_)) => return wanted.next().is_none(),
            (Some(want), Some(segment)) if segment_matches(want, segment) => {}
            _ => return false,
        }
    }
}

fn segment_matches(want: &str, segment: &str) -> bool {
    if want == NAME {
        return !segment.contains(':');
    }
    match want.strip_prefix(ONE) {
        Some("") => true,
        Some(ending) => segment
            .strip_suffix(ending)
            .is_some_and(|id| !id.is_empty()),
        None => want == segment,
    }
}

fn version_of<'a>(row: &ProviderRow, path: &'a str) -> Option<&'a str> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    row.versions
        .iter()
        .any(|version| version == first)
        .then_some(first)
}

pub(super) fn upstream(row: &ProviderRow, method: &str, path: &str) -> String {
    let upstream = row.upstream_for(path);
    let bare = without_query(path);
    let prefix_version = upstream
        .prefix
        .rsplit_once('/')
        .filter(|(_, last)| row.versions.iter().any(|version| version == last));
    let (prefix, version) = match prefix_version {
        Some((before, _)) if version_of(row, bare).is_some() => (before, None),
        Some(_) => (upstream.prefix.as_ref(), None),
        None => {
            let lacks = find(row, method, path).is_some_and(|found| found.lacks_version);
            let version = row.versions.first().filter(|_| lacks);
            (upstream.prefix.as_ref(), version)
        }
    };
    match version {
        Some(version) => format!("{prefix}/{version}{path}"),
        None => format!("{prefix}{path}"),
    }
}

pub(super) fn parse_upstream(url: &str) -> Result<Upstream, &'static str> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => return Err("a base URL begins with http:// or https://"),
    };
    let (authority, prefix) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (host, port) = split_port(authority)?;
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let address = host.starts_with('[')
        && host.ends_with(']')
        && host
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || b"[]:.".contains(&b));
    if host.is_empty() || !(address || host.bytes().all(name)) {
        return Err("a base URL has a host name or address, and no user, password or query");
    }
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() && !is_plain(prefix) {
        return Err("the path of a base URL has plain segments only");
    }
    Ok(Upstream {
        scheme,
        host: Cow::Owned(host.to_ascii_lowercase()),
        port,
        prefix: Cow::Owned(prefix.to_owned()),
    })
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            match port.parse() {
                Ok(port) if digits && port > 0 => Ok((host, Some(port))),
                _ => Err("the port of a base URL is a number from 1 to 65535"),
            }
        }
        _ => Ok((authority, None)),
    }
}
