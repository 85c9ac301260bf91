//! Calls that were refused: counted at once, put down once in a while.

use std::collections::HashMap;

use bb_proto::budget::BudgetKey;
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::time::{Millis, Timestamp};

use super::Book;

/// A bottle that keeps asking is put down once in this time.
const REFUSED_EVERY: Millis = Millis(60_000);

/// Refusals of each bottle since one was put down.
pub(super) type Refused = HashMap<BottleName, RefusedSince>;

/// Refusals of a bottle since one was put down.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedSince {
    at: Timestamp,
    count: u64,
}

impl Book {
    /// Counts a refusal; the first, and then one a minute, is put down with every budget on its way.
    pub(super) fn count_refusal(
        &mut self,
        name: &BottleName,
        provider: &ProviderKey,
        budget: Option<&BudgetKey>,
        now: Timestamp,
    ) {
        let Some(bottle) = self.bottles.get_mut(name) else {
            return;
        };
        bottle.refusals = bottle.refusals.saturating_add(1);
        let run = bottle.run;
        self.touch_bottle(name);
        let since = self.refused.get(name).copied();
        let count = since.map_or(0, |s| s.count).saturating_add(1);
        if let Some(since) = since.filter(|since| now.since(since.at) < REFUSED_EVERY) {
            self.refused
                .insert(name.clone(), RefusedSince { count, ..since });
            return;
        }
        self.refused
            .insert(name.clone(), RefusedSince { at: now, count: 0 });
        let text = match since {
            Some(_) if count > 1 => format!("{name}: {count} calls refused since the last time"),
            _ => format!("{name}: a call was refused"),
        };
        let mut event = self.event(now, EventKind::Refused, Actor::System, text);
        event.bottle = Some(name.clone());
        event.run = Some(run);
        event.budget = budget.cloned();
        event.provider = Some(provider.clone());
        event.explained = Some(Box::new(self.explained_briefly(name, provider, now)));
        self.happened(event);
    }
}
