//! Orders about budgets, and the settings' rules.

use std::collections::BTreeSet;

use bb_proto::budget::{BudgetKey, Cap, Scope};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::BottleName;
use bb_proto::request::Expect;
use bb_proto::time::Timestamp;
use bb_proto::units::{TOKENS_MAX, Tokens};
use bb_proto::view::{Raise, Source};

use super::bottles::Order;
use super::closings::plain;
use super::{Book, Entry, Rules};
use crate::budget::{Budget, Budgets, Declared};

/// What an order did to a budget.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BudgetActed {
    /// The limit it had before.
    pub limit_before: Option<Tokens>,
    /// Bottles of which something was opened, or would be.
    pub opened: Vec<BottleName>,
    /// Bottles that were cut off, or would be.
    pub cut_off: Vec<BottleName>,
}

impl Book {
    /// Takes the settings' rules in place of those before.
    pub fn take_rules(&mut self, rules: Rules, now: Timestamp) {
        self.budgets.take_settings(rules.budgets.clone());
        self.bottles.take_manifests(rules.manifests.clone());
        self.rules = rules;
        self.limits_changed(now);
    }

    /// Fails with `conflict` where a budget is not any more what somebody saw.
    pub fn expect_budget(&self, key: &BudgetKey, expect: Option<&Expect>) -> Result<(), RpcError> {
        let Some(expect) = expect else { return Ok(()) };
        let of_run = match &key.scope {
            Scope::Launch(run) => Some(*run),
            _ => None,
        };
        let other_run = expect.run.is_some() && expect.run != of_run;
        let is_later = |revision| self.structure_revision() > revision;
        if other_run || expect.revision.is_some_and(is_later) {
            return Err(RpcError::new(
                ErrorCode::Conflict,
                "budgets changed since they were looked at",
            )
            .with_hint("look again, then repeat the order"));
        }
        Ok(())
    }

    /// Sets a budget that stands until it is unset.
    pub fn budget_set(
        &mut self,
        key: BudgetKey,
        limit: Tokens,
        cap: Cap,
        ceiling: bool,
        order: &Order,
        now: Timestamp,
    ) -> Result<BudgetActed, RpcError> {
        check_limit(limit)?;
        if matches!(key.scope, Scope::Launch(_)) {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                "a run's budget is given when it is launched",
            )
            .with_hint("raise it with budget.raise, or set one for its bottle"));
        }
        if ceiling && cap == Cap::Soft {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                "a soft budget blocks nothing, so it cannot be a ceiling",
            ));
        }
        let source = Source::Command { uid: order.uid };
        let declared = Declared {
            cap,
            ceiling,
            warn: self.rules.warn.clone(),
            ..Declared::hard(key, limit, source)
        };
        let key = declared.key.clone();
        let before = self.budgets.get(&key).map(Budget::limit);
        if order.dry_run {
            return Ok(self.foreseen(before, |budgets| budgets.set(declared)));
        }
        self.commit(Entry::BudgetSet(declared));
        let text = match before {
            Some(before) => format!("{} set to {limit}, from {before}", plain(&key)),
            None => format!("{} set to {limit}", plain(&key)),
        };
        Ok(self.budget_changed(&key, before, text, order, now))
    }

    /// Takes back what commands said of a budget.
    pub fn budget_unset(
        &mut self,
        key: &BudgetKey,
        order: &Order,
        now: Timestamp,
    ) -> Result<BudgetActed, RpcError> {
        let budget = self.budgets.get(key).ok_or_else(|| no_budget(key))?;
        if !self.budgets.is_commanded(key) {
            let hint = match &budget.declared.source {
                Source::Settings { line } => format!("it stands in settings.yml, line {line}"),
                _ => "it goes with the run it was launched with".to_owned(),
            };
            return Err(RpcError::new(
                ErrorCode::WrongState,
                format!("{} was not set by command", plain(key)),
            )
            .with_hint(hint));
        }
        let before = Some(budget.limit());
        if order.dry_run {
            return Ok(self.foreseen(before, |budgets| budgets.unset(key)));
        }
        self.commit(Entry::BudgetUnset(key.clone()));
        let text = format!("{} unset", plain(key));
        Ok(self.budget_changed(key, before, text, order, now))
    }

    /// Raises a budget for good.
    pub fn budget_raise(
        &mut self,
        key: &BudgetKey,
        by: Tokens,
        order: &Order,
        now: Timestamp,
    ) -> Result<BudgetActed, RpcError> {
        let budget = self.budgets.get(key).ok_or_else(|| no_budget(key))?;
        if by.0 == 0 {
            return Err(
                RpcError::new(ErrorCode::InvalidParams, "a raise by nothing")
                    .with_hint("give at least one token"),
            );
        }
        let before = budget.limit();
        check_limit(before.plus(by))?;
        let raise = Raise {
            by,
            at: now,
            uid: order.uid,
            why: order.why.clone(),
        };
        if order.dry_run {
            return Ok(self.foreseen(Some(before), |budgets| budgets.raise(key, raise)));
        }
        self.commit(Entry::Raised(key.clone(), raise));
        let text = format!("{} raised from {before} to {}", plain(key), before.plus(by));
        Ok(self.budget_changed(key, Some(before), text, order, now))
    }

    fn budget_changed(
        &mut self,
        key: &BudgetKey,
        limit_before: Option<Tokens>,
        text: String,
        order: &Order,
        now: Timestamp,
    ) -> BudgetActed {
        let mut event = self.event(now, EventKind::BudgetChanged, Actor::Operator, text);
        event.budget = Some(key.clone());
        event.uid = Some(order.uid);
        event.why.clone_from(&order.why);
        self.happened(event);
        let (opened, cut_off) = self.limits_changed(now);
        BudgetActed {
            limit_before,
            opened,
            cut_off,
        }
    }

    /// Opens and closes what the limits now say; returns the bottles that were opened, and those
    /// that were cut off.
    fn limits_changed(&mut self, now: Timestamp) -> (Vec<BottleName>, Vec<BottleName>) {
        self.touch_all();
        let opened = self.reopen(None, now);
        let judged_from = self.outbox.entries.len();
        self.judge_all(now);
        let judged = self.outbox.entries.iter().skip(judged_from);
        let cut_off = judged.filter_map(|entry| match entry {
            Entry::Happened(event) if event.kind == EventKind::Cutoff => event.bottle.clone(),
            _ => None,
        });
        let cut_off: BTreeSet<BottleName> = cut_off.collect();
        self.admit_waiting(now);
        (opened, cut_off.into_iter().collect())
    }

    /// Returns what a change of the budgets would open and cut off.
    fn foreseen(
        &self,
        limit_before: Option<Tokens>,
        change: impl FnOnce(&mut Budgets),
    ) -> BudgetActed {
        let mut after = self.budgets.clone();
        change(&mut after);
        BudgetActed {
            limit_before,
            opened: self.would_open(&after),
            cut_off: self.would_close(&after).into_iter().collect(),
        }
    }
}

pub(super) fn check_limit(limit: Tokens) -> Result<(), RpcError> {
    if limit.0 == 0 {
        return Err(RpcError::new(
            ErrorCode::InvalidParams,
            "a budget of zero lets nothing pass",
        )
        .with_hint("give at least one token; to close a bottle: bb-ctl cutoff NAME"));
    }
    if limit.0 > TOKENS_MAX {
        return Err(RpcError::new(
            ErrorCode::InvalidParams,
            format!("{limit} is more tokens than a budget can hold"),
        )
        .with_hint("the largest limit is 2^53"));
    }
    Ok(())
}

fn no_budget(key: &BudgetKey) -> RpcError {
    RpcError::new(ErrorCode::NotFound, format!("there is no budget {key}"))
        .with_hint("bb-ctl budget list shows all; bb-ctl budget set makes one")
}
