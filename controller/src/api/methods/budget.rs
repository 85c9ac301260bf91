//! Budgets: listed, set, unset, raised.

use bb_core::book::{Book, BudgetActed, Check, Lasts, Order, RefusalReason};
use bb_core::budget::Declared;
use bb_proto::budget::{BudgetKey, ProviderSelector};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::reply::{BudgetChanged, BudgetChecked, Budgets, Explanation, Would};
use bb_proto::request::{
    BudgetCheck, BudgetExplain, BudgetList, BudgetRaise, BudgetReset, BudgetSet, BudgetUnset,
    Expect,
};
use bb_proto::time::Timestamp;
use bb_proto::view::Source;

use super::super::Api;
use super::super::view::with_newest_raises;
use super::bottle::detail;
use super::closed;

impl Api {
    pub(super) async fn budget_list(&self, params: BudgetList) -> Result<Budgets, RpcError> {
        let looked = self
            .parts()
            .ledger
            .look(move |book, now| {
                let budgets = match &params.bottle {
                    None => book.budget_views(now),
                    Some(name) => detail(book, name, now)?.budgets,
                };
                Ok(Budgets {
                    revision: book.revision(),
                    budgets: budgets.into_iter().map(with_newest_raises).collect(),
                })
            })
            .await;
        looked.map_err(closed)?
    }

    pub(super) async fn budget_explain(
        &self,
        params: BudgetExplain,
    ) -> Result<Explanation, RpcError> {
        self.check_provider(params.provider.as_ref())?;
        let looked = self
            .parts()
            .ledger
            .look(move |book, now| {
                let BudgetExplain { bottle, provider } = params;
                // Whether there is such a bottle.
                detail(book, &bottle, now)?;
                let mut providers = book.explain(&bottle, provider.as_ref(), now);
                for budget in providers.iter_mut().flat_map(|it| &mut it.budgets) {
                    budget.budget = with_newest_raises(budget.budget.clone());
                }
                Ok(Explanation {
                    revision: book.revision(),
                    providers,
                    bottle,
                })
            })
            .await;
        looked.map_err(closed)?
    }

    pub(super) async fn budget_check(
        &self,
        params: BudgetCheck,
    ) -> Result<BudgetChecked, RpcError> {
        self.check_provider(Some(&params.provider))?;
        if params.tokens.0 == 0 {
            let text = "a call costs at least one token";
            return Err(RpcError::new(ErrorCode::InvalidParams, text));
        }
        let looked = self
            .parts()
            .ledger
            .look(move |book, now| {
                // Whether there is such a bottle.
                detail(book, &params.bottle, now)?;
                Ok(checked(book.check(
                    &params.bottle,
                    &params.provider,
                    params.tokens,
                )))
            })
            .await;
        looked.map_err(closed)?
    }

    pub(super) async fn budget_set(
        &self,
        params: BudgetSet,
        uid: u32,
    ) -> Result<BudgetChanged, RpcError> {
        if let ProviderSelector::One(provider) = &params.budget.provider {
            self.check_provider(Some(provider))?;
        }
        let order = Order {
            uid,
            why: params.why.clone(),
            dry_run: params.dry_run,
        };
        let declared = Declared {
            cap: params.cap,
            ceiling: params.ceiling,
            per_call: params.per_call,
            ..Declared::hard(params.budget.clone(), params.limit, Source::Command { uid })
        };
        self.change(
            params.budget,
            params.expect,
            order,
            move |book, order, now| book.budget_set(declared, order, now),
        )
        .await
    }

    pub(super) async fn budget_unset(
        &self,
        params: BudgetUnset,
        uid: u32,
    ) -> Result<BudgetChanged, RpcError> {
        let order = Order {
            uid,
            why: params.why.clone(),
            dry_run: params.dry_run,
        };
        let BudgetUnset { budget, expect, .. } = params;
        self.change(budget.clone(), expect, order, move |book, order, now| {
            book.budget_unset(&budget, order, now)
        })
        .await
    }

    pub(super) async fn budget_raise(
        &self,
        params: BudgetRaise,
        uid: u32,
    ) -> Result<BudgetChanged, RpcError> {
        let order = Order {
            uid,
            why: params.why.clone(),
            dry_run: params.dry_run,
        };
        let lasts = match (params.for_ms, params.once) {
            (None, false) => Lasts::ForGood,
            (Some(time), false) => Lasts::For(time),
            (None, true) => Lasts::Once,
            (Some(_), true) => {
                let text = "a raise lasts for a time or until the window turns, not both";
                return Err(
                    RpcError::new(ErrorCode::InvalidParams, text).with_hint("give for_ms or once")
                );
            }
        };
        let BudgetRaise {
            budget, by, expect, ..
        } = params;
        self.change(budget.clone(), expect, order, move |book, order, now| {
            book.budget_raise(&budget, by, lasts, order, now)
        })
        .await
    }

    pub(super) async fn budget_reset(
        &self,
        params: BudgetReset,
        uid: u32,
    ) -> Result<BudgetChanged, RpcError> {
        let order = Order {
            uid,
            why: params.why.clone(),
            dry_run: params.dry_run,
        };
        let BudgetReset { budget, expect, .. } = params;
        self.change(budget.clone(), expect, order, move |book, order, now| {
            book.budget_reset(&budget, order, now)
        })
        .await
    }

    async fn change(
        &self,
        key: BudgetKey,
        expect: Option<Expect>,
        order: Order,
        change: impl FnOnce(&mut Book, &Order, Timestamp) -> Result<BudgetActed, RpcError>
        + Send
        + 'static,
    ) -> Result<BudgetChanged, RpcError> {
        let acted = self
            .parts()
            .ledger
            .act(move |book, now| {
                book.expect_budget(&key, expect.as_ref())?;
                let acted = change(book, &order, now)?;
                Ok(BudgetChanged {
                    dry_run: order.dry_run,
                    budget: book.budget_view_of(&key, now).map(with_newest_raises),
                    limit_before: acted.limit_before,
                    opened: acted.opened,
                    cut_off: acted.cut_off,
                })
            })
            .await;
        acted.map_err(closed)?
    }
}

fn checked(check: Check) -> BudgetChecked {
    let (would, refusal) = match check {
        Check::Fits => (Would::Pass, None),
        Check::Waits => (Would::Wait, None),
        Check::Refused(refusal) => {
            let would = match refusal.reason {
                RefusalReason::Operator => Would::BeCutOff,
                RefusalReason::Ended => Would::HaveEnded,
                RefusalReason::Budget
                | RefusalReason::NoRoom
                | RefusalReason::PerCall
                | RefusalReason::Background
                | RefusalReason::Unbounded => Would::BeOverBudget,
            };
            (would, Some(refusal))
        }
    };
    BudgetChecked {
        would,
        budget: refusal.as_ref().and_then(|it| it.budget.clone()),
        limit: refusal.as_ref().and_then(|it| it.limit),
        used: refusal.as_ref().and_then(|it| it.used),
    }
}
