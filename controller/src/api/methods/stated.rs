//! Figures that a client states of its own calls: within what can be counted.

use bb_core::book::{Book, SidecarCall};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::reply::LedgerEntry;
use bb_proto::request::STATED_MAX;
use bb_proto::usage::{Usage, Wire};

use super::super::Api;

impl Api {
    /// Returns the dialect of a call to a provider, where the client does not say it.
    ///
    /// Fails where there is no such provider.
    pub(super) fn wire_of(
        &self,
        provider: &ProviderKey,
        wire: Option<Wire>,
    ) -> Result<Wire, RpcError> {
        self.check_provider(Some(provider))?;
        let providers = self.parts().live.providers();
        let known = providers.get(provider.as_str());
        let first = known.and_then(|provider| provider.row.wires().first().copied());
        Ok(wire.or(first).unwrap_or(Wire::OpenaiChat))
    }

    /// Returns how a call was resolved that the book does not remember.
    pub(super) async fn resolved_before(
        &self,
        known: &SidecarCall,
        call: CallId,
    ) -> Result<Option<LedgerEntry>, RpcError> {
        match known {
            SidecarCall::Unknown => self.read(move |reader| reader.resolved(call)).await,
            _ => Ok(None),
        }
    }
}

/// Fails where a figure is more than can be counted.
pub(super) fn countable(field: &str, figure: Option<u64>) -> Result<(), RpcError> {
    match figure {
        Some(figure) if figure > STATED_MAX => Err(RpcError::new(
            ErrorCode::InvalidParams,
            format!("`{field}` is {figure}, more than can be counted (2^53)"),
        )
        .with_hint("state what one call used; several are several charges")),
        _ => Ok(()),
    }
}

/// Fails where usage cannot be that of a call.
pub(super) fn countable_usage(usage: Option<&Usage>) -> Result<(), RpcError> {
    let Some(usage) = usage else { return Ok(()) };
    countable("input", usage.input)?;
    countable("cache_read", usage.cache_read)?;
    countable("cache_write", usage.cache_write)?;
    countable("output", usage.output)?;
    countable("usage", Some(usage.total()))?;
    match (usage.reasoning, usage.output) {
        (Some(reasoning), output) if reasoning > output.unwrap_or(0) => {
            let text = "`reasoning` is a part of `output`, and cannot be more";
            Err(RpcError::new(ErrorCode::InvalidParams, text)
                .with_hint("add the tokens of reasoning to output"))
        }
        _ => Ok(()),
    }
}

/// Fails where no bottle of a name ever ran.
pub(super) fn check_bottle(book: &Book, name: &BottleName) -> Result<(), RpcError> {
    if book.bottles().get(name).is_some() {
        return Ok(());
    }
    let text = format!("there is no bottle named {name}");
    Err(RpcError::new(ErrorCode::NotFound, text)
        .with_hint("bb-ctl list shows all bottles; bb-ctl register makes one"))
}
