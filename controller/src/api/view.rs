//! Rows as they are sent: with how a bottle's calls are paid for, which the book cannot know, and
//! no longer than a row may be.

use bb_proto::ids::ProviderKey;
use bb_proto::view::{Bottle, Budget, Enforcement};

use crate::settings::providers::{Key, Providers};

/// How many raises of a budget are shown, the newest ones; its limit has all of them in it.
const RAISES_SHOWN: usize = 20;

/// Leaves out all but the newest raises.
pub(super) fn with_newest_raises(mut budget: Budget) -> Budget {
    let older = budget.raises.len().saturating_sub(RAISES_SHOWN);
    budget.raises.drain(..older);
    budget
}

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
