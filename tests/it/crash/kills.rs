//! Killed without a warning, at every moment of a call, again and again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_tests::harness::Daemon;
use bb_tests::provider::{Ending, Provider, Script};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::load::{Asked, File, NothingIsWritten, ask};
use super::number_of;
use crate::home::Place;
use crate::socket::raw::Raw;

/// How often it is killed, where nothing else is said: each kind of moment some times.
const KILLS: usize = 20;
/// The kinds of moments at which it is.
const MOMENTS: usize = 6;
/// How long what must not be seen may take to be seen.
pub(super) const LONG_ENOUGH: Duration = Duration::from_millis(150);
/// How many ask at once.
const CALLERS: usize = 8;
/// A start may take this long at the very most; on a machine of its own it is a twentieth of it.
pub(super) const START_LIMIT: Duration = Duration::from_secs(5);

/// What was asked so far.
#[derive(Default)]
struct Clients {
    asked: Mutex<Vec<Asked>>,
    numbers: AtomicUsize,
    saw_end: Notify,
}

impl Clients {
    fn seen(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panicked").clone()
    }

    /// Asks and asks until `stop`.
    async fn work(self: Arc<Self>, egress: String, token: String, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let asked = ask(&egress, &token, number).await;
            let saw_end = asked.saw_end;
            self.asked.lock().expect("no test panicked").push(asked);
            if saw_end {
                self.saw_end.notify_one();
            }
        }
    }
}

/// Waits for a moment of some call that is under way.
async fn moment(
    round: usize,
    place: &Place,
    provider: &Provider,
    clients: &Clients,
) -> Result<Option<NothingIsWritten>> {
    let before = provider.calls().len();
    match round % MOMENTS {
        // Asked, and nothing came back yet.
        0 => {
            let waits = |call: &bb_tests::provider::Call| {
                call.answer.events == 0 && call.answer.ending.is_none()
            };
            provider
                .wait_for(|calls| calls.iter().skip(before).any(waits))
                .await?;
        }
        // In the middle of a stream.
        1 => {
            let flows = |call: &bb_tests::provider::Call| {
                call.answer.events >= 3 && call.answer.ending.is_none()
            };
            provider
                .wait_for(|calls| calls.iter().skip(before).any(flows))
                .await?;
        }
        // The provider has said all, whoever has heard it.
        2 => {
            let ended =
                |call: &bb_tests::provider::Call| call.answer.ending == Some(Ending::Finished);
            let enough = 3 + round % 4;
            provider
                .wait_for(|calls| {
                    calls.iter().skip(before).filter(|call| ended(call)).count() > enough
                })
                .await?;
        }
        // A client has just seen the end.
        3 => {
            for _ in 0..=round % 7 {
                clients.saw_end.notified().await;
            }
        }
        // Nothing can be written: no call may pass, and no end be seen.
        4 => {
            clients.saw_end.notified().await;
            let locked = NothingIsWritten::begin(place)?;
            tokio::time::sleep(LONG_ENOUGH).await;
            return Ok(Some(locked));
        }
        // Any.
        _ => {
            let after = u64::try_from(round * 37 % 90)?;
            tokio::time::sleep(Duration::from_millis(20 + after)).await;
        }
    }
    Ok(None)
}

/// Compares the three books: the clients', the provider's, and the ledger.
///
/// Returns how many calls were charged to the token, and how many by estimate after a crash.
pub(super) fn compare(
    place: &Place,
    provider: &Provider,
    asked: &[Asked],
) -> Result<(usize, usize)> {
    let file = File::open(place)?;
    assert_eq!(file.number("SELECT count(*) FROM open_calls")?, 0);
    let mut ledger = BTreeMap::new();
    for charged in file.charged()? {
        let twice = ledger.insert(charged.model.clone(), charged);
        assert!(twice.is_none(), "{twice:?}");
    }
    let seen: BTreeMap<_, _> = provider
        .calls()
        .into_iter()
        .map(|call| (call.request.model.clone(), call.answer))
        .collect();
    let mut exact = 0;
    for asked in asked {
        let Some(said) = asked.saw_end.then(|| seen.get(&asked.model)).flatten() else {
            continue;
        };
        // Who saw the end was charged, to the token.
        let charged = ledger
            .get(&asked.model)
            .with_context(|| asked.model.clone())?;
        assert_eq!(
            (charged.kind.as_str(), charged.estimated),
            ("settle", false),
            "{charged:?}"
        );
        assert_eq!(charged.ending, "complete");
        assert_eq!(charged.usage, said.stated, "{charged:?}");
        exact += 1;
    }
    for model in seen.keys() {
        // Whatever reached the provider costs something.
        let charged = ledger
            .get(model)
            .with_context(|| format!("{model} was not charged"))?;
        assert!(
            charged.kind == "settle" && charged.charge > 0,
            "{charged:?}"
        );
    }
    let crashed = ledger.values().filter(|charged| charged.ending == "crash");
    let crashed: Vec<_> = crashed.collect();
    assert!(
        crashed
            .iter()
            .all(|charged| charged.estimated && charged.charge > 0)
    );
    let charges = file.number("SELECT coalesce(sum(charge), 0) FROM entries")?;
    let posted =
        file.number("SELECT coalesce(sum(posted), 0) FROM balances WHERE account = 'host'")?;
    assert_eq!(charges, posted);
    Ok((exact, crashed.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_charges_what_was_seen_once_and_all_of_it() -> Result<()> {
    let provider = Provider::start(Script {
        events: 8,
        delay: Duration::from_millis(3),
        first_byte_delay: Duration::from_millis(8),
        ..Script::default()
    })
    .await?;
    let place = Place::before(&provider, "budget:\n  all: 1G\n")?;
    let mut daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let web = raw
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    let token = web["token"].as_str().context("a token")?.to_owned();
    let clients = Arc::new(Clients::default());
    let mut slowest = Duration::ZERO;
    let kills = number_of("BB_KILLS", KILLS);
    let mut crashed_before = 0;
    for round in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (egress, token) = (daemon.egress.clone(), token.clone());
            callers.spawn(Arc::clone(&clients).work(egress, token, Arc::clone(&stop)));
        }
        let locked = moment(round, &place, &provider, &clients).await?;
        stop.store(true, Ordering::Relaxed);
        daemon.kill()?;
        drop(locked);
        while let Some(ended) = callers.join_next().await {
            ended?;
        }
        let begun = Instant::now();
        daemon = place.start()?;
        slowest = slowest.max(begun.elapsed());
        let (_, crashed) = compare(&place, &provider, &clients.seen())?;
        // No more are guessed than were in flight.
        assert!(crashed - crashed_before <= CALLERS, "round {round}");
        crashed_before = crashed;
    }
    let (exact, crashed) = compare(&place, &provider, &clients.seen())?;
    println!("{exact} charged to the token, {crashed} by estimate; slowest start {slowest:?}");
    assert!(slowest < START_LIMIT, "{slowest:?}");
    // Each kind of end has come about, or nothing was shown.
    assert!(exact > kills && crashed > kills / 2, "{exact} {crashed}");
    check_what_is_said(&place, &daemon, crashed).await
}

/// What clients are told fits: nothing is in flight, and every recovery was said.
async fn check_what_is_said(place: &Place, daemon: &Daemon, crashed: usize) -> Result<()> {
    let mut raw = Raw::connect(&place.home).await?;
    let head = raw.result("snapshot", json!({})).await?["head"].clone();
    assert_eq!(head["totals"]["in_flight"], 0);
    assert_eq!(head["pid"], daemon.pid());
    let page = raw
        .result("events.list", json!({"match": "were open", "limit": 1000}))
        .await?;
    let mut told = 0;
    for event in page["events"].as_array().context("events")? {
        assert_eq!(event["kind"], "recovered");
        let text = event["text"].as_str().context("a sentence")?;
        told += text
            .split(' ')
            .next()
            .context("a number")?
            .parse::<usize>()?;
    }
    assert_eq!(told, crashed);
    Ok(())
}
