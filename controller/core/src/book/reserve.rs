//! Admission: may this call go, must it wait, or is it refused?

use bb_proto::budget::{BudgetKey, Gate, Unbounded};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::ClosedBy;

use super::admission::{Admission, Admitted, Ask, Refusal, RefusalReason};
use super::exact::{Exactness, IMPATIENT_AFTER, Most};
use super::queue::Waiter;
use super::{Account, Book, CallFacts, Effect, Entry, Reservation, Terms};
use crate::bottle::Bottle;
use crate::budget::{Budget, Path};
use crate::estimate::Estimate;

/// What a call costs its budgets, as far as that is expected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// Its input alone, which cannot be cut.
    pub(super) input: Tokens,
    /// All of it.
    pub(super) all: Tokens,
    /// The most that it can be; none where nothing bounds it.
    pub(super) most: Option<Most>,
    /// How it is admitted where a budget does not say.
    pub(super) gate: Gate,
    /// What becomes of it where nothing bounds it and a budget does not say.
    pub(super) unbounded: Unbounded,
}

/// What a call is granted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    pub(super) reserved: Tokens,
    pub(super) terms: Terms,
}

/// What one look at the budgets says.
pub(super) enum Look {
    Fits(Grant),
    Wait,
    Refuse(Refusal),
    Exhausted(BudgetKey, Refusal),
}

impl Book {
    /// Decides on a call that asks to be admitted.
    ///
    /// A call that is admitted has tokens set aside until it is settled or voided. An id that is
    /// open or waits gets the answer it had.
    pub fn reserve(&mut self, ask: Ask, now: Timestamp) -> Admission {
        self.turn(now);
        if let Some(answer) = self.answered(&ask) {
            return answer;
        }
        if let Some(refusal) = self.refusal_of_bottle(&ask) {
            self.count_refusal(&ask.bottle, &ask.provider, refusal.budget.as_ref(), now);
            return Admission::Refused(refusal);
        }
        let path = self.bottles.path(&ask.bottle);
        let binding = path.binding(&self.budgets, &ask.provider);
        if ask.background && !binding.is_empty() {
            let refusal = Refusal::plain(RefusalReason::Background);
            self.count_refusal(&ask.bottle, &ask.provider, None, now);
            return Admission::Refused(refusal);
        }
        let estimate = self.estimate_of(&ask);
        match self.look(&binding, self.need(&ask, estimate)) {
            Look::Fits(grant) if !self.queue.is_behind(&ask.bottle, &binding) => {
                Admission::Admitted(self.admit(ask, &path, grant, estimate, now))
            }
            Look::Fits(_) | Look::Wait => {
                let binding = binding.into_iter().map(|b| b.key().clone()).collect();
                self.wait(ask, binding, now)
            }
            Look::Refuse(refusal) => {
                self.count_refusal(&ask.bottle, &ask.provider, refusal.budget.as_ref(), now);
                Admission::Refused(refusal)
            }
            Look::Exhausted(key, refusal) => {
                self.exhaust(&key, Some((&ask.bottle, &ask.provider)), now);
                self.count_refusal(&ask.bottle, &ask.provider, Some(&key), now);
                Admission::Refused(refusal)
            }
        }
    }

    /// Takes back a call that waits and no longer wants to.
    pub fn withdraw(&mut self, bottle: &BottleName, call: CallId, now: Timestamp) {
        if self.queue.withdraw(bottle, call).is_some() {
            self.touch_bottle(bottle);
            self.admit_waiting(now);
        }
    }

    /// Lets go of every call that waits: whoever asked for it is told elsewhere.
    pub fn turn_away_waiting(&mut self) {
        for bottle in self.queue.clear() {
            self.touch_bottle(&bottle);
        }
    }

    /// Refuses the calls whose wait is over, turns the windows that are, and charges the calls of
    /// sidecars that are not heard of.
    pub fn tick(&mut self, now: Timestamp) {
        self.turn(now);
        self.rest_rates(now);
        if self.queue.next_deadline().is_some_and(|end| end <= now) {
            // It may go with less than it waited for.
            self.admit_waiting(now);
        }
        let expired = self.queue.expire(now);
        for waiter in &expired {
            let refusal = self.refusal_of_wait(waiter);
            let ask = &waiter.ask;
            self.count_refusal(&ask.bottle, &ask.provider, refusal.budget.as_ref(), now);
            self.effect(Effect::Refuse(waiter.ask.call, refusal));
        }
        if !expired.is_empty() {
            self.admit_waiting(now);
        }
        self.give_up_silent(now);
    }

    /// Returns when the next wait is over, the next window turns, the next raise ends, or the next
    /// sidecar's call is given up.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.queue.next_deadline(),
            self.next_turn(),
            self.next_rest(),
            self.sidecars.next_due(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Looks again at the calls that wait, one of each bottle in turn, until none fits.
    ///
    /// Room only shrinks while it is given away, so a bottle of which none fits is done.
    pub(super) fn admit_waiting(&mut self, now: Timestamp) {
        if self.queue.is_empty() {
            return;
        }
        self.bind_waiting();
        let mut bottles = self.queue.turn();
        while !bottles.is_empty() {
            bottles.retain(|bottle| {
                let calls = self.queue.first_of(bottle);
                calls.into_iter().any(|call| self.serve(bottle, call, now))
            });
        }
    }

    /// Admits or refuses a call that waits; returns whether it no longer does.
    fn serve(&mut self, bottle: &BottleName, call: CallId, now: Timestamp) -> bool {
        let Some(waiter) = self.queue.get(bottle, call) else {
            return false;
        };
        let (ask, keys) = (&waiter.ask, waiter.binding.iter());
        let binding: Vec<_> = keys.filter_map(|key| self.budgets.get(key)).collect();
        let estimate = self.estimate_of(ask);
        let refusal = self.refusal_of_bottle(ask).map(Look::Refuse);
        let mut need = self.need(ask, estimate);
        let so_far = now.since(waiter.since);
        if so_far.0 >= self.rules.wait.0.div_euclid(IMPATIENT_AFTER) {
            need.most = need.most.map(Most::impatient);
        }
        match refusal.unwrap_or_else(|| self.look(&binding, need)) {
            Look::Wait => return false,
            Look::Fits(grant) => {
                if let Some(Waiter { ask, .. }) = self.queue.serve(bottle, call) {
                    let path = self.bottles.path(bottle);
                    let admitted = self.admit(ask, &path, grant, estimate, now);
                    self.effect(Effect::Admit(admitted));
                }
            }
            Look::Refuse(refusal) => self.serve_refusal(bottle, call, refusal, now),
            Look::Exhausted(key, refusal) => {
                let provider = ask.provider.clone();
                self.exhaust(&key, Some((bottle, &provider)), now);
                self.serve_refusal(bottle, call, refusal, now);
            }
        }
        true
    }

    fn serve_refusal(&mut self, bottle: &BottleName, call: CallId, why: Refusal, now: Timestamp) {
        if let Some(Waiter { ask, .. }) = self.queue.serve(bottle, call) {
            self.count_refusal(bottle, &ask.provider, why.budget.as_ref(), now);
        }
        self.effect(Effect::Refuse(call, why));
    }

    /// Finds anew what binds the calls that wait, where budgets or ancestry changed.
    fn bind_waiting(&mut self) {
        let structure = self.structure();
        if self.queue.bound_at == structure {
            return;
        }
        self.queue.bound_at = structure;
        for waiter in self.queue.iter_mut() {
            let path = self.bottles.path(&waiter.ask.bottle);
            let binding = path.binding(&self.budgets, &waiter.ask.provider);
            waiter.binding = binding.into_iter().map(|b| b.key().clone()).collect();
        }
    }

    fn answered(&self, ask: &Ask) -> Option<Admission> {
        if let Some(open) = self.open.get(ask.call) {
            return Some(Admission::Admitted(open.admitted()));
        }
        let waiter = self.queue.get(&ask.bottle, ask.call);
        waiter.map(|_| Admission::Waiting)
    }

    fn wait(&mut self, ask: Ask, binding: Vec<BudgetKey>, now: Timestamp) -> Admission {
        self.touch_bottle(&ask.bottle);
        let deadline = now.plus(ask.wait(self.rules.wait));
        self.queue.push(Waiter {
            ask,
            binding,
            since: now,
            deadline,
        });
        Admission::Waiting
    }

    fn refusal_of_wait(&self, waiter: &Waiter) -> Refusal {
        let full = waiter
            .binding
            .iter()
            .filter_map(|key| self.budgets.get(key))
            .max_by_key(|b| {
                let sum = self.sum_of(b.key());
                sum.balance
                    .posted
                    .plus(sum.aside.pending)
                    .percent_of(b.limit())
            });
        match full {
            Some(budget) => {
                let refusal = self.refused_by(budget);
                Refusal {
                    reason: RefusalReason::NoRoom,
                    ..refusal
                }
            }
            None => Refusal::plain(RefusalReason::NoRoom),
        }
    }

    fn refusal_of_bottle(&self, ask: &Ask) -> Option<Refusal> {
        let bottle = self.bottles.get(&ask.bottle);
        let Some(bottle) = bottle.filter(|b| b.run == ask.run && b.is_running()) else {
            return Some(Refusal::plain(RefusalReason::Ended));
        };
        self.refusal_of_closed(bottle, &ask.provider)
    }

    /// Returns why nothing of a bottle goes to a provider, where its way is closed.
    pub(super) fn refusal_of_closed(
        &self,
        bottle: &Bottle,
        provider: &ProviderKey,
    ) -> Option<Refusal> {
        if bottle.stop_ordered_at.is_some() {
            return Some(Refusal::plain(RefusalReason::Operator));
        }
        let closing = bottle.closing(provider)?;
        Some(match &closing.by {
            ClosedBy::Operator => Refusal::plain(RefusalReason::Operator),
            ClosedBy::Budget(key) => match self.budgets.get(key) {
                Some(budget) => self.refused_by(budget),
                None => Refusal::plain(RefusalReason::Budget),
            },
        })
    }

    fn estimate_of(&self, ask: &Ask) -> Estimate {
        self.estimator
            .estimate(ask.called(), &ask.input, ask.output_max, ask.choices)
    }

    fn need(&self, ask: &Ask, estimate: Estimate) -> Need {
        let weights = self.weights(&ask.provider);
        let input = weights.charge_input(estimate.input);
        Need {
            input,
            all: input.plus(weights.charge_output(estimate.output)),
            most: self.most(ask, estimate),
            gate: self.gate_of_bottle(&ask.bottle),
            unbounded: self.unbounded_of_bottle(&ask.bottle),
        }
    }

    /// Looks at every budget that binds the call; the first that does not let it pass decides.
    pub(super) fn look(&self, binding: &[&Budget], need: Need) -> Look {
        if let Some(refusal) = self.refusal_of_size(binding, need.all) {
            return Look::Refuse(refusal);
        }
        let terms = match self.exactness(binding, &need) {
            Exactness::None => Terms::Estimate,
            Exactness::Bounded(most) => return self.look_exactly(binding, need.gate, &most),
            Exactness::Unbounded => Terms::Unbounded,
            Exactness::Refused(refusal) => return Look::Refuse(refusal),
        };
        let gate = need.gate;
        let Need {
            input, all: need, ..
        } = need;
        let mut reserved = Tokens::ZERO;
        let mut cap = Tokens(u64::MAX);
        let mut waits = false;
        for budget in binding {
            let sum = self.sum_of(budget.key());
            let (posted, pending) = (sum.balance.posted, sum.aside.pending);
            let limit = budget.limit();
            let refusal = || self.refused_by(budget);
            if posted >= limit {
                return Look::Exhausted(budget.key().clone(), refusal());
            }
            if budget.declared.gate.unwrap_or(gate) == Gate::Off {
                continue;
            }
            reserved = need;
            if posted.plus(pending).plus(need) <= limit {
                continue;
            }
            let input_fits = posted.plus(input) <= limit;
            match (sum.aside.calls == 0, input_fits) {
                // Alone and its input fits: it goes, and is cut where its output crosses.
                (true, true) => cap = cap.min(limit.minus(posted)),
                (true, false) => return Look::Exhausted(budget.key().clone(), refusal()),
                (false, true) => waits = true,
                (false, false) => {
                    let reason = RefusalReason::NoRoom;
                    return Look::Refuse(Refusal {
                        reason,
                        ..refusal()
                    });
                }
            }
        }
        if waits {
            Look::Wait
        } else {
            let reserved = reserved.min(cap);
            Look::Fits(Grant { reserved, terms })
        }
    }

    /// Returns the refusal of a call that is expected to cost more than a budget lets one cost; a
    /// budget that is spent says that first.
    fn refusal_of_size(&self, binding: &[&Budget], expected: Tokens) -> Option<Refusal> {
        let is_above = |budget: &&&Budget| {
            let most = budget.declared.per_call;
            most.is_some_and(|most| expected > most)
        };
        let budget = binding.iter().find(is_above)?;
        let is_spent = |budget: &&Budget| {
            let used = self.sum_of(budget.key()).balance.posted;
            used >= budget.limit()
        };
        (!binding.iter().any(is_spent)).then(|| Refusal {
            reason: RefusalReason::PerCall,
            limit: budget.declared.per_call,
            ..self.refused_by(budget)
        })
    }

    fn admit(
        &mut self,
        ask: Ask,
        path: &Path,
        Grant { reserved, terms }: Grant,
        estimate: Estimate,
        now: Timestamp,
    ) -> Admitted {
        let facts = CallFacts {
            call: ask.call,
            bottle: ask.bottle,
            run: ask.run,
            agent: path.agent.clone(),
            provider: ask.provider,
            model: ask.model,
            wire: ask.wire,
            started_at: self.windows.latest(),
            accounts: Account::of(path),
            terms,
        };
        self.begin_blocks(&facts);
        let estimate = terms.expected(estimate);
        let admitted = Admitted {
            call: facts.call,
            reserved,
            estimate,
            terms,
        };
        self.commit(Entry::Reserved(Reservation {
            facts,
            reserved,
            estimate,
            input: ask.input,
        }));
        if ask.sidecar.is_some() {
            self.sidecars.begin(admitted.call, now);
        }
        admitted
    }
}
