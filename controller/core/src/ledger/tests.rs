//! A ledger whose disk is a word: what is answered, and when.

use bb_proto::budget::BudgetKey;
use bb_proto::ids::{CallId, RunId};
use bb_proto::reply::Ending;
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::Source;
use uuid::Uuid;

use super::*;
use crate::book::{Account, Registration, Rules, Saved};
use crate::budget::Declared;
use crate::estimate::InputSize;

const NOW: Timestamp = Timestamp(1_000);

fn call(number: u32) -> CallId {
    CallId(Uuid::from_u128(u128::from(number)))
}

fn ask(number: u32) -> Command<u32, u32> {
    let ask = Ask {
        bound: None,
        sidecar: None,
        call: call(number),
        bottle: "web".parse().expect("a name"),
        run: RunId(Uuid::nil()),
        provider: "claude".parse().expect("a name"),
        wire: Wire::AnthropicMessages,
        model: String::new(),
        input: InputSize::text(40),
        output_max: Some(50),
        choices: 1,
        background: false,
    };
    Command::Reserve { ask, to: number }
}

fn settle(number: u32) -> Command<u32, u32> {
    let known = Known {
        stated: Usage {
            input: Some(10),
            output: Some(20),
            ..Usage::default()
        },
        complete: true,
        ..Known::default()
    };
    let outcome = Outcome {
        known,
        others: Vec::new(),
        ending: Ending::Complete,
        status: Some(200),
    };
    Command::Settle {
        call: call(number),
        outcome,
        to: number,
    }
}

/// A ledger, and what its owner did; a disk that takes what it is given, or does not.
struct Stage {
    ledger: Ledger<u32, u32, u32>,
    works: bool,
    wrote: Vec<String>,
}

impl Stage {
    /// One bottle, and one call at once.
    fn set() -> Self {
        let key: BudgetKey = "host/claude/total".parse().expect("a key");
        let source = Source::Settings { line: 1 };
        let rules = Rules {
            budgets: vec![Declared::hard(key, Tokens(70), source)],
            ..Rules::default()
        };
        let book = Book::restore(Saved::default(), rules, NOW);
        let mut stage = Self {
            ledger: Ledger::new(book, 1),
            works: true,
            wrote: Vec::new(),
        };
        let registration = Registration {
            name: "web".parse().expect("a name"),
            run: RunId(Uuid::nil()),
            token: "bb_1".to_owned(),
            agent: None,
            parents: None,
            provider: None,
            budgets: Vec::new(),
            command: Vec::new(),
            process: None,
            renew: false,
            uid: 0,
        };
        let register = |book: &mut Book, now| {
            book.register(registration, false, now).expect("a bottle");
            0
        };
        stage.ledger.order(register, NOW);
        assert_eq!(
            stage.round([]),
            ["issued bb_1", "write synced", "happened", "0 done true"]
        );
        stage
    }

    /// Tells the ledger what letters say, and carries out its steps; returns them.
    fn round<const N: usize>(&mut self, told: [Command<u32, u32>; N]) -> Vec<String> {
        for command in told {
            self.ledger.tell(command, NOW);
        }
        self.ledger.tick(NOW);
        let mut did = Vec::new();
        while let Some(step) = self.ledger.next(NOW) {
            did.push(self.carry_out(step));
        }
        did
    }

    fn carry_out(&mut self, step: Step<u32, u32, u32>) -> String {
        match step {
            Step::Write => {
                let group = self.ledger.unwritten().clone();
                let done = if self.works {
                    Ok(())
                } else {
                    Err("full".to_owned())
                };
                if self.works {
                    self.wrote
                        .extend(group.entries.iter().map(|e| format!("{e:?}")));
                }
                self.ledger.written(done, NOW);
                let how = if group.needs_sync() {
                    "write synced"
                } else {
                    "write"
                };
                how.to_owned()
            }
            Step::Reopen => {
                self.ledger.reopened(self.works, NOW);
                "reopen".to_owned()
            }
            Step::Answer(Answer::Admitted { to, .. }) => format!("{to} admitted"),
            Step::Answer(Answer::Refused { to, .. }) => format!("{to} refused"),
            Step::Answer(Answer::TurnedAway { to, .. }) => format!("{to} turned away"),
            Step::Answer(Answer::Resolved { to, written, .. }) => {
                format!("{to} resolved {written}")
            }
            Step::Answer(Answer::Done { to, written }) => format!("{to} done {written}"),
            Step::Cut { call, reason } => format!("cut {} {reason:?}", call.0.as_u128()),
            Step::TokenIssued { token, .. } => format!("issued {token}"),
            Step::TokenRevoked(token) => format!("revoked {token}"),
            Step::Happened(_) => "happened".to_owned(),
            Step::Alarm(event) => event.text,
            Step::Closed { .. } => "closed".to_owned(),
            Step::Opened => "opened".to_owned(),
        }
    }

    fn pending(&self) -> Tokens {
        let all = "all".parse().expect("a selector");
        let sum = self.ledger.book().accounts().sum(&Account::Host, &all);
        sum.aside.pending
    }
}

#[test]
fn nobody_is_answered_before_what_is_said_is_written() {
    let mut stage = Stage::set();
    // The second waits for what the first has set aside, and goes in the round that settles it.
    assert_eq!(stage.round([ask(1), ask(2)]), ["write", "1 admitted"]);
    assert_eq!(
        stage.round([settle(1)]),
        ["write synced", "1 resolved true", "2 admitted"]
    );
    assert_eq!(stage.round([]), [""; 0]);
}

#[test]
fn a_ledger_that_closes_ends_what_is_open_and_forgets_what_waits() {
    let mut stage = Stage::set();
    stage.round([ask(1), ask(2)]);
    stage.works = false;
    let note = |book: &mut Book, now| {
        book.note(now, EventKind::Started, "zebra".to_owned());
        9
    };
    stage.ledger.order(note, NOW);
    assert_eq!(
        stage.round([]),
        [
            "write",
            "closed",
            "9 done false",
            "2 turned away",
            "the ledger is closed: full",
            "cut 1 LedgerClosed"
        ]
    );
    // What ends an open call is taken; whoever asks is turned away; each round it is tried again.
    assert_eq!(
        stage.round([settle(1), ask(3)]),
        ["reopen", "1 resolved false", "3 turned away"]
    );
    assert_eq!(stage.ledger.book().waiting_calls(), 0);
    assert_eq!(
        stage.pending(),
        Tokens::ZERO,
        "nothing is set aside for nobody"
    );

    stage.works = true;
    let opened = stage.round([ask(4)]);
    assert_eq!(opened.first().map(String::as_str), Some("reopen"));
    assert!(opened.contains(&"opened".to_owned()), "{opened:?}");
    assert!(opened.contains(&"4 turned away".to_owned()), "{opened:?}");
    assert_eq!(
        stage.round([ask(5)]).last().map(String::as_str),
        Some("5 admitted")
    );
}

#[test]
fn a_call_whose_reservation_is_not_written_does_not_go() {
    let mut stage = Stage::set();
    stage.works = false;
    let did = stage.round([ask(1)]).join(", ");
    assert!(did.starts_with("write, closed, 1 turned away, "), "{did}");
    assert_eq!(stage.pending(), Tokens::ZERO);
}

#[test]
fn a_call_that_nobody_heard_of_is_taken_back_in_the_same_round() {
    let mut stage = Stage::set();
    stage.ledger.tell(ask(1), NOW);
    stage.ledger.tick(NOW);
    let mut did = Vec::new();
    while let Some(step) = stage.ledger.next(NOW) {
        let was = stage.carry_out(step);
        if was == "1 admitted" {
            stage.ledger.unheard(call(1), NOW);
        }
        did.push(was);
    }
    assert_eq!(did, ["write", "1 admitted", "write"]);
    assert!(
        stage
            .wrote
            .last()
            .is_some_and(|last| last.contains("Voided"))
    );
}

#[test]
fn what_was_open_is_charged_and_tokens_are_known_before_anything_else() {
    let mut stage = Stage::set();
    stage.round([ask(1)]);
    stage.ledger.recover(NOW);
    assert_eq!(
        stage.round([]),
        ["issued bb_1", "write synced", "happened", "happened"]
    );
    assert_eq!(stage.ledger.book().open_calls(), 0);
}
