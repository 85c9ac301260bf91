//! The control socket, as a stranger uses it.

mod budgets;
mod clients;
mod ledger;
mod lines;
mod methods;
mod orders;
pub(crate) mod processes;
pub(crate) mod raw;
mod sidecars;
mod snapshots;
mod watching;

use anyhow::Result;
use bb_tests::harness::System;
use bb_tests::provider::{Provider, Script};

use raw::Raw;

/// A controller before a provider that answers at once, and a connection to it.
async fn system() -> Result<(System, Raw)> {
    system_with("").await
}

/// The same with more settings.
async fn system_with(more: &str) -> Result<(System, Raw)> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, more).await?;
    let raw = Raw::connect(system.home()).await?;
    Ok((system, raw))
}
