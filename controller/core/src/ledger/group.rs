//! What is written together.

use bb_proto::ids::ProviderKey;

use crate::book::{Account, Balance, Entry};

/// What one transaction writes.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Entries with their numbers.
    pub entries: Vec<(u64, Entry)>,
    /// Balances as they are after the entries.
    pub balances: Vec<(Account, ProviderKey, Balance)>,
}

impl Group {
    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.balances.is_empty()
    }

    /// Returns whether the group must survive power loss before anybody hears of it.
    pub fn needs_sync(&self) -> bool {
        self.entries.iter().any(|(_, entry)| entry.needs_sync())
    }
}
