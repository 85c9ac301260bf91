//! `bb-ctl status`.

use bb_proto::home::Home;
use bb_proto::reply::{EstimateErrors, Hooks, Spread};
use bb_proto::request::Health;
use bb_proto::time::Timestamp;
use bb_proto::view::{Head, Ledger};
use serde_json::json;

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::words;
use crate::format::{self, text};

pub(super) fn run(home: &Home, connection: &mut Connection, output: Output) -> Outcome {
    let log = connection.hello().log.clone();
    let head = connection.snapshot()?.head;
    let health = connection.call(&Health {})?;
    let (estimates, hooks) = (health.estimates, health.hooks);
    let socket = home.socket().to_string_lossy().into_owned();
    let settings = home.settings().to_string_lossy().into_owned();
    let status = json!({
        "version": head.version,
        "protocol": head.protocol,
        "pid": head.pid,
        "home": head.home,
        "socket": socket,
        "log": log,
        "settings": head.has_settings.then_some(&settings),
        "egress": head.egress,
        "started_at": head.started_at,
        "now": head.now,
        "time_zone": head.time_zone,
        "ledger": head.ledger,
        "totals": head.totals,
        "revision": head.revision,
        "estimates": estimates,
        "hooks": hooks,
    });
    output.show(&status, |_| {
        let mut page = page(&head, &socket, &log, &settings);
        page.extend(estimates.iter().map(|(provider, errors)| {
            let text = format!("{provider}: {}", of_estimates(errors));
            line("estimates", &text)
        }));
        page.extend(
            hooks
                .iter()
                .map(|hooks| line("hooks", &of_hooks(hooks, head.now))),
        );
        page.join("\n")
    })?;
    Ok(Exit::DONE)
}

fn page(head: &Head, socket: &str, log: &str, settings: &str) -> Vec<String> {
    let up = format::duration_ms(head.now.since(head.started_at).0);
    let settings = if head.has_settings {
        settings.to_owned()
    } else {
        format!("{settings} is not there: only budgets set by command limit anything")
    };
    [
        (
            "controller",
            format!("{}, pid {}, up {up}", head.version, head.pid),
        ),
        ("home", head.home.clone()),
        ("socket", socket.to_owned()),
        ("log", log.to_owned()),
        ("settings", settings),
        ("egress", head.egress.clone()),
        ("ledger", ledger(&head.ledger, head.now)),
        ("bottles", bottles(head)),
        (
            "calls",
            format!(
                "{} in flight, {} waiting{}, {} tokens in the last minute",
                head.totals.in_flight,
                head.totals.waiting,
                head.totals.waiting_since.map_or_else(String::new, |since| {
                    format!(" for {}", format::duration_ms(head.now.since(since).0))
                }),
                format::tokens(head.totals.rate_per_minute)
            ),
        ),
    ]
    .map(|(what, text)| line(what, &text))
    .to_vec()
}

fn line(what: &str, text: &str) -> String {
    format!("{what:<12}{text}")
}

/// Says how far estimates were from what the provider then stated.
fn of_estimates(errors: &EstimateErrors) -> String {
    format!(
        "input within {}, output within {}, over {}",
        spread(errors.input),
        spread(errors.output),
        words::count(errors.calls, "call"),
    )
}

fn spread(spread: Spread) -> String {
    let percent = |thousandths: u32| thousandths.div_ceil(10);
    format!(
        "{} % (median; p95 {} %)",
        percent(spread.median_thousandths),
        percent(spread.p95_thousandths)
    )
}

/// Says how the command that is run at events fared.
fn of_hooks(hooks: &Hooks, now: Timestamp) -> String {
    let last = hooks
        .last_failure
        .as_ref()
        .map_or_else(String::new, |last| {
            let ago = format::age(now, last.at);
            format!("; last failure {ago}: {}", text::clean(&last.text))
        });
    format!(
        "{} running, {} ended well, {} failed, {} left out{last}",
        hooks.running,
        hooks.succeeded,
        hooks.failed,
        words::count(hooks.dropped, "event"),
    )
}

fn ledger(ledger: &Ledger, now: Timestamp) -> String {
    match ledger {
        Ledger::Ok => "takes charges".to_owned(),
        Ledger::Failing { since } => {
            format!(
                "failing, {}: new calls are refused",
                format::age(now, *since)
            )
        }
    }
}

fn bottles(head: &Head) -> String {
    let totals = &head.totals;
    let states: Vec<String> = totals
        .by_state
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(state, count)| format!("{count} {}", words::state(*state)))
        .collect();
    let states = if states.is_empty() {
        String::new()
    } else {
        format!(": {}", states.join(", "))
    };
    let open = if totals.orders_open > 0 {
        format!(
            "; {} not carried out yet",
            words::count(totals.orders_open, "order")
        )
    } else {
        String::new()
    };
    format!("{}{states}{open}", totals.bottles)
}
