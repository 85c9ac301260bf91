//! Owns the reading of the proxy's settings.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::EgressSetting;
use super::block::Block;
use super::keys::EGRESS;
use super::mistakes::{Mistakes, quote};
use super::tree::Entry;
use super::value;

/// The smallest limit of a request body: an agent's first request has some tens of kilobytes.
const BODY_MAX_LEAST: u64 = 64 * 1024;
/// The largest limit of a request body.
const BODY_MAX_MOST: u64 = 1024 * 1024 * 1024;
const GRACE_MOST: Duration = Duration::from_mins(10);
const TIMEOUT_LEAST: Duration = Duration::from_millis(100);
const TIMEOUT_MOST: Duration = Duration::from_hours(24);

/// Reads what stands behind `egress:`.
pub(super) fn read(entry: &Entry, mistakes: &mut Mistakes) -> EgressSetting {
    let default = EgressSetting::default();
    let Some(block) = Block::open(entry, &EGRESS, mistakes) else {
        return default;
    };
    let timeout = |name, default, mistakes: &mut Mistakes| {
        block
            .get(name)
            .and_then(|entry| value::duration(entry, TIMEOUT_LEAST, TIMEOUT_MOST, mistakes))
            .unwrap_or(default)
    };
    EgressSetting {
        listen: listen(&block, mistakes).unwrap_or(default.listen),
        body_max: block
            .get("body_max")
            .and_then(|entry| value::size(entry, BODY_MAX_LEAST, BODY_MAX_MOST, mistakes))
            .unwrap_or(default.body_max),
        grace: block
            .get("grace")
            .and_then(|entry| value::duration(entry, Duration::ZERO, GRACE_MOST, mistakes))
            .unwrap_or(default.grace),
        connect_timeout: timeout("connect_timeout", default.connect_timeout, mistakes),
        response_timeout: timeout("response_timeout", default.response_timeout, mistakes),
        idle_timeout: timeout("idle_timeout", default.idle_timeout, mistakes),
    }
}

/// Reads the address and whether it may be reached from elsewhere, which must fit each other.
fn listen(block: &Block<'_>, mistakes: &mut Mistakes) -> Option<SocketAddr> {
    let public = block.get("public");
    let allowed = public.map(|entry| value::boolean(entry, mistakes));
    let entry = block.get("listen");
    let address = match entry {
        Some(entry) => Some(address(entry, mistakes)?),
        None => None,
    };
    let local = address.is_none_or(|address| address.ip().to_canonical().is_loopback());
    match (local, allowed, entry, public) {
        (false, None | Some(Some(false)), Some(entry), _) => mistakes.add(
            entry.value.at,
            "other machines can reach this address, and what arrives there is not encrypted",
            "write 127.0.0.1:PORT, or \"public: true\" beside it if that is meant",
        ),
        (true, Some(Some(true)), _, Some(public)) => mistakes.add(
            public.at,
            "\"public: true\" does nothing: no other machine can reach the address",
            "take this line away, or write the address to listen on",
        ),
        _ => {}
    }
    address
}

fn address(entry: &Entry, mistakes: &mut Mistakes) -> Option<SocketAddr> {
    let text = &value::scalar(
        entry,
        "an address and port such as 127.0.0.1:7717",
        mistakes,
    )?
    .text;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let port = text
        .rsplit(':')
        .next()
        .filter(|port| port.parse::<u16>().is_ok());
    let hint = match (text.parse::<IpAddr>(), port) {
        (Ok(IpAddr::V4(ip)), _) => format!("did you mean {ip}:7717?"),
        (Ok(IpAddr::V6(ip)), _) => format!("did you mean [{ip}]:7717?"),
        (Err(_), Some(port)) => format!("did you mean 127.0.0.1:{port}?"),
        (Err(_), None) => "write an address and a port, such as 127.0.0.1:7717".to_owned(),
    };
    let found = format!("{} is no address and port", quote(text));
    mistakes.add(entry.value.at, found, hint);
    None
}
