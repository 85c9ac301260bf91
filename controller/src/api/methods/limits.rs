//! What a request may carry: what is kept has a limit.

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::request::{Call, MODEL_BYTES_MAX};

use crate::settings::ANCESTORS_MAX;

/// The longest id that a client gives its request, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// The longest reason that is kept for the audit, in bytes.
const WHY_BYTES_MAX: usize = 1_024;
/// The most bottles of one order.
const NAMES_MAX: usize = 1_000;

/// Refuses what is longer than anybody needs it.
pub(super) fn check(call: &Call) -> Result<(), RpcError> {
    let bytes = |text: Option<&str>| text.map_or(0, str::len);
    let parents = match call {
        Call::BottleRegister(params) => params.parents.as_ref().map_or(0, Vec::len),
        _ => 0,
    };
    at_most(
        "request_id",
        bytes(request_id(call)),
        REQUEST_ID_BYTES_MAX,
        "bytes",
    )?;
    at_most("model", bytes(model(call)), MODEL_BYTES_MAX, "bytes")?;
    at_most("why", bytes(why(call)), WHY_BYTES_MAX, "bytes")?;
    at_most("names", names(call), NAMES_MAX, "bottles")?;
    at_most("parents", parents, ANCESTORS_MAX, "bottles")
}

fn at_most(field: &str, found: usize, most: usize, of: &str) -> Result<(), RpcError> {
    if found <= most {
        return Ok(());
    }
    Err(RpcError::new(
        ErrorCode::InvalidParams,
        format!("`{field}` has {found} {of}; the most is {most}"),
    ))
}

/// Returns the id under which a request is done once.
pub(super) fn request_id(call: &Call) -> Option<&str> {
    match call {
        Call::BottleRegister(params) => params.request_id.as_deref(),
        Call::BottleCutoff(params) => params.request_id.as_deref(),
        Call::BottleRestore(params) => params.request_id.as_deref(),
        Call::BottleStop(params) => params.request_id.as_deref(),
        Call::BottleRemove(params) => params.request_id.as_deref(),
        Call::BudgetSet(params) => params.request_id.as_deref(),
        Call::BudgetUnset(params) => params.request_id.as_deref(),
        Call::BudgetRaise(params) => params.request_id.as_deref(),
        Call::BudgetReset(params) => params.request_id.as_deref(),
        Call::LedgerCorrect(params) => params.request_id.as_deref(),
        Call::SettingsReload(params) => params.request_id.as_deref(),
        _ => None,
    }
}

fn why(call: &Call) -> Option<&str> {
    match call {
        Call::BottleCutoff(params) => params.why.as_deref(),
        Call::BottleRestore(params) => params.why.as_deref(),
        Call::BottleStop(params) => params.why.as_deref(),
        Call::BottleRemove(params) => params.why.as_deref(),
        Call::BudgetCharge(params) => params.why.as_deref(),
        Call::BudgetSet(params) => params.why.as_deref(),
        Call::BudgetUnset(params) => params.why.as_deref(),
        Call::BudgetRaise(params) => params.why.as_deref(),
        Call::BudgetReset(params) => params.why.as_deref(),
        Call::LedgerCorrect(params) => params.why.as_deref(),
        _ => None,
    }
}

fn model(call: &Call) -> Option<&str> {
    match call {
        Call::BudgetCharge(params) => params.model.as_deref(),
        Call::CallReserve(params) => params.model.as_deref(),
        _ => None,
    }
}

fn names(call: &Call) -> usize {
    match call {
        Call::BottleCutoff(params) => params.names.len(),
        Call::BottleRestore(params) => params.names.len(),
        Call::BottleStop(params) => params.names.len(),
        Call::BottleRemove(params) => params.names.len(),
        _ => 0,
    }
}
