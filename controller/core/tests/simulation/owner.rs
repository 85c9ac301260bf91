//! The owner of the ledger, simulated: rounds, steps, crashes, starts.

use std::collections::BTreeMap;

use bb_core::book::{Account, Book, CLOCK_BACK_MAX, Resolved};
use bb_core::ledger::{Answer, Command, Ledger, Step};
use bb_proto::ids::{BottleName, RunId};
use bb_proto::time::{Millis, Timestamp};

use super::call::{Stage, Told, number};
use super::laws::{Broken, law};
use super::operator::Order;
use super::world::World;

/// A letter to the owner; the answers go to a call's number, or an order's.
#[derive(Debug)]
pub(crate) enum Letter {
    Call(Command<u64, u64>),
    Order(Order),
}

type Done = Step<u64, u64, u64>;

/// All that a crash loses.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) ledger: Ledger<u64, u64, u64>,
    pub(crate) letters: Vec<Letter>,
    /// The time of the round that is under way.
    pub(crate) round: Option<Timestamp>,
    pub(crate) is_starting: bool,
    /// The time that the clock showed last.
    pub(crate) shown: Timestamp,
    /// The latest time that was seen: what windows go by.
    pub(crate) latest: Timestamp,
    /// Whose run a token means.
    pub(crate) tokens: BTreeMap<String, (BottleName, RunId)>,
}

/// Returns the latest time that is seen at a start: a clock that was put back meanwhile shows less
/// than what was put down.
fn seen_at_a_start(left_at: Timestamp, now: Timestamp) -> Timestamp {
    let left_at = if now < left_at {
        left_at.plus(Millis(1_000))
    } else {
        left_at
    };
    if left_at.since(now) > CLOCK_BACK_MAX {
        return now;
    }
    left_at.max(now)
}

impl World {
    /// Starts the controller with what the disk has; it serves once what was open is charged.
    pub(crate) fn start(&mut self) {
        self.say(|_| "start".to_owned());
        let rows = &self.disk.rows;
        let book = Book::restore(rows.saved(), self.rules(), self.now);
        let mut ledger = Ledger::new(book, rows.next_entry());
        ledger.recover(self.now);
        self.owner = Some(Owner {
            ledger,
            letters: Vec::new(),
            round: Some(self.now),
            is_starting: true,
            shown: self.now,
            latest: seen_at_a_start(rows.left_at(), self.now),
            tokens: BTreeMap::new(),
        });
    }

    /// Ends the controller without a warning, with or without the power of its host.
    pub(crate) fn crash(&mut self, loses_power: bool) -> Result<(), Broken> {
        self.say(|_| format!("crash, power lost: {loses_power}"));
        self.counts.crashes += 1;
        self.jumped = 0;
        self.owner = None;
        if loses_power {
            self.disk.lose_power(&mut self.random);
        }
        for (number, call) in std::mem::take(&mut self.calls) {
            if call.stage == Stage::Flowing && self.random.one_in(2) {
                // The provider goes on until it sees that nobody listens.
                self.provider.of(call.id).output += 1 + self.random.number(50);
            }
            self.say(|_| format!("  call {number} is gone"));
        }
        self.nothing_said_is_lost(loses_power)
    }

    /// Does the owner's next step, or begins a round.
    pub(crate) fn owner_step(&mut self) -> Result<(), Broken> {
        let Some(owner) = &mut self.owner else {
            self.start();
            return Ok(());
        };
        let Some(now) = owner.round else {
            self.begin_round();
            return Ok(());
        };
        let step = owner.ledger.next(now);
        if let Some(step) = step {
            return self.carry_out(step, now);
        }
        owner.round = None;
        if std::mem::take(&mut owner.is_starting) {
            self.after_a_start()?;
        }
        self.at_rest()
    }

    fn begin_round(&mut self) {
        let alone = self.random.one_in(2);
        let jumped = std::mem::take(&mut self.jumped);
        let now = self.clock(jumped != 0);
        let Some(owner) = &mut self.owner else {
            return;
        };
        let mut letters = std::mem::take(&mut owner.letters);
        // A caller that finds that nobody waits has its own letter read before those that were left.
        let is_left = |letter: &Letter| matches!(letter, Letter::Call(Command::Flowed { .. }));
        if alone
            && let Some((Letter::Call(Command::Reserve { .. }), left)) = letters.split_last()
            && left.iter().all(is_left)
        {
            let asked = letters.pop();
            owner.letters = std::mem::replace(&mut letters, asked.into_iter().collect());
        }
        owner.round = Some(now);
        self.say(|_| format!("round of {} letters", letters.len()));
        if jumped != 0 {
            let jump = |book: &mut Book| book.clock_jumped(jumped, now);
            self.ledger().decide(jump);
        }
        for letter in letters {
            match letter {
                Letter::Call(command) => self.tell(command, now),
                Letter::Order(order) => self.give(order, now),
            }
        }
        self.ledger().tick(now);
    }

    fn tell(&mut self, command: Command<u64, u64>, now: Timestamp) {
        self.say(|_| format!("  told {command:?}"));
        let (of, told) = match &command {
            Command::Reserve { ask, .. } => (ask.call, Told::Waits),
            Command::Withdraw { call, .. }
            | Command::Void { call, .. }
            | Command::Settle { call, .. } => (*call, Told::Nothing),
            Command::Flowed { .. } | Command::Amend { .. } => {
                return self.ledger().tell(command, now);
            }
        };
        if let Some(call) = self.calls.get_mut(&number(of)) {
            call.told = told;
            if call.stage == Stage::Leaving && told == Told::Nothing {
                self.calls.remove(&number(of));
            }
        }
        self.ledger().tell(command, now);
    }

    pub(crate) fn ledger(&mut self) -> &mut Ledger<u64, u64, u64> {
        let owner = self.owner.as_mut().expect("it is asked where it runs");
        &mut owner.ledger
    }

    fn carry_out(&mut self, step: Done, now: Timestamp) -> Result<(), Broken> {
        match step {
            Step::Write => self.write(now),
            Step::Reopen => {
                let group = self.ledger().unwritten().clone();
                let written = self.commit(&group)?;
                self.say(|_| format!("reopen: {written:?}"));
                self.ledger().reopened(written.is_ok(), now);
                Ok(())
            }
            Step::Answer(answer) => self.answer(answer, now),
            Step::Cut { call, reason } => {
                self.say(|_| format!("cut {} {reason:?}", number(call)));
                if let Some(call) = self.calls.get_mut(&number(call)) {
                    call.is_cut = true;
                }
                Ok(())
            }
            Step::TokenIssued {
                token, bottle, run, ..
            } => {
                if let Some(owner) = &mut self.owner {
                    owner.tokens.insert(token, (bottle, run));
                }
                Ok(())
            }
            Step::TokenRevoked(token) => {
                if let Some(owner) = &mut self.owner {
                    owner.tokens.remove(&token);
                }
                Ok(())
            }
            Step::Happened(event) => {
                self.say(|_| format!("happened: {}", event.text));
                Ok(())
            }
            Step::Alarm(_) | Step::Opened => Ok(()),
            Step::Closed { .. } => {
                self.counts.closed += 1;
                Ok(())
            }
        }
    }

    fn write(&mut self, now: Timestamp) -> Result<(), Broken> {
        let group = self.ledger().unwritten().clone();
        let written = self.commit(&group)?;
        self.say(|_| format!("write {} entries: {written:?}", group.entries.len()));
        let is_starting = self.owner.as_ref().is_some_and(|owner| owner.is_starting);
        if is_starting && written.is_err() {
            // It does not start, and says so.
            self.owner = None;
            return Ok(());
        }
        self.ledger().written(written, now);
        Ok(())
    }

    fn answer(&mut self, answer: Answer<u64, u64, u64>, now: Timestamp) -> Result<(), Broken> {
        self.say(|_| format!("answer {answer:?}"));
        match answer {
            Answer::Admitted { to, admitted } => {
                let closed = self.ledger().closed_since();
                law(closed.is_none(), "a closed ledger admits nobody", || {
                    format!("{admitted:?}")
                })?;
                match self.calls.get_mut(&to) {
                    Some(call) if call.stage == Stage::Asking => {
                        call.told = Told::Holds;
                        call.stage = Stage::Admitted;
                    }
                    gone => {
                        if let Some(gone) = gone {
                            gone.told = Told::Nothing;
                        }
                        if !self.leaks() {
                            self.ledger().unheard(admitted.call, now);
                        }
                    }
                }
                Ok(())
            }
            Answer::Refused { to, .. } | Answer::TurnedAway { to, .. } => {
                self.counts.refused += 1;
                match self.calls.get_mut(&to) {
                    Some(call) if call.stage == Stage::Leaving => call.told = Told::Nothing,
                    _ => drop(self.calls.remove(&to)),
                }
                Ok(())
            }
            Answer::Resolved {
                to,
                resolved,
                written,
            } => self.resolved(to, resolved, written),
            Answer::Done { to, written } => {
                if written {
                    self.order_answered(to);
                }
                Ok(())
            }
        }
    }

    fn resolved(&mut self, to: u64, resolved: Resolved, written: bool) -> Result<(), Broken> {
        let Some(call) = self.calls.remove(&to) else {
            return law(false, "an answer has one who waits for it", || {
                format!("call {to}: {resolved:?}")
            });
        };
        let is_amended = call.stage == Stage::Amending;
        let Resolved::Charged(settlement) = resolved else {
            return law(is_amended, "a call resolves at most once", || {
                format!("call {to} was resolved when it ended: {resolved:?}")
            });
        };
        if !written {
            return Ok(());
        }
        self.provider.of(call.id).acknowledged = Some(settlement.charge);
        if let Some(other) = call.other {
            let truth = self.provider.of(other);
            truth.acknowledged = Some(bb_proto::units::Tokens(truth.input + truth.output));
        }
        if !call.is_watched {
            return Ok(());
        }
        self.end_shown(&call)?;
        if call.goes_on {
            self.calls.insert(to, call.in_the_background());
        }
        Ok(())
    }

    /// Returns what the host has set aside.
    pub(crate) fn pending(&self) -> u64 {
        let all = bb_proto::budget::ProviderSelector::All;
        let owner = self.owner.as_ref();
        owner.map_or(0, |owner| {
            let sum = owner.ledger.book().accounts().sum(&Account::Host, &all);
            sum.aside.pending.0
        })
    }
}
