//! Many clients on one budget, by each gate: what the provider counted, beside the limit.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bb_proto::request::BottleRegister;
use bb_tests::harness::{Bottle, System, send};
use bb_tests::provider::{On, Provider, Script, Tokens};
use http::Method;

use super::super::charges::budget;
use super::super::ways::{MESSAGES, together, within};

const BOTTLES: usize = 8;
const CLIENTS_EACH: usize = 32;
/// What one call usually costs: the prompt and the output.
const CALL_TOKENS: u64 = 900;
/// Some hundred calls.
const LIMIT: u64 = 600 * CALL_TOKENS;
/// Calls of each model before, from which their estimates are learned.
const LEARNED_FROM: usize = 32;
/// How long a call may wait for room.
const WAIT: Duration = Duration::from_secs(30);

/// What came of a run.
#[derive(Debug, Default)]
struct Outcome {
    /// What the provider billed.
    used: u64,
    served: u64,
    refused: u64,
    /// The longest that a call took, its waiting included.
    slowest: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, over) = (self.used, self.overrun());
        let share = used * 1_000 / LIMIT;
        write!(
            f,
            "{used} of {LIMIT} tokens used ({}.{} %), {over} over; {} calls served, {} refused, \
             the slowest took {:?}",
            share / 10,
            share % 10,
            self.served,
            self.refused,
            self.slowest
        )
    }
}

impl Outcome {
    fn overrun(&self) -> u64 {
        self.used.saturating_sub(LIMIT)
    }
}

/// Calls again and again until it is refused, as an agent does; every eighth says more than usual.
async fn client(system: &System, bottle: &Bottle, number: usize) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    while outcome.refused == 0 {
        call(system, bottle, number, &mut outcome).await?;
    }
    Ok(outcome)
}

async fn call(
    system: &System,
    bottle: &Bottle,
    number: usize,
    outcome: &mut Outcome,
) -> Result<()> {
    let model = if number.is_multiple_of(8) {
        "wordy"
    } else {
        "usual"
    };
    let body = MESSAGES.body.replace("claude-opus-4-8", model);
    let headers = [
        ("x-api-key", bottle.token.as_str()),
        ("content-type", "application/json"),
    ];
    let start = Instant::now();
    let target = MESSAGES.target();
    let sent = send(&system.egress, Method::POST, &target, &headers, body);
    let answer = within(sent).await??;
    outcome.slowest = outcome.slowest.max(start.elapsed());
    match answer.status.as_u16() {
        200 => outcome.served += 1,
        400 => outcome.refused += 1,
        other => anyhow::bail!("{other}: {}", answer.text()),
    }
    Ok(())
}

async fn run(gate: &str) -> Result<Outcome> {
    let script = Script {
        tokens: Tokens::Output(CALL_TOKENS - 30),
        ..Script::slow(10, Duration::from_millis(2))
    };
    let provider = Provider::start(script.clone()).await?;
    let wordy = Script {
        tokens: Tokens::Output(7_000),
        ..script
    };
    provider.set_script_on(On::Model("wordy".to_owned()), wordy);
    let more = format!("gate: {gate}\nbottles:\n  crowd:\n    budget:\n      claude: {LIMIT}\n");
    let system = System::start(&provider, &more).await?;
    let before = system.bottle("before").await?;
    for _ in 0..LEARNED_FROM {
        for number in [0, 1] {
            call(&system, &before, number, &mut Outcome::default()).await?;
        }
    }
    system.settled().await?;
    let learned_from = provider.totals().billed.total();
    let mut bottles = Vec::new();
    for number in 0..BOTTLES {
        let parents = Some(vec!["crowd".parse()?]);
        let of_crowd = |it: &mut BottleRegister| it.parents = parents;
        let name = format!("b{number}");
        bottles.push(system.bottle_with(&name, &[], of_crowd).await?);
    }
    let clients = (0..BOTTLES * CLIENTS_EACH)
        .map(|number| client(&system, &bottles[number / CLIENTS_EACH], number));
    let mut all = Outcome::default();
    for outcome in together(clients).await {
        let outcome = outcome?;
        all.served += outcome.served;
        all.refused += outcome.refused;
        all.slowest = all.slowest.max(outcome.slowest);
    }
    system.settled().await?;
    all.used = provider.totals().billed.total() - learned_from;
    let host = budget(&system, "bottle:crowd", "claude").await?;
    ensure!(host.pending.0 == 0, "{host:?}");
    if gate == "exact" {
        // Each call said its usage to the end.
        ensure!(host.used.0 == all.used, "{host:?} and {}", all.used);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_spends_a_budget_to_its_end_and_by_exact_never_beyond() -> Result<()> {
    let exact = run("exact").await?;
    println!("exact: {exact}");
    ensure!(exact.overrun() == 0, "{exact:?}");
    ensure!(exact.used * 100 >= LIMIT * 95, "{exact:?}");
    ensure!(exact.slowest < WAIT, "{exact:?}");
    let estimate = run("estimate").await?;
    println!("estimate: {estimate}");
    let unchecked = run("off").await?;
    println!("off: {unchecked}");
    ensure!(estimate.used * 100 >= LIMIT * 90, "{estimate:?}");
    // What was in flight, which is all of the clients.
    let in_flight = (BOTTLES * CLIENTS_EACH) as u64 * CALL_TOKENS;
    ensure!(
        unchecked.overrun() > estimate.overrun(),
        "{estimate:?} {unchecked:?}"
    );
    ensure!(unchecked.overrun() < 8 * in_flight, "{unchecked:?}");
    ensure!(estimate.overrun() < LIMIT / 10, "{estimate:?}");
    Ok(())
}
