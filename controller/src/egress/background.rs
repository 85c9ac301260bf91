//! Calls whose answer goes on at the provider after their request has ended: what a later look at
//! one states is its charge, however often it is looked at.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bb_proto::ids::{CallId, ProviderKey};

/// The most calls that are remembered; an older one stays charged by estimate.
const CALLS_MAX: usize = 1_024;

/// A provider and its id of an answer.
type Key = (ProviderKey, String);

/// The calls that went on in the background, by the provider's id of their answer.
#[derive(Debug, Default)]
pub(super) struct Background {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    of: HashMap<Key, CallId>,
    order: VecDeque<Key>,
}

impl Background {
    /// Remembers whose answer goes on.
    pub(super) fn note(&self, provider: &ProviderKey, response_id: &str, call: CallId) {
        let key = (provider.clone(), response_id.to_owned());
        let mut noted = self.lock();
        if noted.of.insert(key.clone(), call).is_none() {
            noted.order.push_back(key);
        }
        while noted.order.len() > CALLS_MAX {
            if let Some(oldest) = noted.order.pop_front() {
                noted.of.remove(&oldest);
            }
        }
    }

    /// Returns whose answer a path of a provider names: `…/responses/ID…`.
    pub(super) fn call_of(&self, provider: &ProviderKey, path: &str) -> Option<CallId> {
        let (_, rest) = path.split_once("/responses/")?;
        let id = rest.split(['/', '?']).next()?;
        let key = (provider.clone(), id.to_owned());
        self.lock().of.get(&key).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_last_calls_are_found_by_their_answers_id() {
        let background = Background::default();
        let codex: ProviderKey = "codex".parse().expect("a name");
        let other: ProviderKey = "other".parse().expect("a name");
        let calls: Vec<CallId> = (0..=CALLS_MAX).map(|_| CallId(Uuid::now_v7())).collect();
        for (at, call) in calls.iter().enumerate() {
            background.note(&codex, &format!("resp_{at}"), *call);
            background.note(&codex, &format!("resp_{at}"), *call);
        }
        let found = |provider, path: &str| background.call_of(provider, path);
        assert_eq!(found(&codex, "/v1/responses/resp_1?x=y"), Some(calls[1]));
        assert_eq!(found(&codex, "/v1/responses/resp_7/cancel"), Some(calls[7]));
        assert_eq!(found(&codex, "/v1/responses/resp_0"), None);
        assert_eq!(found(&codex, "/v1/responses"), None);
        assert_eq!(found(&other, "/v1/responses/resp_1"), None);
    }
}
