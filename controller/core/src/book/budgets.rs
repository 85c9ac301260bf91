//! Orders about budgets, and the settings' rules.

use std::collections::BTreeSet;

use bb_proto::budget::{BudgetKey, Cap, Scope, Window};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::BottleName;
use bb_proto::request::Expect;
use bb_proto::time::{Millis, Timestamp};
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

/// How long a raise lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// For good.
    ForGood,
    /// So long.
    For(Millis),
    /// Until the budget's window turns.
    Once,
}

impl Book {
    /// Takes the settings' rules in place of those before.
    pub fn take_rules(&mut self, rules: Rules, now: Timestamp) {
        self.turn(now);
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

    /// Sets a budget that stands until it is unset; it warns as the settings say.
    pub fn budget_set(
        &mut self,
        declared: Declared,
        order: &Order,
        now: Timestamp,
    ) -> Result<BudgetActed, RpcError> {
        self.turn(now);
        let (limit, cap) = (declared.limit, declared.cap);
        check_limit(limit)?;
        if matches!(declared.key.scope, Scope::Launch(_)) {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                "a run's budget is given when it is launched",
            )
            .with_hint("raise it with budget.raise, or set one for its bottle"));
        }
        if declared.ceiling && cap == Cap::Soft {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                "a soft budget blocks nothing, so it cannot be a ceiling",
            ));
        }
        if declared.per_call.is_some() && cap == Cap::Soft {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                "a soft budget blocks nothing, so it has no limit of one call",
            ));
        }
        if let Some(per_call) = declared.per_call {
            check_limit(per_call)?;
        }
        let declared = Declared {
            warn: self.rules.warn.clone(),
            source: Source::Command { uid: order.uid },
            ..declared
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
        self.turn(now);
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

    /// Raises a budget, for as long as is said.
    pub fn budget_raise(
        &mut self,
        key: &BudgetKey,
        by: Tokens,
        lasts: Lasts,
        order: &Order,
        now: Timestamp,
    ) -> Result<BudgetActed, RpcError> {
        self.turn(now);
        let budget = self.budgets.get(key).ok_or_else(|| no_budget(key))?;
        if by.0 == 0 {
            return Err(
                RpcError::new(ErrorCode::InvalidParams, "a raise by nothing")
                    .with_hint("give at least one token"),
            );
        }
        let before = budget.limit();
        check_limit(before.plus(by))?;
        let until = self.until(key, lasts)?;
        let raise = Raise {
            by,
            at: now,
            uid: order.uid,
            why: order.why.clone(),
            until,
        };
        if order.dry_run {
            return Ok(self.foreseen(Some(before), |budgets| budgets.raise(key, raise)));
        }
        self.commit(Entry::Raised(key.clone(), raise));
        let text = format!("{} raised from {before} to {}", plain(key), before.plus(by));
        Ok(self.budget_changed(key, Some(before), text, order, now))
    }

    /// Returns when a raise of a budget ends.
    fn until(&self, key: &BudgetKey, lasts: Lasts) -> Result<Option<Timestamp>, RpcError> {
        let refused = |text: String, hint: &str| {
            Err(RpcError::new(ErrorCode::InvalidParams, text).with_hint(hint))
        };
        match lasts {
            Lasts::ForGood => Ok(None),
            Lasts::For(Millis(0)) => refused(
                "a raise for no time".to_owned(),
                "give a time, such as 2h, or none for good",
            ),
            Lasts::For(time) => Ok(Some(self.windows.latest().plus(time))),
            Lasts::Once => match (self.span_of(key), key.window) {
                (Some(span), _) => Ok(Some(span.until)),
                (None, Window::Block(_)) => refused(
                    format!("no block of {} runs now", plain(key)),
                    "raise it once a call has begun one, or for a time",
                ),
                (None, _) => refused(
                    format!("{} has no window that turns", plain(key)),
                    "raise it for good, or for a time",
                ),
            },
        }
    }

    /// Begins a budget's count anew, at nothing.
    pub fn budget_reset(
        &mut self,
        key: &BudgetKey,
        order: &Order,
        now: Timestamp,
    ) -> Result<BudgetActed, RpcError> {
        self.turn(now);
        let budget = self.budgets.get(key).ok_or_else(|| no_budget(key))?;
        let limit_before = Some(budget.limit());
        let (reset, used) = (self.reset_now(key), self.sum_of(key).balance.posted);
        if order.dry_run {
            // It gives as much room as a raise by what was counted.
            let as_raise = Raise {
                by: used,
                at: now,
                uid: order.uid,
                why: None,
                until: None,
            };
            return Ok(self.foreseen(limit_before, |budgets| budgets.raise(key, as_raise)));
        }
        self.commit(Entry::Reset(key.clone(), reset));
        let text = format!("{} reset: {used} no longer count", plain(key));
        Ok(self.budget_changed(key, limit_before, text, order, now))
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
        self.find_blocks();
        self.find_windows();
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
