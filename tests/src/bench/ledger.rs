//! The ledger by itself: durable operations a second beside a loop of single inserts, the cost of a
//! charge and of a start by how many there are, the room they take, a reader that holds the log up,
//! and charges while old ones are rolled up.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bb_controller::ledger::{self, LedgerHandle, LedgerThread};
use bb_core::book::{Ask, Outcome, Registration, Rules};
use bb_core::estimate::{InputSize, Known};
use bb_proto::ids::{CallId, RunId};
use bb_proto::reply::Ending;
use bb_proto::usage::{Usage, Wire};
use rusqlite::Connection;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::parts::say;
use super::{Arguments, ratio};

/// A ledger of its own, with a bottle that runs.
struct Scene {
    path: PathBuf,
    handle: LedgerHandle,
    thread: Option<LedgerThread>,
    run: RunId,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn begin(folder: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(folder)?;
        let path = folder.path().join("ledger.db");
        let (handle, thread) = ledger::open(&path, Rules::default())?;
        let run = RunId(Uuid::now_v7());
        let web = Registration {
            name: "web".parse()?,
            run,
            token: "bb_bench".to_owned(),
            agent: Some("reviewer".parse()?),
            parents: None,
            provider: None,
            budgets: Vec::new(),
            command: Vec::new(),
            process: None,
            renew: false,
            uid: 0,
        };
        let registered = handle
            .act(move |book, now| book.register(web, false, now).map(drop))
            .await?;
        registered.map_err(|error| anyhow::anyhow!(error.message))?;
        Ok(Self {
            path,
            handle,
            thread: Some(thread),
            run,
            _folder: folder,
        })
    }

    /// Ends it, changes its file, and starts it again; returns how long the start took.
    fn again(
        &mut self,
        change: impl FnOnce(&Connection) -> anyhow::Result<()>,
    ) -> anyhow::Result<Duration> {
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
        // The last handle has the old file open.
        let parked = self.path.with_extension("parked");
        let (handle, thread) = ledger::open(&parked, Rules::default())?;
        self.handle = handle;
        thread.join();
        change(&Connection::open(&self.path)?)?;
        let begun = Instant::now();
        let (handle, thread) = ledger::open(&self.path, Rules::default())?;
        let took = begun.elapsed();
        (self.handle, self.thread) = (handle, Some(thread));
        Ok(took)
    }

    fn ask(&self) -> anyhow::Result<Ask> {
        Ok(Ask {
            bound: None,
            sidecar: None,
            call: CallId(Uuid::now_v7()),
            bottle: "web".parse()?,
            run: self.run,
            provider: "claude".parse()?,
            wire: Wire::AnthropicMessages,
            model: "claude-opus-4-8".to_owned(),
            input: InputSize::text(8_000),
            output_max: Some(64_000),
            choices: 1,
            background: false,
        })
    }
}

fn outcome() -> Outcome {
    Outcome {
        known: Known {
            stated: Usage {
                input: Some(400),
                cache_read: Some(30_000),
                cache_write: Some(500),
                output: Some(900),
                reasoning: None,
            },
            complete: true,
            flowed_bytes: 3_600,
            reasoning_bytes: 0,
        },
        others: Vec::new(),
        ending: Ending::Complete,
        status: Some(200),
    }
}

/// How long operations took, in microseconds.
#[derive(Default)]
struct Times(Vec<u64>);

impl Times {
    fn add(&mut self, took: Duration) {
        self.0
            .push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    fn at(&mut self, percent: usize) -> u64 {
        self.0.sort_unstable();
        let at = self.0.len() * percent / 100;
        self.0.get(at).or(self.0.last()).copied().unwrap_or(0)
    }
}

/// One call: a reservation, then a charge, each waited for.
async fn call(handle: &LedgerHandle, ask: Ask, times: &mut Times) -> anyhow::Result<()> {
    let call = ask.call;
    let begun = Instant::now();
    let ticket = handle.reserve(ask).await;
    times.add(begun.elapsed());
    let _ticket = ticket.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    let begun = Instant::now();
    handle.settle(call, outcome()).await?;
    times.add(begun.elapsed());
    Ok(())
}

/// So many callers as fast as they can; returns operations a second and the times of each.
async fn callers(scene: &Scene, count: usize, span: Duration) -> anyhow::Result<(u64, Times)> {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..count {
        let (handle, mut ask) = (scene.handle.clone(), scene.ask()?);
        tasks.spawn(async move {
            let mut times = Times::default();
            while begun.elapsed() < span {
                ask.call = CallId(Uuid::now_v7());
                call(&handle, ask.clone(), &mut times).await?;
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Times::default();
    while let Some(times) = tasks.join_next().await {
        all.0.extend(times??.0);
    }
    let per_second =
        u64::try_from(all.0.len())? * 1_000 / u64::try_from(begun.elapsed().as_millis())?.max(1);
    Ok((per_second, all))
}

/// A row a transaction, synced, on one connection: what a plain program would do.
fn single_inserts(folder: &Path, span: Duration) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir_in(folder)?;
    let connection = Connection::open(folder.path().join("plain.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection
        .execute_batch("CREATE TABLE rows (seq INTEGER PRIMARY KEY, call BLOB, text TEXT)")?;
    let mut insert = connection.prepare("INSERT INTO rows (call, text) VALUES (?1, ?2)")?;
    let text = "x".repeat(200);
    let begun = Instant::now();
    let mut rows = 0;
    while begun.elapsed() < span {
        insert.execute((Uuid::now_v7().into_bytes(), &text))?;
        rows += 1;
    }
    Ok(rows * 1_000 / u64::try_from(begun.elapsed().as_millis())?.max(1))
}

/// So many other bottles were charged as often in the last month: windows look back on that.
const BOTTLES: u32 = 20;
const DAY_MS: i64 = 86_400_000;
const QUARTER_MS: i64 = 900_000;

/// Brings the charges to so many, each an hour's hundredth after the one before, the last one so
/// many days ago.
fn fill(connection: &Connection, charges: u64, days_ago: i64) -> anyhow::Result<()> {
    let there: i64 = connection.query_row("SELECT count(*) FROM entries", [], |row| row.get(0))?;
    let more = charges.saturating_sub(u64::try_from(there)?);
    if more == 0 {
        return Ok(());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let last = i64::try_from(now)? - days_ago * 86_400_000;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
         BEGIN;
         CREATE TEMP TABLE one AS SELECT * FROM entries ORDER BY seq LIMIT 1;
         CREATE TEMP TABLE top AS SELECT max(seq) AS seq FROM entries;
         INSERT INTO entries (seq, kind, call, at, started_at, bottle, run, agent, provider, wire,
             model, input, cache_read, cache_write, output, reasoning, charge, overrun, estimated,
             ending, status)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {more})
         SELECT top.seq + i, kind, unhex(printf('019aa0b2%024x', top.seq + i)),
             {last} - ({more} - i) * 36000, {last} - ({more} - i) * 36000 - 1000, bottle, run, agent,
             provider, wire, model, input, cache_read, cache_write, output, reasoning, charge,
             overrun, estimated, ending, status
         FROM n, one, top;
         UPDATE balances SET posted = posted + {more} * (SELECT charge FROM one);
         DELETE FROM charged;
         WITH RECURSIVE bottle (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM bottle LIMIT {BOTTLES}),
             slot AS (SELECT provider, CASE
                     WHEN started_at < {last} - {DAY_MS} THEN started_at - started_at % {QUARTER_MS}
                     ELSE started_at - started_at % 60000 END AS at, sum(charge) AS charge
                 FROM entries WHERE started_at > {last} - 32 * {DAY_MS} GROUP BY 1, 2)
         INSERT INTO charged SELECT 'bottle:other-' || n, provider, at, charge, 0 FROM bottle, slot
             UNION ALL SELECT 'host', provider, at, charge, 0 FROM slot;
         COMMIT;
         DROP TABLE one; DROP TABLE top;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    Ok(())
}

/// Returns the bytes of the pages in use.
fn bytes(path: &Path) -> anyhow::Result<u64> {
    let number = |connection: &Connection, name: &str| -> anyhow::Result<u64> {
        let number: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
        Ok(u64::try_from(number)?)
    };
    let connection = Connection::open(path)?;
    let pages = number(&connection, "page_count")? - number(&connection, "freelist_count")?;
    Ok(pages * number(&connection, "page_size")?)
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = arguments
        .ledger_in
        .clone()
        .unwrap_or_else(std::env::temp_dir);
    let span = Duration::from_secs(arguments.seconds);
    operations(&folder, span).await?;
    by_size(&folder, arguments.charges_max).await?;
    long_read(&folder, span).await?;
    rolling(&folder, arguments.rolled_up).await
}

async fn operations(folder: &Path, span: Duration) -> anyhow::Result<()> {
    say("\nthe ledger: durable operations a second, of which a call is two");
    for count in [1, 16, 64, 1_000] {
        let scene = Scene::begin(folder).await?;
        let single = single_inserts(folder, span / 4)?;
        let (rate, mut times) = callers(&scene, count, span).await?;
        say(&format!(
            "{count:>5} callers: {rate:>7}/s, p50 {:>6} µs, p99 {:>6} µs; single inserts {single}/s, \
             ratio {:.2}",
            times.at(50),
            times.at(99),
            ratio(rate, single)
        ));
    }
    Ok(())
}

async fn by_size(folder: &Path, most: u64) -> anyhow::Result<()> {
    say("\nby how many charges there are: start, one charge after the other, room");
    let mut scene = Scene::begin(folder).await?;
    let mut none = Times::default();
    call(&scene.handle, scene.ask()?, &mut none).await?;
    let empty = bytes(&scene.path)?;
    for charges in [0, 100_000, 1_000_000, 10_000_000] {
        if charges > most {
            break;
        }
        let start = scene.again(|connection| fill(connection, charges, 0))?;
        let room = (bytes(&scene.path)? - empty).checked_div(charges);
        let mut times = Times::default();
        for _ in 0..2_000 {
            call(&scene.handle, scene.ask()?, &mut times).await?;
        }
        say(&format!(
            "{charges:>9} charges: start {:>5} ms; an operation p50 {} µs, p99 {} µs; {} bytes a charge",
            start.as_millis(),
            times.at(50),
            times.at(99),
            room.map_or("-".to_owned(), |bytes| bytes.to_string())
        ));
    }
    Ok(())
}

/// A reader that goes on and on, as no part of the controller does.
async fn long_read(folder: &Path, span: Duration) -> anyhow::Result<()> {
    let scene = Scene::begin(folder).await?;
    let log = scene.path.with_extension("db-wal");
    let length = || std::fs::metadata(&log).map_or(0, |file| file.len() >> 10);
    let (quiet, mut times) = callers(&scene, 64, span).await?;
    let before = (length(), times.at(99));
    let reader = Connection::open(&scene.path)?;
    reader.execute_batch("BEGIN; SELECT count(*) FROM entries;")?;
    let (held, mut times) = callers(&scene, 64, span).await?;
    let during = (length(), times.at(99));
    reader.execute_batch("COMMIT")?;
    let (after, mut times) = callers(&scene, 64, span).await?;
    say(&format!(
        "\na reader that holds the log up for {} s, 64 callers: before {quiet}/s, p99 {} µs, log {} kB; \
         during {held}/s, p99 {} µs, log {} kB; after {after}/s, p99 {} µs, log {} kB",
        span.as_secs(),
        before.1,
        before.0,
        during.1,
        during.0,
        times.at(99),
        length()
    ));
    Ok(())
}

/// Charges while old ones are rolled up, and while none are.
async fn rolling(folder: &Path, charges: u64) -> anyhow::Result<()> {
    let mut scene = Scene::begin(folder).await?;
    let mut none = Times::default();
    let empty = bytes(&scene.path)?;
    call(&scene.handle, scene.ask()?, &mut none).await?;
    scene.again(|connection| {
        fill(connection, charges, 100)?;
        // The one that the others were made of.
        connection.execute_batch("UPDATE entries SET at = 0, started_at = 0 WHERE seq < 10")?;
        Ok(())
    })?;
    let before = (bytes(&scene.path)? - empty) / charges.max(1);
    let mut quiet = Times::default();
    paced(&scene, &mut quiet, |elapsed| {
        Ok(elapsed > Duration::from_secs(5))
    })
    .await?;
    let reader = Connection::open(&scene.path)?;
    let last = i64::try_from(charges)?;
    let left = || -> anyhow::Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM entries WHERE seq <= ?1)";
        Ok(reader.query_row(sql, [last], |row| row.get(0))?)
    };
    scene.handle.keep_calls(Duration::from_hours(90 * 24));
    let begun = Instant::now();
    let mut during = Times::default();
    paced(&scene, &mut during, |_| Ok(!left()?)).await?;
    let took = begun.elapsed();
    let after = (bytes(&scene.path)? - empty) * 100 / charges.max(1);
    say(&format!(
        "\nrolling up {charges} charges took {:.1} s; meanwhile an operation, 16 callers at some pace: p50 {} µs, \
         p99 {} µs, worst {} µs (without: {} µs, {} µs, {} µs); {before} bytes a charge before, {}.{:02} after",
        took.as_secs_f64(),
        during.at(50),
        during.at(99),
        during.at(100),
        quiet.at(50),
        quiet.at(99),
        quiet.at(100),
        after / 100,
        after % 100
    ));
    Ok(())
}

/// Sixteen callers with a pause between calls, until it is done.
async fn paced(
    scene: &Scene,
    times: &mut Times,
    mut done: impl FnMut(Duration) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !done(begun.elapsed())? {
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let (handle, mut ask) = (scene.handle.clone(), scene.ask()?);
            tasks.spawn(async move {
                let mut times = Times::default();
                for _ in 0..20 {
                    ask.call = CallId(Uuid::now_v7());
                    call(&handle, ask.clone(), &mut times).await?;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                anyhow::Ok(times)
            });
        }
        while let Some(ended) = tasks.join_next().await {
            times.0.extend(ended??.0);
        }
    }
    Ok(())
}
