//! Tokens that were spent outside the proxy.

use bb_core::book::{ChargedOutside, Order, Remembered, Settlement, Spent, SpentOutside};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::ids::CallId;
use bb_proto::reply::{BudgetCharged, LedgerEntry};
use bb_proto::request::BudgetCharge;
use bb_proto::units::Tokens;
use bb_proto::usage::Usage;

use super::super::Api;
use super::closed;
use super::stated::{check_bottle, countable, countable_usage};

impl Api {
    pub(super) async fn budget_charge(
        &self,
        params: BudgetCharge,
        uid: u32,
    ) -> Result<BudgetCharged, RpcError> {
        let spent = spent(&params)?;
        let outside = SpentOutside {
            id: params.id,
            wire: self.wire_of(&params.provider, params.wire)?,
            bottle: params.bottle.clone(),
            provider: params.provider.clone(),
            model: params.model.clone().unwrap_or_default(),
            spent,
        };
        let order = Order {
            uid,
            why: params.why.clone(),
            dry_run: params.dry_run,
        };
        let id = params.id;
        let ledger = &self.parts().ledger;
        let known = ledger.look(move |book, _| book.sidecar_call(id)).await;
        let known = known.map_err(closed)?;
        let charged = if let Some(entry) = self.resolved_before(&known, id).await? {
            outside.charged_before(&remembered(&entry))?
        } else {
            let charged = ledger.act(move |book, now| {
                check_bottle(book, &outside.bottle)?;
                book.charge_outside(outside, &order, now)
            });
            charged.await.map_err(closed)??
        };
        Ok(answer(params, id, &charged))
    }
}

fn answer(params: BudgetCharge, id: CallId, charged: &ChargedOutside) -> BudgetCharged {
    BudgetCharged {
        id,
        bottle: params.bottle,
        provider: params.provider,
        charge: charged.charge,
        at: charged.at,
        already: charged.already,
        dry_run: params.dry_run,
    }
}

/// Reads how much was spent, which is said in one of two ways.
fn spent(params: &BudgetCharge) -> Result<Spent, RpcError> {
    countable_usage(params.usage.as_ref())?;
    countable("tokens", params.tokens.map(|tokens| tokens.0))?;
    match (params.usage, params.tokens) {
        (Some(usage), None) => Ok(Spent::Usage(usage)),
        (None, Some(tokens)) => Ok(Spent::Tokens(tokens)),
        _ => Err(RpcError::new(
            ErrorCode::InvalidParams,
            "how many tokens is said by `usage` or by `tokens`, one of the two",
        )
        .with_hint(r#"{"usage":{"input":900,"output":100}} or {"tokens":1000}"#)),
    }
}

/// Makes what the book would remember of an entry.
fn remembered(entry: &LedgerEntry) -> Remembered {
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    Remembered {
        bottle: entry.bottle.clone(),
        provider: entry.provider.clone(),
        admitted: None,
        settlement: Some(Settlement {
            usage: Usage {
                input: count(entry.usage.input),
                cache_read: count(entry.usage.cache_read),
                cache_write: count(entry.usage.cache_write),
                output: count(entry.usage.output),
                reasoning: count(entry.usage.reasoning),
            },
            charge: Tokens(count(Some(entry.charge)).unwrap_or(0)),
            cache_read: Tokens::ZERO,
            estimated: entry.estimated,
            ending: entry.ending,
            status: entry.status,
        }),
        overrun: entry.overrun,
        at: entry.at,
    }
}
