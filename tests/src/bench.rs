//! The benches of the whole proxy: the provider directly, nginx in front of it, and the controller
//! in front of it, side by side in one run; and of its ledger alone, beside a loop of single inserts.
//! Ratios are what counts; the machine is said with them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

mod calls;
mod ledger;
mod parts;
mod streams;

use parts::{Parts, Target};

/// Measures what the proxy costs, against nginx as a plain reverse proxy and against nothing.
#[derive(Debug, Parser)]
struct Arguments {
    /// The controller's program
    #[arg(long)]
    controller: PathBuf,
    /// The scripted provider's program
    #[arg(long)]
    provider: PathBuf,
    /// nginx
    #[arg(long, default_value = "nginx")]
    nginx: PathBuf,
    /// Rounds of each, interleaved
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Calls a round at one client
    #[arg(long, default_value_t = 1_000)]
    calls: usize,
    /// Seconds a round at 16 clients
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Streams at once
    #[arg(long, default_value_t = 1_000)]
    streams: usize,
    /// Rounds of the streams, interleaved
    #[arg(long, default_value_t = 3)]
    stream_rounds: usize,
    /// The most charges that a ledger is filled with
    #[arg(long, default_value_t = 10_000_000)]
    charges_max: u64,
    /// Charges that are rolled up
    #[arg(long, default_value_t = 1_000_000)]
    rolled_up: u64,
    /// Where ledgers are made; else where temporary files are
    #[arg(long, value_name = "FOLDER")]
    ledger_in: Option<PathBuf>,
    /// Only these: calls, burst, streams, ledger
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "calls,burst,streams,ledger"
    )]
    only: Vec<String>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = runtime
        .context("starting threads")
        .and_then(|runtime| runtime.block_on(run(&arguments)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            parts::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let wants = |what: &str| arguments.only.iter().any(|only| only == what);
    parts::say(&parts::machine());
    if wants("calls") || wants("burst") {
        let parts = Parts::start(arguments, &["--events", "20", "--calls-kept", "0"]).await?;
        let targets = parts.targets();
        if wants("calls") {
            one_client(arguments, &targets)?;
        }
        if wants("burst") {
            sixteen_clients(arguments, &targets)?;
        }
    }
    if wants("streams") {
        let slow = ["--events", "200", "--delay-ms", "50", "--calls-kept", "0"];
        let parts = Parts::start(arguments, &slow).await?;
        many_streams(arguments, &parts).await?;
    }
    if wants("ledger") {
        ledger::run(arguments).await?;
    }
    Ok(())
}

/// One client, one call after the other: what each adds to the first byte and to the last.
fn one_client(arguments: &Arguments, targets: &[Target]) -> anyhow::Result<()> {
    let mut seen: Vec<calls::Times> = targets.iter().map(|_| calls::Times::default()).collect();
    for target in targets {
        calls::in_turn(target, arguments.calls / 2)?;
    }
    for _ in 0..arguments.rounds {
        for (target, times) in targets.iter().zip(&mut seen) {
            times.add(calls::in_turn(target, arguments.calls)?);
        }
    }
    parts::say("\n1 client, 20 events without delay, prompt of 2 kB; µs, medians of rounds");
    parts::say("             first p50   first p99    last p50    last p99");
    for (target, times) in targets.iter().zip(&seen) {
        let [a, b, c, d] = times.medians();
        parts::say(&format!(
            "{:<11} {a:>10} {b:>11} {c:>11} {d:>11}",
            target.name
        ));
    }
    let [direct, nginx, ours] = seen.as_slice() else {
        return Ok(());
    };
    let (direct, nginx, ours) = (direct.medians(), nginx.medians(), ours.medians());
    for (what, at) in [
        ("first byte, p50", 0),
        ("first byte, p99", 1),
        ("last byte, p50", 2),
    ] {
        let added = |of: [u64; 4]| of[at].saturating_sub(direct[at]);
        parts::say(&format!(
            "added to the {what}: nginx {} µs, controller {} µs, ratio {:.2}",
            added(nginx),
            added(ours),
            ratio(added(ours), added(nginx)),
        ));
    }
    Ok(())
}

/// Sixteen clients as fast as they can: calls a second.
fn sixteen_clients(arguments: &Arguments, targets: &[Target]) -> anyhow::Result<()> {
    let mut rates: Vec<Vec<u64>> = targets.iter().map(|_| Vec::new()).collect();
    let span = Duration::from_secs(arguments.seconds);
    for _ in 0..arguments.rounds {
        for (target, rates) in targets.iter().zip(&mut rates) {
            rates.push(calls::at_once(target, 16, span)?);
        }
    }
    parts::say("\n16 clients, 20 events without delay: calls a second, median (min..max)");
    let mut medians = Vec::new();
    for (target, rates) in targets.iter().zip(&mut rates) {
        rates.sort_unstable();
        let (least, most) = (rates.first().copied(), rates.last().copied());
        let median = rates.get(rates.len() / 2).copied().unwrap_or(0);
        medians.push(median);
        parts::say(&format!(
            "{:<11} {median:>8}  ({}..{})",
            target.name,
            least.unwrap_or(0),
            most.unwrap_or(0)
        ));
    }
    if let [_, nginx, ours] = medians.as_slice() {
        parts::say(&format!("controller / nginx: {:.2}", ratio(*ours, *nginx)));
    }
    Ok(())
}

/// Many slow streams at once, as agents have them: processor time and memory.
async fn many_streams(arguments: &Arguments, parts: &Parts) -> anyhow::Result<()> {
    let count = arguments.streams;
    parts::say(&format!(
        "\n{count} streams at once, 200 events 50 ms apart"
    ));
    let targets = parts.targets();
    let mut cpu: Vec<Vec<u64>> = targets.iter().map(|_| Vec::new()).collect();
    let mut directly: Option<String> = None;
    for round in 0..arguments.stream_rounds {
        for (target, cpu) in targets.iter().zip(&mut cpu) {
            let seen = streams::run(target, count).await?;
            // What an allocator keeps of one round is there in the next.
            let memory = match round {
                0 => format!(", memory {} kB a stream", seen.bytes_a_stream / 1_000),
                _ => String::new(),
            };
            parts::say(&format!(
                "{:<11} CPU {:>5} ms, {} events, {} lost or changed{memory}",
                target.name,
                seen.cpu.as_millis(),
                seen.events,
                seen.wrong,
            ));
            anyhow::ensure!(seen.wrong == 0, "{} lost or changed events", target.name);
            let said = directly.get_or_insert_with(|| seen.said.clone());
            anyhow::ensure!(*said == seen.said, "{} changes events", target.name);
            cpu.push(u64::try_from(seen.cpu.as_millis())?);
        }
    }
    let medians = cpu.iter_mut().map(|cpu| {
        cpu.sort_unstable();
        cpu.get(cpu.len() / 2).copied().unwrap_or(0)
    });
    if let [_, nginx, ours] = medians.collect::<Vec<u64>>().as_slice() {
        parts::say(&format!(
            "CPU, controller / nginx, medians: {:.2}",
            ratio(*ours, *nginx)
        ));
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio of two small figures, for people"
)]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}
