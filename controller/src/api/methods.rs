//! The methods, one file a noun.

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::request::Call;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Api;
use crate::ledger::Closed;
use crate::store::StoreError;

mod bottle;
mod budget;
mod call;
mod charge;
mod ledger;
mod limits;
mod query;
mod register;
mod settings;
mod stated;
mod system;

impl Api {
    /// Carries out a call of a peer.
    pub(super) async fn call(&self, call: Call, uid: u32) -> Result<Box<RawValue>, RpcError> {
        limits::check(&call)?;
        let id = limits::request_id(&call).map(str::to_owned);
        // What was asked, as one text: two requests are the same where it is.
        let asked = format!("{call:?}");
        let answered = &self.shared.answered;
        answered
            .once(id.as_deref(), &asked, self.dispatch(call, uid))
            .await
    }

    async fn dispatch(&self, call: Call, uid: u32) -> Result<Box<RawValue>, RpcError> {
        match call {
            Call::Hello(params) => reply(self.hello(&params)),
            Call::Health(_) => reply(Ok(self.health().await)),
            Call::Snapshot(params) => self.snapshot(&params).await,
            Call::BottleRegister(params) => reply(self.register(params, uid).await),
            Call::BottleList(_) => reply(self.bottle_list().await),
            Call::BottleShow(params) => reply(self.bottle_show(params).await),
            Call::BottleEnv(params) => reply(self.bottle_env(params).await),
            Call::BottleCutoff(params) => reply(self.cutoff(params, uid).await),
            Call::BottleRestore(params) => reply(self.restore(params, uid).await),
            Call::BottleStop(params) => reply(self.stop_bottles(params, uid).await),
            Call::BottleRemove(params) => reply(self.remove(params, uid).await),
            Call::BottleEnded(params) => reply(self.ended(params).await),
            Call::BudgetList(params) => reply(self.budget_list(params).await),
            Call::BudgetExplain(params) => reply(self.budget_explain(params).await),
            Call::BudgetCheck(params) => reply(self.budget_check(params).await),
            Call::BudgetCharge(params) => reply(self.budget_charge(params, uid).await),
            Call::BudgetSet(params) => reply(self.budget_set(params, uid).await),
            Call::BudgetUnset(params) => reply(self.budget_unset(params, uid).await),
            Call::BudgetRaise(params) => reply(self.budget_raise(params, uid).await),
            Call::BudgetReset(params) => reply(self.budget_reset(params, uid).await),
            Call::CallReserve(params) => reply(self.call_reserve(params).await),
            Call::CallFlowed(params) => reply(self.call_flowed(params).await),
            Call::CallSettle(params) => reply(self.call_settle(params).await),
            Call::CallVoid(params) => reply(self.call_void(params).await),
            Call::UsageQuery(params) => reply(self.usage(params).await),
            Call::LedgerTail(params) => reply(self.ledger_tail(params).await),
            Call::LedgerExport(params) => reply(self.ledger_export(params).await),
            Call::LedgerVerify(_) => reply(self.ledger_verify().await),
            Call::LedgerCorrect(params) => reply(self.ledger_correct(params, uid).await),
            Call::LedgerBackup(params) => reply(self.ledger_backup(params).await),
            Call::AuditList(params) => reply(self.audit_list(params).await),
            Call::EventsWatch(_) => reply(self.events_watch().await),
            Call::EventsList(params) => reply(self.events_list(params).await),
            Call::SettingsShow(_) => reply(Ok(self.settings_show())),
            Call::SettingsCheck(_) => reply(self.settings_check()),
            Call::SettingsReload(params) => reply(self.settings_reload(&params).await),
            Call::Shutdown(params) => reply(self.shutdown(&params).await),
        }
    }
}

pub(super) fn reply<T: Serialize>(result: Result<T, RpcError>) -> Result<Box<RawValue>, RpcError> {
    to_raw_value(&result?).map_err(|error| RpcError::new(ErrorCode::Internal, error.to_string()))
}

/// What could not be written is said as such: it holds, and is written when it can be.
fn closed(_: Closed) -> RpcError {
    RpcError::new(
        ErrorCode::LedgerClosed,
        "the ledger is closed: its disk is full or failing; the order is kept in memory",
    )
    .with_hint("make room on the disk; bb-ctl doctor says more")
}

fn store_error(error: &StoreError) -> RpcError {
    match error {
        StoreError::GivenUp { .. } => {
            RpcError::new(ErrorCode::Busy, error.to_string()).with_hint("ask for a shorter time")
        }
        _ => RpcError::new(ErrorCode::Internal, error.to_string()),
    }
}
