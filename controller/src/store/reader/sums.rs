//! Balances computed anew: what the entries charge, by the accounts they count on.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Rows};

use crate::store::StoreError;
use crate::store::convert::{to_count, to_json};

type Run = [u8; 16];

/// The sums of the entries read so far.
#[derive(Debug)]
pub(super) struct Sums {
    /// Entries up to this one are in `openings`.
    opened_after: u64,
    openings: Vec<(String, String, i64)>,
    /// Lists of accounts, each once, and what was charged to each by provider.
    lists: Vec<(Vec<String>, BTreeMap<String, i64>)>,
    numbers: HashMap<String, usize>,
    /// The list on which a run's calls count at the last entry read.
    of_run: HashMap<Run, usize>,
}

impl Sums {
    pub(super) fn begin(connection: &Connection) -> Result<Self, StoreError> {
        let wrap = |error| StoreError::new("reading the balances it began with", &error);
        let opened_after = connection
            .query_row(
                "SELECT coalesce(max(seq), 0) FROM opened_after",
                [],
                |row| row.get(0),
            )
            .map_err(wrap)?;
        let mut statement = connection
            .prepare("SELECT account, provider, posted FROM openings")
            .map_err(wrap)?;
        let openings = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .and_then(Iterator::collect)
            .map_err(wrap)?;
        Ok(Self {
            opened_after: to_count(opened_after),
            openings,
            lists: Vec::new(),
            numbers: HashMap::new(),
            of_run: HashMap::new(),
        })
    }

    /// Takes a run's list of accounts, which holds from the next entry on.
    fn take(&mut self, list: &List) -> Result<(), StoreError> {
        let number = self.number(&list.accounts)?;
        self.of_run.insert(list.run, number);
        Ok(())
    }

    /// Returns the number of a list of accounts.
    fn number(&mut self, list: &str) -> Result<usize, StoreError> {
        if let Some(number) = self.numbers.get(list) {
            return Ok(*number);
        }
        let number = self.lists.len();
        self.lists.push((to_json("paths", list)?, BTreeMap::new()));
        self.numbers.insert(list.to_owned(), number);
        Ok(number)
    }

    /// Adds what a roll-up charges to a list of accounts.
    pub(super) fn add_rolled_up(
        &mut self,
        list: &str,
        provider: &str,
        charge: i64,
    ) -> Result<(), StoreError> {
        let number = self.number(list)?;
        self.charge(Some(number), provider, charge);
        Ok(())
    }

    /// Adds what an entry charges; returns whether it is known what it counts on.
    pub(super) fn add(&mut self, seq: u64, run: Run, provider: &str, charge: i64) -> bool {
        if seq <= self.opened_after || charge == 0 {
            return true;
        }
        self.charge(self.of_run.get(&run).copied(), provider, charge)
    }

    fn charge(&mut self, list: Option<usize>, provider: &str, charge: i64) -> bool {
        let Some((_, charged)) = list.and_then(|number| self.lists.get_mut(number)) else {
            return false;
        };
        match charged.get_mut(provider) {
            Some(sum) => *sum = sum.saturating_add(charge),
            None => {
                charged.insert(provider.to_owned(), charge);
            }
        }
        true
    }

    /// Returns the sums by account and provider.
    pub(super) fn by_account(self) -> BTreeMap<(String, String), i64> {
        let mut sums = BTreeMap::new();
        let mut add = |account, provider, charge: i64| {
            let sum: &mut i64 = sums.entry((account, provider)).or_default();
            *sum = sum.saturating_add(charge);
        };
        for (account, provider, posted) in self.openings {
            add(account, provider, posted);
        }
        for (accounts, charged) in self.lists {
            for account in accounts {
                for (provider, charge) in &charged {
                    add(account.clone(), provider.clone(), *charge);
                }
            }
        }
        sums
    }
}

/// A list of accounts, and the entry from which a run's calls count on it.
struct List {
    seq: u64,
    run: Run,
    accounts: String,
}

/// The lists of accounts in their order, read as far as the entries are.
pub(super) struct Lists<'a> {
    rows: Rows<'a>,
    next: Option<List>,
}

impl<'a> Lists<'a> {
    /// The lists are of this query; the first of them is looked at.
    pub(super) const QUERY: &'static str =
        "SELECT seq, run, accounts FROM paths WHERE seq > ?1 ORDER BY seq";

    pub(super) fn begin(rows: Rows<'a>) -> Result<Self, StoreError> {
        let mut lists = Self { rows, next: None };
        lists.advance()?;
        Ok(lists)
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        let wrap = |error| StoreError::new("reading what calls count on", &error);
        self.next = match self.rows.next().map_err(wrap)? {
            Some(row) => Some(List {
                seq: to_count(row.get(0).map_err(wrap)?),
                run: row.get(1).map_err(wrap)?,
                accounts: row.get(2).map_err(wrap)?,
            }),
            None => None,
        };
        Ok(())
    }

    /// Brings the sums to the lists that hold for an entry.
    pub(super) fn up_to(&mut self, seq: u64, sums: &mut Sums) -> Result<(), StoreError> {
        while let Some(list) = self.next.take_if(|list| list.seq <= seq) {
            sums.take(&list)?;
            self.advance()?;
        }
        Ok(())
    }
}
