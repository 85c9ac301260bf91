//! What the book cannot know of a row: how a bottle's calls are paid for.

use bb_proto::ids::ProviderKey;
use bb_proto::view::{Bottle, Enforcement};

use crate::egress::Providers;
use crate::egress::providers::Key;

/// Says how far a bottle can be stopped: one whose provider's key is ours has nothing to spend
/// elsewhere.
pub(super) fn enforced(mut bottle: Bottle, providers: &Providers) -> Bottle {
    let named = bottle.provider.as_ref().or(bottle.last_provider.as_ref());
    if named.is_some_and(|provider| is_keyed(provider, providers)) {
        bottle.enforcement = Enforcement::Keyed;
    }
    bottle
}

fn is_keyed(provider: &ProviderKey, providers: &Providers) -> bool {
    providers
        .get(provider.as_str())
        .is_some_and(|provider| matches!(provider.key, Key::Ours(_)))
}
