//! Who a token stands for: read at every call, changed by the ledger alone.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use bb_proto::ids::{BottleName, ProviderKey, RunId};

/// A bottle's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The bottle.
    pub bottle: BottleName,
    /// Its run.
    pub run: RunId,
    /// Its provider, where it named one.
    pub provider: Option<ProviderKey>,
}

/// The tokens that are valid.
#[derive(Debug, Default)]
pub struct Identities {
    of: RwLock<HashMap<String, Identity>>,
}

impl Identities {
    pub(super) fn get(&self, token: &str) -> Option<Identity> {
        self.of
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()
    }

    pub(super) fn issue(&self, token: String, identity: Identity) {
        self.of
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, identity);
    }

    pub(super) fn revoke(&self, token: &str) {
        self.of
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(token);
    }
}
