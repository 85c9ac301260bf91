//! Owns the reading of providers: changes to known ones, and new ones that copy a known one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bb_core::provider::Upstream;
use bb_core::weights::Weights;
use bb_proto::ids::ProviderKey;
use bb_proto::units::Thousandths;

use super::block::{Block, filled_mapping};
use super::keys::{PROVIDER, WEIGHTS};
use super::mistakes::{Mistakes, nearest, quote};
use super::tree::Entry;
use super::{ProviderSetting, credential, value};

type Providers = BTreeMap<ProviderKey, ProviderSetting>;

const WEBSOCKET: &[(&str, bool)] = &[("proxy", true), ("refuse", false)];

/// Reads what stands behind `providers:`; `listen` is the proxy's own address.
pub(super) fn read(
    entry: &Entry,
    known: &[ProviderKey],
    listen: SocketAddr,
    mistakes: &mut Mistakes,
) -> Providers {
    let mut providers = Providers::new();
    for entry in filled_mapping(entry, "providers by key", mistakes).unwrap_or(&[]) {
        let key = value::key_name::<ProviderKey>(&entry.key, entry.at, "a provider", mistakes);
        let Some(block) = Block::open(entry, &PROVIDER, mistakes) else {
            continue;
        };
        let is_known = key.as_ref().is_some_and(|key| known.contains(key));
        let copies = copies(entry, &block, is_known, known, mistakes);
        let provider = ProviderSetting {
            copies,
            upstream: block
                .get("upstream")
                .and_then(|entry| upstream(entry, listen, mistakes)),
            credential: block
                .get("credential")
                .and_then(|entry| credential::read(entry, mistakes)),
            weights: block
                .get("weights")
                .and_then(|entry| weights(entry, mistakes))
                .unwrap_or_default(),
            include_usage: block
                .get("include_usage")
                .and_then(|entry| value::boolean(entry, mistakes)),
            websocket: block
                .get("websocket")
                .and_then(|entry| value::choice(entry, WEBSOCKET, mistakes)),
            count_tokens: block
                .get("count_tokens")
                .and_then(|entry| value::boolean(entry, mistakes))
                .unwrap_or_default(),
            line: entry.at.line,
        };
        providers.extend(key.map(|key| (key, provider)));
    }
    providers
}

/// Returns every provider that a file can speak of, the new ones by their keys alone: what is
/// wrong within one is told there, and not again wherever it is named.
pub(super) fn all(entry: Option<&Entry>, known: &[ProviderKey]) -> Vec<ProviderKey> {
    let mut all = known.to_vec();
    let declared = entry.map_or(&[][..], |entry| entry.value.entries());
    for key in declared.iter().filter_map(|entry| entry.key.parse().ok()) {
        if !all.contains(&key) {
            all.push(key);
        }
    }
    all
}

fn copies(
    entry: &Entry,
    block: &Block<'_>,
    is_known: bool,
    known: &[ProviderKey],
    mistakes: &mut Mistakes,
) -> Option<ProviderKey> {
    let names = || known.iter().map(ProviderKey::as_str);
    let listed = names().collect::<Vec<_>>().join(", ");
    let Some(copies) = block.get("copies") else {
        if !is_known {
            let hint = match nearest(&entry.key, names()) {
                Some(meant) => format!(
                    "did you mean \"{meant}\"? A new one says which known one it speaks like: \"copies: {meant}\""
                ),
                None => format!(
                    "a new one says which known one it speaks like, with \"copies:\" and one of {listed}"
                ),
            };
            mistakes.add(
                entry.at,
                format!("{} is no known provider", quote(&entry.key)),
                hint,
            );
        }
        return None;
    };
    let word = value::scalar(copies, "a known provider", mistakes)?
        .text
        .as_str();
    if is_known {
        mistakes.add(
            copies.at,
            format!("{} is a known provider and copies none", quote(&entry.key)),
            "take this line away, or give the provider another key",
        );
        return None;
    }
    let found = known.iter().find(|key| key.as_str() == word).cloned();
    if found.is_none() {
        let hint = match nearest(word, names()) {
            Some(meant) => format!("did you mean \"{meant}\"? There are {listed}"),
            None => format!("there are {listed}"),
        };
        mistakes.add(
            copies.value.at,
            format!("{} is no known provider", quote(word)),
            hint,
        );
    }
    found
}

/// Reads a base URL; what is wrong in one is not repeated, since it may hold a password.
fn upstream(entry: &Entry, listen: SocketAddr, mistakes: &mut Mistakes) -> Option<Upstream> {
    let text = &value::scalar(entry, "a URL such as https://api.example.com", mistakes)?.text;
    let upstream = match Upstream::parse(text) {
        Ok(upstream) => upstream,
        Err(reason) => {
            let hint = "write a URL such as https://api.example.com or http://127.0.0.1:11434/v1";
            mistakes.add(entry.value.at, reason, hint);
            return None;
        }
    };
    if is_own(&upstream, listen) {
        mistakes.add(
            entry.value.at,
            "this upstream is the proxy's own address, so calls would go in a circle",
            "write where the provider itself is",
        );
        return None;
    }
    Some(upstream)
}

fn is_own(upstream: &Upstream, listen: SocketAddr) -> bool {
    let own = listen.ip().to_canonical();
    let host = upstream.host.trim_start_matches('[').trim_end_matches(']');
    let reaches = match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if own.is_unspecified() => ip.is_loopback() || ip.is_unspecified(),
        Ok(ip) => ip == own || ip.is_unspecified() && own.is_loopback(),
        Err(_) => host == "localhost" && (own.is_loopback() || own.is_unspecified()),
    };
    reaches && upstream.port_or_default() == listen.port()
}

fn weights(entry: &Entry, mistakes: &mut Mistakes) -> Option<Weights> {
    let block = Block::open(entry, &WEIGHTS, mistakes)?;
    let mut weight = |name| match block.get(name) {
        Some(entry) => value::thousandths(entry, mistakes),
        None => Some(Thousandths::ONE),
    };
    let (input, cache_read) = (weight("input"), weight("cache_read"));
    let (cache_write, output) = (weight("cache_write"), weight("output"));
    let weights = Weights {
        input: input?,
        cache_read: cache_read?,
        cache_write: cache_write?,
        output: output?,
    };
    let Weights {
        input,
        cache_read,
        cache_write,
        output,
    } = weights;
    if [input, cache_read, cache_write, output]
        .iter()
        .all(|weight| weight.0 == 0)
    {
        mistakes.add(
            entry.at,
            "with all weights 0 this provider's tokens count in no budget",
            "give at least one of them a weight above 0",
        );
    }
    Some(weights)
}
