//! Laws that hold after any command, over random ones.

use bb_proto::event::EventKind;
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::units::Tokens;
use bb_proto::usage::Wire;
use bb_proto::view::ClosedBy;
use proptest::collection::vec;
use proptest::test_runner::{Config, TestError, TestRunner};
use uuid::Uuid;

use super::args::{Args, parse};
use super::client::Client;
use super::commands::{BEGINNING, command};
use super::model::{Model, Verdict, account, binding, one};
use super::restart::assert_same;
use super::stage::Stage;
use crate::book::account::Sum;
use crate::book::{Account, Ask, CutReason, Effect, Entry};
use crate::budget::Budget;
use crate::estimate::InputSize;

/// How many commands are run in all where `BB_LAW_STEPS` does not say.
const STEPS: u32 = 105_000;
const STEPS_A_CASE: usize = 150;
/// How often a book is put together again from what was written, and a client asks.
const LOOK_EVERY: usize = 50;

#[expect(
    clippy::disallowed_methods,
    reason = "a test reads how long it shall run"
)]
fn steps() -> u32 {
    let said = std::env::var("BB_LAW_STEPS").ok();
    said.map_or(STEPS, |steps| steps.parse().expect("a number"))
}

#[test]
fn the_laws_hold_after_any_command() {
    let cases = steps() / u32::try_from(STEPS_A_CASE).expect("few");
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let commands = vec(command(), 1..STEPS_A_CASE.saturating_mul(2));
    let checked = runner.run(&commands, |commands| {
        Court::default().run(&commands);
        Ok(())
    });
    if let Err(TestError::Fail(_, commands)) = &checked {
        let aloud = true;
        Court {
            aloud,
            ..Court::default()
        }
        .run(commands);
    }
    checked.expect("every case is played to its end");
}

/// A stage with the laws.
#[derive(Debug, Default)]
struct Court {
    stage: Stage,
    model: Model,
    calls: u128,
    client: Client,
    /// Whether what is played is printed: the shortest case that broke a law.
    aloud: bool,
}

impl Court {
    fn run(&mut self, commands: &[String]) {
        for command in BEGINNING {
            self.play(command);
        }
        for (at, command) in commands.iter().enumerate() {
            match command.as_str() {
                "crash" => {
                    self.play("restart");
                    self.model.waiting.clear();
                    for open in self.stage.kept.open.values() {
                        let call = self.model.open.get_mut(&open.reservation.facts.call);
                        call.expect("open").flowed = open.flowed;
                    }
                    self.play("recover");
                }
                "idle" => {
                    for _ in 0..13 {
                        self.client.ask(&self.stage);
                        self.play("wait 55");
                    }
                }
                _ => {
                    if let Some(command) = self.concrete(command) {
                        self.step(&command);
                    }
                }
            }
            self.judge();
            if at % LOOK_EVERY == 0 {
                assert_same(&self.stage);
                self.client.ask(&self.stage);
            }
        }
    }

    /// Fills in the calls that are picked; returns nothing where there is none to pick.
    fn concrete(&mut self, command: &str) -> Option<String> {
        let Some((before, after)) = command.split_once('#') else {
            return Some(command.to_owned());
        };
        let (pick, rest) = after.split_once(' ').unwrap_or((after, ""));
        let pick = pick.parse::<usize>().unwrap_or(0);
        let from: Vec<CallId> = match before.trim() {
            "reserve" => {
                self.calls = self.calls.saturating_add(1);
                return Some(format!("{before}{} {rest}", self.calls));
            }
            "withdraw" => self.model.waiting.iter().map(|ask| ask.call).collect(),
            "amend" | "correct" => self.model.settled.iter().copied().collect(),
            _ => self.model.open.keys().copied().collect(),
        };
        let call = *from.get(pick.checked_rem(from.len())?)?;
        let waiting = self.model.waiting.iter().find(|ask| ask.call == call);
        let rest = waiting.map_or(rest, |ask| ask.bottle.as_str());
        Some(format!("{before}{} {rest}", call.0.as_u128()))
    }

    fn step(&mut self, command: &str) {
        let args = Args::of(command);
        match args.word(0) {
            "reserve" => self.reserve(command, &args),
            "cutoff" | "restore" | "stop" | "remove" | "set" | "unset" | "raise" | "reset"
            | "correct" => {
                let said = self.play(&format!("{command} dry"));
                let done = self.play(command);
                assert_eq!(
                    said.first(),
                    done.first(),
                    "a dry run says what the order does"
                );
            }
            "withdraw" => {
                let call = args.call(1);
                self.model.waiting.retain(|ask| ask.call != call);
                self.play(command);
            }
            "flow" => {
                let (input, output) = args.pair(2);
                let flowed = input.expect("an input").saturating_add(output.max(1));
                let call = self.model.open.get_mut(&args.call(1));
                let grows = call.is_some_and(|call| {
                    let before = call.flowed;
                    call.flowed = before.max(Tokens(flowed));
                    call.flowed > before
                });
                self.play(command);
                if grows {
                    self.a_call_that_crosses_a_limit_is_cut(args.call(1));
                }
            }
            _ => {
                self.play(command);
            }
        }
    }

    fn a_call_that_crosses_a_limit_is_cut(&self, id: CallId) {
        let (book, model) = (&self.stage.book, &self.model);
        let Some(call) = model.open.get(&id) else {
            return;
        };
        for budget in binding(book, &call.bottle, &call.provider) {
            let used = model.posted(book, budget).plus(model.flowed(book, budget));
            let goes_on = self.stage.rules.in_flight_finish || model.cut.contains(&id);
            assert!(
                used < budget.limit() || goes_on,
                "{id} goes on although {} is crossed",
                budget.key()
            );
        }
    }

    fn reserve(&mut self, command: &str, args: &Args<'_>) {
        let book = &self.stage.book;
        let name: BottleName = args.parse(2);
        let bottle = book.bottles.get(&name);
        let (input, output) = args.pair(4);
        let ask = Ask {
            call: args.call(1),
            bottle: name,
            run: bottle.map_or(bb_proto::ids::RunId(Uuid::nil()), |bottle| bottle.run),
            provider: args.parse(3),
            wire: Wire::AnthropicMessages,
            model: String::new(),
            input: InputSize::text(input.expect("an input").saturating_mul(4)),
            output_max: Some(output),
            choices: 1,
            background: args.has("background"),
            bound: None,
            sidecar: None,
        };
        let open = bottle.filter(|b| b.is_running() && b.stop_ordered_at.is_none());
        let open = open.filter(|bottle| bottle.closing(&ask.provider).is_none());
        let bound = !binding(book, &ask.bottle, &ask.provider).is_empty();
        let expected = match self.model.verdict(book, &ask) {
            _ if open.is_none() || ask.background && bound => "refused",
            Verdict::Refused => "refused",
            Verdict::Fits if !self.model.is_behind(book, &ask) => "admitted",
            Verdict::Fits | Verdict::Waits => "waits",
        };
        let came = self.play(command);
        let said = came.first().and_then(|first| first.split(' ').nth(1));
        assert_eq!(said, Some(expected), "{came:?}");
        if expected == "waits" {
            self.model.waiting.push(ask);
        }
    }

    /// Runs a command and tells the model what was decided.
    fn play(&mut self, command: &str) -> Vec<String> {
        if self.aloud {
            println!("{command}");
        }
        let came = self.stage.run(command);
        if self.aloud {
            println!("    => {}", came.join("; "));
        }
        let book = &self.stage.book;
        for effect in &self.stage.outbox.effects {
            match effect {
                Effect::Admit(admitted) => self.model.waiting.retain(|a| a.call != admitted.call),
                Effect::Refuse(call, _) => self.model.waiting.retain(|ask| ask.call != *call),
                Effect::Cut(call, _) => {
                    self.model.cut.insert(*call);
                }
                Effect::TokenIssued { .. } | Effect::TokenRevoked(_) => {}
            }
        }
        for entry in &self.stage.outbox.entries {
            self.model.apply(book, entry);
        }
        came
    }

    fn judge(&self) {
        self.balances_are_the_sums_of_the_entries();
        self.the_host_is_the_sum_of_the_launches();
        self.nobody_waits_without_a_reason();
        self.nothing_is_closed_without_a_reason();
        self.what_was_spent_struck_those_it_binds();
        assert_eq!(self.stage.book.open_calls(), self.model.open.len());
        assert_eq!(self.stage.book.waiting_calls(), self.model.waiting.len());
    }

    fn balances_are_the_sums_of_the_entries(&self) {
        for ((account, provider), posted) in &self.model.posted {
            if !self.stage.book.is_live(account) {
                let cells = self.stage.book.accounts.sum(account, &one(provider));
                assert_eq!(cells, Sum::default(), "{account} is forgotten");
                continue;
            }
            let sum = self.stage.book.accounts.sum(account, &one(provider));
            assert_eq!(
                sum.balance.posted, *posted,
                "posted to {account} at {provider}"
            );
            let aside = (sum.aside.pending, sum.aside.calls);
            assert_eq!(
                aside,
                self.model.aside(account, provider),
                "{account} at {provider}"
            );
        }
    }

    fn the_host_is_the_sum_of_the_launches(&self) {
        for provider in ["claude", "codex"].map(parse::<ProviderKey>) {
            let posted = self
                .model
                .posted
                .iter()
                .filter(|((_, p), _)| *p == provider);
            let launches = posted.filter(|((account, _), _)| matches!(account, Account::Launch(_)));
            let sum = launches.fold(Tokens::ZERO, |sum, (_, posted)| sum.plus(*posted));
            let host = self
                .stage
                .book
                .accounts
                .sum(&Account::Host, &one(&provider));
            assert_eq!(host.balance.posted, sum);
        }
    }

    fn nobody_waits_without_a_reason(&self) {
        let book = &self.stage.book;
        for ask in &self.model.waiting {
            let bottle = book.bottles.get(&ask.bottle).expect("a bottle that waits");
            assert!(
                bottle.is_running() && bottle.run == ask.run,
                "{ask:?} waits for nothing"
            );
            if !self.model.is_behind(book, ask) {
                assert_eq!(self.model.verdict(book, ask), Verdict::Waits, "{ask:?}");
            }
        }
    }

    fn nothing_is_closed_without_a_reason(&self) {
        let book = &self.stage.book;
        for bottle in book.bottles.iter() {
            for closing in &bottle.closings {
                let ClosedBy::Budget(key) = &closing.by else {
                    continue;
                };
                let budget = book.budgets.get(key).expect("a budget in force");
                let flowed = self.model.flowed(book, budget);
                let used = self.model.posted(book, budget).plus(flowed);
                let spent = used >= budget.limit();
                let left = budget.limit().minus(self.model.posted(book, budget));
                let too_large = closing.room.is_some_and(|then| left <= then);
                assert!(spent || too_large, "{key} has room");
            }
        }
    }

    fn what_was_spent_struck_those_it_binds(&self) {
        let book = &self.stage.book;
        let events = self
            .stage
            .outbox
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Happened(event) if event.kind == EventKind::Exhausted => {
                    event.budget.as_ref()
                }
                _ => None,
            });
        let spent = |budget: &&Budget| self.model.posted(book, budget) >= budget.limit();
        for budget in events.filter_map(|key| book.budgets.get(key)).filter(spent) {
            let counts = account(book, budget.key()).expect("an account");
            for (id, call) in &self.model.open {
                let binds = binding(book, &call.bottle, &call.provider);
                let bound = binds.iter().any(|b| b.key() == budget.key());
                if !bound || !call.accounts.contains(&counts) {
                    continue;
                }
                let cut = self.model.cut.contains(id) || self.stage.rules.in_flight_finish;
                assert!(cut, "{id} goes on although {} is spent", budget.key());
                let bottle = book.bottles.get(&call.bottle).filter(|b| b.is_running());
                assert!(bottle.is_none_or(|b| b.closing(&call.provider).is_some()));
            }
        }
        let cuts = self
            .stage
            .outbox
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Cut(call, CutReason::Budget(_)) => Some(call),
                _ => None,
            });
        for call in cuts {
            assert!(
                self.model.open.contains_key(call),
                "only what is open is ended"
            );
        }
    }
}
