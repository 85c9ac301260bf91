//! The ledger's entries: read on, exported, checked, copied.

use std::path::Path;
use std::time::{Duration, Instant};

use bb_core::book::Order;
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::reply::{LedgerBackedUp, LedgerCorrected, LedgerEntries, LedgerVerified};
use bb_proto::request::{LedgerBackup, LedgerCorrect, LedgerExport, LedgerTail};
use bb_proto::usage::Usage;
use tokio::sync::SemaphorePermit;

use super::super::Api;
use super::system::WAIT_MAX;
use super::{closed, store_error};
use crate::store::reader::{BackupError, Copied};

/// Between two pages of an export, or two looks of a check, nothing is rolled up for so long.
const PAGE_PAUSE_MAX: Duration = Duration::from_mins(1);
/// Between two looks for an entry that is waited for: other things change far more often.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

impl Api {
    /// Answers with entries, waiting for the first of them where that is asked for.
    pub(super) async fn ledger_tail(&self, params: LedgerTail) -> Result<LedgerEntries, RpcError> {
        let wait = params.after.and(params.wait_ms).unwrap_or(0);
        let until = Instant::now() + Duration::from_millis(wait).min(WAIT_MAX);
        let mut revisions = self.parts().ledger.revisions();
        let mut stopping = self.parts().stop.subscribe();
        loop {
            // Seen before it is looked at, so that no change falls between the two.
            revisions.mark_unchanged();
            let asked = params.clone();
            let page = self.read(move |reader| reader.tail(&asked)).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !page.entries.is_empty() || left.is_zero() || *stopping.borrow() {
                return Ok(page);
            }
            let changed = async {
                drop(revisions.changed().await);
                tokio::time::sleep(LOOK_PAUSE).await;
            };
            tokio::select! {
                () = changed => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    pub(super) async fn ledger_export(
        &self,
        params: LedgerExport,
    ) -> Result<LedgerEntries, RpcError> {
        let ledger = &self.parts().ledger;
        ledger.hold_roll_ups(PAGE_PAUSE_MAX);
        // One that is under way is at its end when the ledger answers.
        ledger.look(|_, _| ()).await.map_err(|_| ending())?;
        let page = self.read(move |reader| reader.export(&params)).await?;
        page.ok_or_else(|| {
            RpcError::new(
                ErrorCode::Conflict,
                "the entries after this one were rolled up to hours meanwhile",
            )
            .with_hint("begin the export anew")
        })
    }

    pub(super) async fn ledger_verify(&self) -> Result<LedgerVerified, RpcError> {
        let _alone = self.alone()?;
        let stop = self.parts().stop.subscribe();
        let ledger = self.parts().ledger.clone();
        let stopping = move || {
            ledger.hold_roll_ups(PAGE_PAUSE_MAX);
            *stop.borrow()
        };
        let verified = self.read(move |reader| reader.verify(stopping)).await?;
        verified.ok_or_else(ending)
    }

    pub(super) async fn ledger_backup(
        &self,
        params: LedgerBackup,
    ) -> Result<LedgerBackedUp, RpcError> {
        let _alone = self.alone()?;
        let begun = Instant::now();
        let stop = self.parts().stop.subscribe();
        let reader = self.parts().reader.clone();
        let path = params.path.clone();
        let copied = tokio::task::spawn_blocking(move || {
            reader.backup(Path::new(&path), move || *stop.borrow())
        });
        let Copied { bytes, entries } = copied
            .await
            .map_err(|error| RpcError::new(ErrorCode::Internal, error.to_string()))?
            .map_err(|error| refused(&error))?;
        Ok(LedgerBackedUp {
            path: params.path,
            bytes,
            entries,
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    pub(super) async fn ledger_correct(
        &self,
        params: LedgerCorrect,
        uid: u32,
    ) -> Result<LedgerCorrected, RpcError> {
        let call = params.call;
        let known = self.read(move |reader| reader.settled(call)).await?;
        let counts = Usage {
            input: params.input,
            cache_read: params.cache_read,
            cache_write: params.cache_write,
            output: params.output,
            reasoning: None,
        };
        let order = Order {
            uid,
            why: params.why,
            dry_run: params.dry_run,
        };
        let acted = self
            .parts()
            .ledger
            .act(move |book, now| book.correct(known, call, &counts, &order, now))
            .await;
        let (before, after) = acted.map_err(closed)??;
        Ok(LedgerCorrected {
            call,
            before: before.charge,
            after: after.charge,
            usage: after.usage,
            dry_run: params.dry_run,
        })
    }

    /// Lets one at a time read the whole ledger.
    fn alone(&self) -> Result<SemaphorePermit<'_>, RpcError> {
        self.shared.whole_read.try_acquire().map_err(|_| {
            RpcError::new(
                ErrorCode::Busy,
                "the ledger is being verified or copied already",
            )
            .with_hint("try again later")
        })
    }
}

fn refused(error: &BackupError) -> RpcError {
    let code = match error {
        BackupError::Exists(_) => ErrorCode::Exists,
        BackupError::NoFolder(_) => ErrorCode::NotFound,
        BackupError::NoPath(_) => ErrorCode::InvalidParams,
        BackupError::GivenUp => ErrorCode::Busy,
        BackupError::Stopping => return ending(),
        BackupError::Store(error) => return store_error(error),
        BackupError::Io { .. } => ErrorCode::Internal,
    };
    let refused = RpcError::new(code, error.to_string());
    match error {
        BackupError::Exists(_) => refused.with_hint("name a file that is not there"),
        _ => refused,
    }
}

fn ending() -> RpcError {
    RpcError::new(ErrorCode::ShuttingDown, "the controller is ending")
}
