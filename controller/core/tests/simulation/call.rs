//! A call's journey, as the proxy takes it: reserve, forward, meter, settle, show the end.

use bb_core::book::{Ask, OtherModel, Outcome};
use bb_core::estimate::{InputSize, Known};
use bb_core::ledger::Command;
use bb_proto::ids::{BottleName, CallId, ProviderKey, RunId};
use bb_proto::reply::Ending;
use bb_proto::usage::{Usage, Wire};
use uuid::Uuid;

use super::bug::Bug;
use super::laws::{Broken, law};
use super::owner::Letter;
use super::world::World;

/// The calls that are under way at once.
const LIVE_MAX: usize = 24;
/// What other models use for a call has the call's number and this.
pub(crate) const OTHER: u64 = 1 << 40;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its client waits for the ledger.
    Asking,
    /// It may go.
    Admitted,
    /// It is on its way to the provider, which has seen nothing of it yet.
    Forwarded,
    /// The provider answers.
    Flowing,
    /// Its end waits for its charge.
    Settling,
    /// It goes on at the provider, and was charged by estimate.
    Background,
    /// A later look at it waits for the correction.
    Amending,
    /// It is given up; the letter that says so is under way.
    Leaving,
}

/// What the ledger has of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing yet, or nothing any more.
    Nothing,
    /// It was asked and has not answered.
    Waits,
    /// It admitted the call, and was not told of its end.
    Holds,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    bottle: BottleName,
    pub(crate) stage: Stage,
    /// Whether its client is there.
    pub(crate) is_watched: bool,
    /// Whether it was told to end.
    pub(crate) is_cut: bool,
    /// What the ledger has of it.
    pub(crate) told: Told,
    /// Whether it goes on after its request.
    pub(crate) goes_on: bool,
    input: u64,
    /// Tokens that the proxy has seen flow.
    seen: u64,
    bytes_a_token: u64,
    /// The call that another model's tokens are charged as.
    pub(crate) other: Option<CallId>,
}

/// Returns a call's number.
pub(crate) fn number(call: CallId) -> u64 {
    u64::try_from(call.0.as_u128()).expect("numbered by the simulator")
}

fn id(number: u64) -> CallId {
    CallId(Uuid::from_u128(u128::from(number)))
}

impl Call {
    pub(crate) fn in_the_background(self) -> Self {
        Self {
            stage: Stage::Background,
            goes_on: false,
            other: None,
            ..self
        }
    }

    fn known_so_far(&self) -> Known {
        Known {
            stated: Usage {
                input: Some(self.input),
                // The first word of a stream about its output is a placeholder.
                output: Some(1),
                ..Usage::default()
            },
            complete: false,
            flowed_bytes: self.seen * self.bytes_a_token,
            reasoning_bytes: 0,
        }
    }
}

impl World {
    /// A client asks, if any token is known.
    pub(crate) fn ask(&mut self) {
        let Some(owner) = self.serving() else { return };
        let tokens: Vec<(BottleName, RunId)> = owner.tokens.values().cloned().collect();
        if tokens.is_empty() || self.calls.len() >= LIVE_MAX {
            return;
        }
        let (bottle, run) = tokens[self.random.below(tokens.len())].clone();
        self.next_call += 1;
        let number = self.next_call;
        let provider = self.random.pick(&["claude", "claude", "codex"]);
        let provider: ProviderKey = provider.parse().expect("a name");
        let text = 40 + self.random.number(8_000);
        let ask = Ask {
            call: id(number),
            bottle: bottle.clone(),
            run,
            provider,
            wire: Wire::AnthropicMessages,
            model: self.random.pick(&["opus-4", "haiku-4"]).to_owned(),
            input: InputSize::text(text),
            output_max: self.random.pick(&[None, Some(64_000), Some(300)]),
            choices: 1,
            background: self.random.one_in(6),
            bound: None,
            sidecar: None,
        };
        self.say(|_| format!("{ask:?}"));
        let call = Call {
            id: ask.call,
            bottle,
            stage: Stage::Asking,
            is_watched: true,
            is_cut: false,
            told: Told::Nothing,
            goes_on: ask.background,
            input: 1 + text / (3 + self.random.number(4)),
            seen: 0,
            bytes_a_token: 2 + self.random.number(4),
            other: None,
        };
        self.calls.insert(number, call);
        self.send(Command::Reserve { ask, to: number });
    }

    fn send(&mut self, command: Command<u64, u64>) {
        if let Some(owner) = self.serving() {
            owner.letters.push(Letter::Call(command));
        }
    }

    /// One thing happens to some call.
    pub(crate) fn progress(&mut self) -> Result<(), Broken> {
        let numbers: Vec<u64> = self.calls.keys().copied().collect();
        if numbers.is_empty() || self.serving().is_none() {
            return Ok(());
        }
        let number = self.random.pick(&numbers);
        let Some(mut call) = self.calls.remove(&number) else {
            return Ok(());
        };
        let happened = match call.stage {
            Stage::Asking => {
                self.wait(&mut call);
                Ok(())
            }
            Stage::Admitted => self.forward(&mut call),
            Stage::Forwarded => {
                self.arrive(&mut call);
                Ok(())
            }
            Stage::Flowing => self.flow(&mut call),
            Stage::Background => {
                self.look_again(&mut call);
                Ok(())
            }
            Stage::Settling | Stage::Amending | Stage::Leaving => {
                call.is_watched &= !self.random.one_in(20);
                Ok(())
            }
        };
        self.calls.insert(number, call);
        happened
    }

    /// A client that waits may lose patience.
    fn wait(&mut self, call: &mut Call) {
        if !self.random.one_in(12) {
            return;
        }
        let number = number(call.id);
        self.say(|_| format!("the client of {number} leaves while it waits"));
        call.is_watched = false;
        call.stage = Stage::Leaving;
        if !self.leaks() {
            let (bottle, call) = (call.bottle.clone(), call.id);
            self.send(Command::Withdraw { bottle, call });
        }
    }

    /// An admitted call goes, if it still may; only what is set aside on disk may.
    fn forward(&mut self, call: &mut Call) -> Result<(), Broken> {
        if self.random.one_in(20) {
            // Who asked is gone before the answer is heard.
            call.stage = Stage::Leaving;
            let (bottle, call) = (call.bottle.clone(), call.id);
            self.send(Command::Withdraw { bottle, call });
            return Ok(());
        }
        if call.is_cut || self.random.one_in(20) {
            self.void(call, None);
            return Ok(());
        }
        call.stage = Stage::Forwarded;
        let is_open = self.disk.rows.open.contains_key(&call.id);
        law(
            is_open,
            "what is set aside is on disk before a call goes",
            || format!("call {}", number(call.id)),
        )
    }

    fn void(&mut self, call: &mut Call, status: Option<u16>) {
        call.stage = Stage::Leaving;
        let call = call.id;
        self.send(Command::Void { call, status });
    }

    /// A forwarded call reaches its provider, or does not.
    fn arrive(&mut self, call: &mut Call) {
        match self.random.below(14) {
            0 => self.void(call, None),
            1 => self.void(call, Some(429)),
            _ => {
                self.provider.accept(call.id, call.input);
                call.stage = Stage::Flowing;
                self.report(call);
            }
        }
    }

    /// Tells the ledger what has flowed; such a letter may be left out where there are too many.
    fn report(&mut self, call: &Call) {
        if !self.random.one_in(10) {
            let (call, known) = (call.id, call.known_so_far());
            self.send(Command::Flowed { call, known });
        }
    }

    fn flow(&mut self, call: &mut Call) -> Result<(), Broken> {
        if call.is_cut {
            return self.settle(call, Ending::Cut, false);
        }
        match self.random.below(20) {
            0..=3 => return self.complete(call),
            4 => {
                // More was made than was seen.
                self.provider.of(call.id).output += self.random.number(40);
                return self.settle(call, Ending::UpstreamGone, false);
            }
            5 if call.is_watched => {
                call.is_watched = false;
                self.say(|_| format!("the client of {} leaves", number(call.id)));
                if self.bug == Some(Bug::VoidAfterBytes) {
                    self.void(call, None);
                }
            }
            6..=8 if !call.is_watched => return self.settle(call, Ending::ClientGone, false),
            9..=11 => {}
            _ => {
                let grown = 1 + self.random.number(400);
                self.provider.of(call.id).output += grown;
                call.seen += grown;
                self.report(call);
            }
        }
        Ok(())
    }

    fn complete(&mut self, call: &mut Call) -> Result<(), Broken> {
        if call.goes_on {
            return self.settle(call, Ending::Background, false);
        }
        let truth = self.provider.of(call.id);
        truth.output += 1;
        truth.complete = true;
        if self.random.one_in(12) {
            call.other = Some(id(number(call.id) + OTHER));
        }
        self.settle(call, Ending::Complete, true)
    }

    fn outcome(&mut self, call: &Call, ending: Ending, complete: bool) -> Outcome {
        let mut known = call.known_so_far();
        if complete {
            let truth = self.provider.of(call.id);
            let cached = truth.input / 3;
            known.complete = true;
            known.stated = Usage {
                input: Some(truth.input - cached),
                cache_read: Some(cached),
                output: Some(truth.output),
                ..Usage::default()
            };
        }
        let mut others = Vec::new();
        if let Some(other) = call.other {
            self.provider.accept(other, 70);
            let truth = self.provider.of(other);
            truth.output = 30;
            truth.complete = true;
            others.push(OtherModel {
                call: other,
                model: "advisor".to_owned(),
                usage: Usage {
                    input: Some(70),
                    output: Some(30),
                    ..Usage::default()
                },
            });
        }
        Outcome {
            known,
            others,
            ending,
            status: Some(200),
        }
    }

    /// Charges a call that ended; its end is kept back until that is on disk.
    fn settle(&mut self, call: &mut Call, ending: Ending, complete: bool) -> Result<(), Broken> {
        let outcome = self.outcome(call, ending, complete);
        call.stage = Stage::Settling;
        self.say(|_| format!("{} ends: {ending:?}", number(call.id)));
        if self.bug == Some(Bug::LostSettle) && self.random.one_in(20) {
            return self.end_shown(call);
        }
        let (to, call) = (number(call.id), call.id);
        self.send(Command::Settle { call, outcome, to });
        Ok(())
    }

    /// Shows the end of an answer to its client.
    pub(crate) fn end_shown(&mut self, call: &Call) -> Result<(), Broken> {
        self.counts.ends += 1;
        let truth = self.provider.of(call.id);
        truth.end_shown = truth.complete;
        self.is_charged_for_good(call.id)
    }

    /// A client looks at an answer that went on in the background.
    fn look_again(&mut self, call: &mut Call) {
        if !self.random.one_in(4) {
            return;
        }
        let truth = self.provider.of(call.id);
        truth.output += 100;
        truth.complete = true;
        let outcome = self.outcome(call, Ending::Complete, true);
        call.stage = Stage::Amending;
        let (to, call) = (number(call.id), call.id);
        self.send(Command::Amend { call, outcome, to });
    }

    /// Returns whether the planted fault is that nobody takes back what nobody waits for.
    pub(crate) fn leaks(&self) -> bool {
        self.bug == Some(Bug::LeakedReservation)
    }

    /// Returns the calls that the ledger was told of and that are not resolved: those that wait for
    /// it, and those that hold a reservation.
    pub(crate) fn told(&self) -> (usize, usize) {
        let count = |told| self.calls.values().filter(|call| call.told == told).count();
        (count(Told::Waits), count(Told::Holds))
    }
}
