//! The operator: launches, budgets, cutoffs, settings.

use bb_core::book::{Book, CutReason, Lasts, Order as By, Registration, Rules};
use bb_core::bottle::Manifest;
use bb_core::budget::Declared;
use bb_proto::budget::{BudgetKey, Cap, Gate};
use bb_proto::ids::{BottleName, RunId};
use bb_proto::request::LaunchBudget;
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::view::Source;
use uuid::Uuid;

use super::laws::{Broken, law};
use super::owner::Letter;
use super::world::World;

const BOTTLES: [&str; 5] = ["a", "b", "left", "right", "c"];
const KEYS: [&str; 11] = [
    "host/claude/total",
    "host/all/total",
    "agent:dev/claude/total",
    "bottle:a/claude/total",
    "bottle:left/all/run",
    "bottle:root/all/total",
    "bottle:b/codex/total",
    "host/claude/hour",
    "bottle:a/claude/day",
    "agent:dev/all/rolling 2h",
    "bottle:b/all/block 30m",
];
/// How many variants of the settings there are.
pub(crate) const SETTINGS: usize = 6;

/// An order, and its number.
#[derive(Debug)]
pub(crate) struct Order {
    number: u64,
    act: Act,
}

#[derive(Debug)]
enum Act {
    Register(Registration),
    End(BottleName),
    Set(BudgetKey, Tokens, Cap, bool),
    Unset(BudgetKey),
    Raise(BudgetKey, Tokens, Lasts),
    Reset(BudgetKey),
    Cutoff(BottleName),
    Restore(BottleName),
    Stop(BottleName),
    Remove(BottleName),
    Settings(usize),
    CutAll,
    Look,
}

/// What orders said of one budget, in order, and which of them was answered last.
#[derive(Debug, Default)]
pub(crate) struct Said {
    limits: Vec<(u64, Option<Tokens>)>,
    answered: u64,
}

fn name(text: &str) -> BottleName {
    text.parse().expect("a name")
}

/// Returns one variant of the settings.
pub(crate) fn rules(variant: usize) -> Rules {
    let budget = |key: &str, limit: u64| {
        let key = key.parse().expect("a key");
        Declared::hard(key, Tokens(limit), Source::Settings { line: 1 })
    };
    let mut rules = Rules::default();
    let parents = [
        ("a", ["left", "right"].as_slice()),
        ("left", &["root"]),
        ("right", &["root"]),
    ];
    for (bottle, parents) in parents {
        let manifest = Manifest {
            parents: parents.iter().map(|parent| name(parent)).collect(),
            ..Manifest::default()
        };
        rules.manifests.insert(name(bottle), manifest);
    }
    match variant {
        0 => {
            rules.budgets.push(budget("host/claude/total", 60_000));
            rules.budgets.push(budget("bottle:left/all/run", 12_000));
        }
        1 => {
            let mut ceiling = budget("host/all/total", 80_000);
            ceiling.ceiling = true;
            rules.budgets.push(ceiling);
            rules.budgets.push(budget("bottle:a/claude/total", 9_000));
            rules.wait = Millis(5_000);
        }
        2 => {
            rules.budgets.push(budget("bottle:root/all/total", 20_000));
            rules.gate = Gate::Off;
            rules.in_flight_finish = true;
        }
        3 => {
            rules.budgets.push(budget("host/claude/hour", 30_000));
            rules.budgets.push(budget("bottle:root/all/day", 60_000));
        }
        4 => {
            let mut ceiling = budget("host/all/rolling 90m", 40_000);
            ceiling.ceiling = true;
            rules.budgets.push(ceiling);
            rules.budgets.push(budget("host/codex/block 1h", 12_000));
            rules.budgets.push(budget("bottle:left/claude/hour", 9_000));
        }
        _ => {}
    }
    rules
}

impl World {
    pub(crate) fn rules(&self) -> Rules {
        rules(self.settings)
    }

    /// The operator orders something.
    pub(crate) fn order(&mut self) {
        let bottle = name(self.random.pick(&BOTTLES));
        let key: BudgetKey = self.random.pick(&KEYS).parse().expect("a key");
        self.next_order += 1;
        let number = self.next_order;
        let act = match self.random.below(20) {
            0..=5 => Act::Register(self.registration(bottle)),
            6 => Act::End(bottle),
            7..=8 => {
                let limit = Tokens(5_000 + self.random.number(60_000));
                let cap = self.random.pick(&[Cap::Hard, Cap::Hard, Cap::Soft]);
                let ceiling = cap == Cap::Hard && self.random.one_in(3);
                Act::Set(key, limit, cap, ceiling)
            }
            9 => Act::Unset(key),
            10 if self.random.one_in(3) => Act::Reset(key),
            10..=11 => {
                let by = Tokens(1 + self.random.number(30_000));
                let for_some_time = Lasts::For(Millis(self.random.number(7_200_000)));
                let lasts = [Lasts::ForGood, Lasts::Once, for_some_time];
                Act::Raise(key, by, lasts[self.random.below(lasts.len())])
            }
            12 => Act::Cutoff(bottle),
            13..=14 => Act::Restore(bottle),
            15 => Act::Stop(bottle),
            16 => Act::Remove(bottle),
            17 => Act::Settings(self.random.below(SETTINGS)),
            18 if self.random.one_in(8) => Act::CutAll,
            _ => Act::Look,
        };
        self.say(|_| format!("order {number} {act:?}"));
        if let Some(owner) = self.serving() {
            owner.letters.push(Letter::Order(Order { number, act }));
        }
    }

    fn registration(&mut self, bottle: BottleName) -> Registration {
        self.next_run += 1;
        let run = self.next_run;
        let budgets = match self.random.below(4) {
            0 => vec![LaunchBudget {
                provider: "claude".parse().expect("a name"),
                limit: Tokens(4_000 + self.random.number(20_000)),
            }],
            _ => Vec::new(),
        };
        Registration {
            name: bottle,
            run: RunId(Uuid::from_u128(u128::from(run))),
            token: format!("bb_{run}"),
            agent: self
                .random
                .pick(&[None, Some("dev")])
                .map(|agent| agent.parse().expect("a name")),
            parents: None,
            provider: None,
            budgets,
            command: Vec::new(),
            process: None,
            renew: self.random.one_in(3),
            uid: 0,
        }
    }

    /// Carries out an order that the owner was told.
    pub(crate) fn give(&mut self, order: Order, now: Timestamp) {
        let Order { number, act } = order;
        let by = By::default();
        match &act {
            Act::Settings(variant) => self.settings = *variant,
            Act::Reset(key) => drop(self.reset.insert(key.clone())),
            _ => {}
        }
        let mut said = None;
        let change = |book: &mut Book, now: Timestamp| {
            // What the book refuses changes nothing; whoever orders is told why.
            match act {
                Act::Register(asked) => drop(book.register(asked, false, now)),
                Act::End(bottle) => {
                    let run = book.bottles().get(&bottle).map(|bottle| bottle.run);
                    if let Some(run) = run {
                        drop(book.ended(&bottle, run, Some(0), now));
                    }
                }
                Act::Set(key, limit, cap, ceiling) => {
                    let source = Source::Command { uid: 0 };
                    let declared = Declared {
                        cap,
                        ceiling,
                        ..Declared::hard(key.clone(), limit, source)
                    };
                    let set = book.budget_set(declared, &by, now);
                    said = set.ok().map(|_| (key, Some(limit)));
                }
                Act::Unset(key) => {
                    let unset = book.budget_unset(&key, &by, now);
                    said = unset.ok().map(|_| (key, None));
                }
                Act::Raise(key, tokens, lasts) => {
                    drop(book.budget_raise(&key, tokens, lasts, &by, now));
                }
                Act::Reset(key) => drop(book.budget_reset(&key, &by, now)),
                Act::Cutoff(bottle) => drop(book.cutoff(&bottle, None, &by, now)),
                Act::Restore(bottle) => drop(book.restore_egress(&bottle, None, &by, now)),
                Act::Stop(bottle) => drop(book.order_stop(&bottle, None, &by, now)),
                Act::Remove(bottle) => drop(book.remove(&bottle, None, &by, now)),
                Act::Settings(variant) => book.take_rules(rules(variant), now),
                Act::CutAll => drop(book.cut_all(&CutReason::Draining)),
                Act::Look => {}
            }
            number
        };
        self.ledger().order(change, now);
        if let Some((key, limit)) = said {
            self.said
                .entry(key)
                .or_default()
                .limits
                .push((number, limit));
        }
    }

    /// An order was answered: it is on disk.
    pub(crate) fn order_answered(&mut self, number: u64) {
        for said in self.said.values_mut() {
            if said.limits.iter().any(|(of, _)| *of == number) {
                said.answered = said.answered.max(number);
            }
        }
    }

    /// After a crash, each budget is as the last order that was answered left it, or a later one.
    pub(crate) fn answered_orders_stand(&mut self) -> Result<(), Broken> {
        for (key, said) in &mut self.said {
            let is = self.disk.rows.commands.get(key).map(|set| set.limit);
            let answered = said.answered;
            // What was not answered may be there or not, and may go with the power later.
            said.limits.retain(|(of, _)| *of >= answered);
            let stands =
                said.limits.iter().any(|(_, limit)| *limit == is) || answered == 0 && is.is_none();
            law(stands, "an order that was answered stands", || {
                format!("{key} is {is:?}: {said:?}")
            })?;
        }
        Ok(())
    }
}
