//! A book on which a scenario is played, line by line.

use bb_proto::budget::{BudgetKey, Cap, Scope, Window};
use bb_proto::ids::{BottleName, RunId};
use bb_proto::process::Process;
use bb_proto::reply::Ending;
use bb_proto::request::{Expect, LaunchBudget};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::{ClosedBy, Source};
use uuid::Uuid;

use super::args::{Args, key, parse, rule, seconds};
use super::kept::Kept;
use super::told;
use crate::book::{
    Account, Admission, Ask, Book, Ended, Entry, Lasts, Outbox, Outcome, Registration, Resolved,
    Rules, Said, SidecarAsk, Spent, SpentOutside,
};
use crate::budget::Declared;
use crate::estimate::InputSize;
use crate::request::Bound;

/// A book, what was written of it, and the time.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) book: Book,
    pub(super) kept: Kept,
    pub(super) now: Timestamp,
    /// What the last command decided.
    pub(super) outbox: Outbox,
    pub(super) rules: Rules,
    runs: u128,
}

impl Stage {
    /// Runs a command; returns what came of it.
    pub(super) fn run(&mut self, command: &str) -> Vec<String> {
        let args = Args::of(command);
        let before = args.dry_run().then(|| format!("{:?}", self.book));
        let mut came: Vec<String> = self.act(&args).into_iter().collect();
        if let Some(before) = before {
            assert_eq!(
                before,
                format!("{:?}", self.book),
                "a dry run changes nothing"
            );
        }
        let mut bottles = self.kept.bottles.clone();
        self.outbox = self.kept.write(&mut self.book);
        for entry in &self.outbox.entries {
            came.extend(told::entry(entry, &bottles));
            if let Entry::Bottle(bottle) = entry {
                bottles.insert(bottle.name.clone(), (**bottle).clone());
            }
        }
        came.extend(self.outbox.effects.iter().map(told::effect));
        came
    }

    /// Puts the book together again from what was written.
    pub(super) fn restored(&self) -> Book {
        Book::restore(self.kept.saved(), self.rules.clone(), self.now)
    }

    fn act(&mut self, args: &Args<'_>) -> Option<String> {
        let now = self.now;
        match args.word(0) {
            "settings" => self.settings(args),
            "wait" => {
                self.now = now.plus(Millis(args.parse::<u64>(1).saturating_mul(1_000)));
                self.book.tick(self.now);
                None
            }
            "clock" => {
                let by = args.parse::<i64>(1).saturating_mul(1_000);
                self.now = Timestamp(now.0.saturating_add(by));
                self.book.clock_jumped(by, self.now);
                self.book.tick(self.now);
                None
            }
            "correct" => Some(self.correct(args)),
            "restart" => {
                self.now = now.plus(Millis(1_000));
                self.book = self.restored();
                None
            }
            "recover" => {
                let charged = self.book.recover(now);
                Some(format!("{charged} charged"))
            }
            "launch" => self.launch(args),
            "reserve" => Some(self.reserve(args)),
            "flow" => {
                self.book.flowed(args.call(1), &args.known(2, false), now);
                None
            }
            "settle" | "amend" | "void" => self.resolve(args),
            "sidecar" => Some(self.sidecar(args)),
            "spend" => Some(self.spend(args)),
            "withdraw" => {
                self.book.withdraw(&args.parse(2), args.call(1), now);
                None
            }
            "end" => {
                let run = match args.value("run") {
                    Some(run) => RunId(Uuid::from_u128(parse(run))),
                    None => self.run_of(args.word(1)),
                };
                let exit = args.value("exit").map(parse);
                Some(told::acted(self.book.ended(&args.parse(1), run, exit, now)))
            }
            "cutoff" | "restore" | "stop" | "remove" => Some(self.order(args)),
            "set" | "unset" | "raise" | "reset" => Some(self.budget(args)),
            "show" => Some(self.show(args.word(1))),
            "budget" => Some(self.show_budget(&key(args.word(1)))),
            other => panic!("{other:?} is no command"),
        }
    }

    fn settings(&mut self, args: &Args<'_>) -> Option<String> {
        let mut rules = Rules::default();
        let text = args.text.split_once(' ').map_or("", |(_, rest)| rest);
        for part in text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            rule(&mut rules, &Args::of(part));
        }
        self.rules = rules.clone();
        self.book.take_rules(rules, self.now);
        None
    }

    fn launch(&mut self, args: &Args<'_>) -> Option<String> {
        self.runs = self.runs.saturating_add(1);
        let budget = |text: &str| {
            let (provider, limit) = text.split_once(':').expect("PROVIDER:LIMIT");
            LaunchBudget {
                provider: parse(provider),
                limit: Tokens(parse(limit)),
            }
        };
        let list = |text: &str| text.split(',').map(budget).collect();
        let registration = Registration {
            name: args.parse(1),
            run: RunId(Uuid::from_u128(self.runs)),
            token: format!("bb_{}", self.runs),
            agent: args.value("agent").map(parse),
            parents: args
                .value("parents")
                .map(|text| text.split(',').map(parse).collect()),
            provider: args.value("provider").map(parse),
            budgets: args.value("budget").map(list).unwrap_or_default(),
            command: Vec::new(),
            process: args.has("process").then_some(Process {
                pid: 1,
                start_ticks: 1,
            }),
            renew: args.has("renew"),
            uid: 7,
        };
        let registered = self.book.register(registration, args.dry_run(), self.now);
        registered.err().map(|error| told::error(&error))
    }

    fn reserve(&mut self, args: &Args<'_>) -> String {
        let number = args.word(1);
        let (name, run) = match args.word(2).split_once('@') {
            Some((name, run)) => (name, RunId(Uuid::from_u128(parse(run)))),
            None => (args.word(2), self.run_of(args.word(2))),
        };
        let (input, output) = args.pair(4);
        let ask = Ask {
            call: args.call(1),
            bottle: parse(name),
            run,
            provider: args.parse(3),
            wire: Wire::AnthropicMessages,
            // A model of its own for each call, so that nothing is learned unless it is named.
            model: args.value("model").unwrap_or(number).to_owned(),
            input: InputSize::text(input.expect("an input").saturating_mul(4)),
            output_max: (!args.has("unstated")).then_some(output),
            choices: args.value("choices").map_or(1, parse),
            background: args.has("background"),
            bound: args.value("most").map(|input| Bound {
                input: parse(input),
                output,
                is_stated: !args.has("unstated"),
                thinking: args.value("thinking").map_or(0, parse),
            }),
            sidecar: args.has("sidecar").then(|| SidecarAsk {
                wait_max: args.value("within").map(|text| seconds(parse(text))),
            }),
        };
        match self.book.reserve(ask, self.now) {
            Admission::Admitted(admitted) => format!("{number} {}", told::admitted(&admitted)),
            Admission::Waiting => format!("{number} waits"),
            Admission::Refused(refusal) => {
                format!("{number} refused {}", told::refusal(&refusal))
            }
        }
    }

    fn resolve(&mut self, args: &Args<'_>) -> Option<String> {
        let call = args.call(1);
        let resolved = if args.word(0) == "void" {
            self.book.void(call, Some(429), self.now)
        } else {
            let complete = !args.has("cut");
            let outcome = Outcome {
                known: args.known(2, complete),
                others: Vec::new(),
                ending: if complete {
                    Ending::Complete
                } else {
                    Ending::Cut
                },
                status: Some(200),
            };
            match args.word(0) {
                "settle" => self.book.settle(call, &outcome, self.now),
                _ => self.book.amend(call, &outcome, self.now),
            }
        };
        (resolved == Resolved::Already).then(|| format!("{} already", args.word(1)))
    }

    /// `sidecar flow 1 40+5`, `sidecar settle 1 40+10`, `sidecar void 1`: what it hears.
    fn sidecar(&mut self, args: &Args<'_>) -> String {
        let call = args.call(2);
        let estimated = args.has("cut");
        let known = || args.known(3, !estimated);
        told::heard(&match args.word(1) {
            "flow" => {
                let said = Said {
                    usage: Some(args.known(3, false).stated),
                    output_bytes: Some(args.known(3, false).flowed_bytes),
                };
                self.book.sidecar_flowed(call, said, self.now)
            }
            "void" => self.book.sidecar_void(call, Some(429), self.now),
            _ => {
                let said = if args.has("nothing") {
                    Said::default()
                } else {
                    Said {
                        usage: Some(known().stated),
                        output_bytes: None,
                    }
                };
                let ended = Ended {
                    said,
                    estimated,
                    ending: None,
                    status: Some(200),
                };
                self.book.sidecar_settle(call, ended, self.now)
            }
        })
    }

    /// `spend 9 web claude 40+10` or `spend 9 web claude 50`: charged outside the proxy.
    fn spend(&mut self, args: &Args<'_>) -> String {
        let spent = if args.word(4).contains('+') {
            Spent::Usage(args.known(4, true).stated)
        } else {
            Spent::Tokens(Tokens(args.parse(4)))
        };
        let outside = SpentOutside {
            id: args.call(1),
            bottle: args.parse(2),
            provider: args.parse(3),
            wire: Wire::AnthropicMessages,
            model: args.value("model").unwrap_or_default().to_owned(),
            spent,
        };
        match self.book.charge_outside(outside, &args.order(), self.now) {
            Ok(charged) if charged.already => format!("already {}", charged.charge),
            Ok(charged) => format!("spent {}", charged.charge),
            Err(no) => told::error(&no),
        }
    }

    fn order(&mut self, args: &Args<'_>) -> String {
        let name: BottleName = args.parse(1);
        let expect = (args.value("run").is_some() || args.value("revision").is_some()).then(|| {
            let seen = self.book.revision();
            Expect {
                run: args
                    .value("run")
                    .map(|run| RunId(Uuid::from_u128(parse(run)))),
                // `revision=-1` is one change ago.
                revision: args
                    .value("revision")
                    .map(|ago: &str| seen.checked_add_signed(parse(ago)).expect("a revision")),
            }
        });
        let (expect, order, now) = (expect.as_ref(), args.order(), self.now);
        told::acted(match args.word(0) {
            "cutoff" => self.book.cutoff(&name, expect, &order, now),
            "restore" => self.book.restore_egress(&name, expect, &order, now),
            "stop" => self.book.order_stop(&name, expect, &order, now),
            _ => self.book.remove(&name, expect, &order, now),
        })
    }

    fn correct(&mut self, args: &Args<'_>) -> String {
        let (input, output) = args.pair(2);
        let counts = Usage {
            input,
            output: Some(output),
            ..Usage::default()
        };
        let order = args.order();
        let corrected = self
            .book
            .correct(None, args.call(1), &counts, &order, self.now);
        match corrected {
            Ok((before, after)) => format!("was {}, is {}", before.charge, after.charge),
            Err(no) => told::error(&no),
        }
    }

    fn budget(&mut self, args: &Args<'_>) -> String {
        let key = self.key(args.word(1));
        let (order, now) = (args.order(), self.now);
        told::budget(match args.word(0) {
            "set" => {
                let cap = if args.has("soft") {
                    Cap::Soft
                } else {
                    Cap::Hard
                };
                let limit = Tokens(args.parse(2));
                let declared = Declared {
                    cap,
                    ceiling: args.has("ceiling"),
                    per_call: args.value("percall").map(|it| Tokens(parse(it))),
                    ..Declared::hard(key, limit, Source::Command { uid: 7 })
                };
                self.book.budget_set(declared, &order, now)
            }
            "unset" => self.book.budget_unset(&key, &order, now),
            "reset" => self.book.budget_reset(&key, &order, now),
            _ => {
                let lasts = match args.value("for") {
                    Some(seconds) => {
                        Lasts::For(Millis(parse::<u64>(seconds).saturating_mul(1_000)))
                    }
                    None if args.has("once") => Lasts::Once,
                    None => Lasts::ForGood,
                };
                let by = Tokens(args.parse(2));
                self.book.budget_raise(&key, by, lasts, &order, now)
            }
        })
    }

    /// Returns a key; `launch:web/claude` is that of web's current run.
    fn key(&self, text: &str) -> BudgetKey {
        match text
            .strip_prefix("launch:")
            .and_then(|rest| rest.split_once('/'))
        {
            Some((name, provider)) => {
                let scope = Scope::Launch(self.run_of(name));
                BudgetKey {
                    scope,
                    provider: parse(provider),
                    window: Window::Run,
                }
            }
            None => key(text),
        }
    }

    fn run_of(&self, name: &str) -> RunId {
        let bottle = self.book.bottles().get(&parse(name));
        bottle.map_or(RunId(Uuid::from_u128(0)), |bottle| bottle.run)
    }

    /// Returns posted + pending of an account such as `host`, `run:web/claude` or `launch:web`.
    pub(super) fn balance(&self, text: &str) -> String {
        let (scope, provider) = text.split_once('/').unwrap_or((text, "all"));
        let account = match scope.split_once(':') {
            Some(("launch", name)) => Account::Launch(self.run_of(name)),
            Some(("run", name)) => Account::BottleRun(self.run_of(name)),
            _ => parse(scope),
        };
        let sum = self.book.accounts().sum(&account, &parse(provider));
        format!("{}+{}", sum.balance.posted, sum.aside.pending)
    }

    fn show(&self, name: &str) -> String {
        let view = self.book.bottle_view(&parse(name), self.now);
        let state = format!("{:?}", view.state).to_lowercase();
        let closed = view.closed.iter().map(|closed| match &closed.by {
            ClosedBy::Budget(key) => {
                format!("{} by {}", closed.provider, told::plain(key))
            }
            ClosedBy::Operator => format!("{} by operator", closed.provider),
        });
        let mut parts = vec![state];
        parts.extend(closed);
        let counts = [
            ("in flight", view.in_flight),
            ("waiting", view.waiting),
            ("refusals", view.refusals),
        ];
        let counts = counts.iter().filter(|(_, n)| *n > 0);
        parts.extend(counts.map(|(what, n)| format!("{n} {what}")));
        parts.extend(
            view.binding
                .iter()
                .map(|(p, key)| format!("{p} bound by {}", told::plain(key))),
        );
        parts.join("; ")
    }

    fn show_budget(&self, key: &BudgetKey) -> String {
        let Some(view) = self.book.budget_view_of(key, self.now) else {
            return "none".to_owned();
        };
        let from = |source: &Source| match source {
            Source::Settings { .. } => "settings",
            Source::Launch { .. } => "launch",
            Source::Command { .. } => "command",
        };
        let mut parts = vec![format!("{} of {}", view.used, view.limit)];
        parts.push(format!("from {}", from(&view.source)));
        parts.extend(
            view.hides
                .as_ref()
                .map(|hidden| format!("hides {}", from(hidden))),
        );
        parts.extend((!view.warned.is_empty()).then(|| format!("warned {:?}", view.warned)));
        let seconds = |at: Timestamp| at.0.div_euclid(1_000);
        parts.extend(
            view.resets_at
                .map(|at| format!("resets at {}", seconds(at))),
        );
        parts.extend(view.pace_thousandths.map(|pace| format!("pace {pace}")));
        parts.extend(view.exhausted_since.map(|_| "spent".to_owned()));
        parts.join(", ")
    }
}
