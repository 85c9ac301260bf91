//! Many entries at once, without a book.

use std::path::PathBuf;

use bb_core::book::{Account, Balance, CallFacts, Entry, Settlement};
use bb_core::ledger::Group;
use bb_proto::ids::{CallId, ProviderKey, RunId};
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use tempfile::TempDir;
use uuid::Uuid;

use super::played::provider;
use crate::store::{Store, StoreError};

/// A ledger with as many entries as are asked for: one a call, each of ten tokens.
pub(super) struct Bulk {
    pub(super) store: Store,
    pub(super) written: u64,
    pub(super) model: String,
    folder: TempDir,
}

impl Bulk {
    pub(super) fn begin() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("ledger.db")).expect("a ledger");
        Self {
            store,
            written: 0,
            model: "model".to_owned(),
            folder,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Writes a group of entries with the balances that they make.
    pub(super) fn write(&mut self, entries: u64) {
        self.try_write(entries).expect("written");
    }

    /// The same; where it fails, the next ones have the same numbers.
    pub(super) fn try_write(&mut self, entries: u64) -> Result<(), StoreError> {
        let before = self.written;
        let accounts = vec![
            Account::Bottle("web".parse().expect("a name")),
            Account::Host,
        ];
        let claude: ProviderKey = provider("claude");
        let mut group = Group::default();
        for _ in 0..entries {
            self.written += 1;
            let facts = CallFacts {
                call: CallId(Uuid::from_u128(self.written.into())),
                bottle: "web".parse().expect("a name"),
                run: RunId(Uuid::from_u128(7)),
                agent: None,
                provider: claude.clone(),
                model: self.model.clone(),
                wire: Wire::AnthropicMessages,
                started_at: Timestamp(0),
                accounts: accounts.clone(),
                terms: bb_core::book::Terms::default(),
            };
            let settlement = Settlement {
                usage: Usage {
                    input: Some(8),
                    output: Some(2),
                    ..Usage::default()
                },
                charge: Tokens(10),
                cache_read: Tokens(0),
                estimated: false,
                ending: Ending::Complete,
                status: Some(200),
            };
            let at = Timestamp(i64::try_from(self.written).expect("an instant"));
            group.entries.push((
                self.written,
                Entry::Settled {
                    facts,
                    at,
                    settlement,
                    overrun: Tokens(0),
                },
            ));
        }
        let balance = Balance {
            posted: Tokens(self.written * 10),
            cache_read: Tokens(0),
        };
        group.balances = accounts
            .into_iter()
            .map(|account| (account, claude.clone(), balance))
            .collect();
        let written = self.store.write(&group);
        if written.is_err() {
            self.written = before;
        }
        written
    }
}
