//! The providers as they are now: what the program knows, changed by the settings.

use std::collections::HashMap;

use bb_core::provider::{CredentialHeader, ProviderRow, RouteKind, Upstream, route};
use bb_proto::ids::ProviderKey;

use super::Secret;

/// How a provider's calls are paid for.
#[derive(Debug, Clone)]
pub enum Key {
    /// The client's own login is passed through.
    Passthrough,
    /// The controller puts this one in.
    Ours(Secret),
    /// The settings name one that could not be had; the sentence says why.
    Missing(String),
}

/// A provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Where it is, and what its paths mean.
    pub row: ProviderRow,
    /// How its calls are paid for.
    pub key: Key,
    /// Whether it is asked what the input of a call is.
    pub count_tokens: bool,
}

impl Provider {
    /// Returns whether its key is here, so that a client needs none of its own.
    pub fn is_keyed(&self) -> bool {
        !matches!(self.key, Key::Passthrough)
    }

    /// Returns what a request is.
    pub fn route(&self, method: &str, path: &str) -> Option<RouteKind> {
        route(&self.row, method, path)
    }

    /// Returns where a path goes.
    pub fn upstream(&self, path: &str) -> &Upstream {
        self.row.upstream_for(path)
    }

    /// Returns in which header the real credential is sent.
    pub fn credential_header(&self) -> CredentialHeader {
        self.row.credential
    }
}

/// All providers by key.
#[derive(Debug, Clone, Default)]
pub struct Providers {
    of: HashMap<ProviderKey, Provider>,
}

impl Providers {
    /// Returns the provider of a first path segment.
    pub fn get(&self, key: &str) -> Option<&Provider> {
        ProviderKey::new(key).ok().and_then(|key| self.of.get(&key))
    }

    /// Returns all providers.
    pub fn iter(&self) -> impl Iterator<Item = (&ProviderKey, &Provider)> {
        self.of.iter()
    }
}

impl FromIterator<(ProviderKey, Provider)> for Providers {
    fn from_iter<I: IntoIterator<Item = (ProviderKey, Provider)>>(providers: I) -> Self {
        Self {
            of: providers.into_iter().collect(),
        }
    }
}
