//! Owns the order in which a file is read: its tree, then each part of it, each mistake told.

use std::time::Duration;

use bb_core::budget::WARN_DEFAULT;
use bb_proto::budget::Scope;
use bb_proto::ids::ProviderKey;
use bb_proto::reply::Mistake;

use super::block::{Block, file_entries};
use super::budget::{Context, GATES, POLICIES, UNBOUNDED};
use super::keys::TOP;
use super::mistakes::{At, Mistakes};
use super::tree::{self, Node};
use super::{
    InFlight, SETTINGS_BYTES_MAX, Settings, agent, bottle, budget, egress, on_event, provider,
    value,
};

/// The longest time that can be written for what may wait.
const WAIT_MAX: Duration = Duration::from_hours(1);
/// The longest time that the answer to a client that hung up can be read on.
const DRAIN_MAX: Duration = Duration::from_mins(10);
/// The least floor that can be written: OpenAI takes no smaller cap.
const FLOOR_MIN: u64 = 16;
/// The largest floor that can be written.
const FLOOR_MAX: u64 = 1_000_000;
/// The shortest time that calls can be kept one by one: a month, so that they say what was spent in
/// any window.
const KEEP_CALLS_MIN: Duration = Duration::from_hours(32 * 24);
/// The longest: a hundred years.
const KEEP_CALLS_MAX: Duration = Duration::from_hours(36_500 * 24);
const IN_FLIGHT: &[(&str, InFlight)] = &[("cut", InFlight::Cut), ("finish", InFlight::Finish)];

/// Returns bytes as text; else says where they are none.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Vec<Mistake>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let before = std::str::from_utf8(before).unwrap_or_default();
        let last = before.rsplit('\n').next().unwrap_or_default();
        let place = At {
            line: number(before.matches('\n').count() + 1),
            column: number(last.chars().count() + 1),
        };
        let mut mistakes = Mistakes::default();
        mistakes.add(place, "this byte is not UTF-8", "save the file as UTF-8");
        mistakes.into_sorted()
    })
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Returns what a text sets; else every mistake in it.
pub(super) fn settings(text: &str, known: &[ProviderKey]) -> Result<Settings, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let settings = if u64::try_from(text.len()).is_ok_and(|bytes| bytes <= SETTINGS_BYTES_MAX) {
        tree::read(text, &mut mistakes).map(|root| of_file(&root, known, &mut mistakes))
    } else {
        let text = format!("the settings are larger than {SETTINGS_BYTES_MAX} bytes");
        mistakes.add_plain(At::START, text);
        None
    };
    let mistakes = mistakes.into_sorted();
    if mistakes.is_empty() {
        Ok(settings.unwrap_or_default())
    } else {
        Err(mistakes)
    }
}

fn of_file(root: &Node, known: &[ProviderKey], mistakes: &mut Mistakes) -> Settings {
    let defaults = Settings::default();
    let file = Block::of(file_entries(root, mistakes), &TOP, mistakes);
    let time = |name, most, default, mistakes: &mut Mistakes| {
        file.get(name)
            .and_then(|entry| value::duration(entry, Duration::ZERO, most, mistakes))
            .unwrap_or(default)
    };
    let shutdown = file
        .get("shutdown")
        .and_then(|entry| value::choice(entry, POLICIES, mistakes));
    let gate = file
        .get("gate")
        .and_then(|entry| value::choice(entry, GATES, mistakes));
    let unbounded = file
        .get("unbounded")
        .and_then(|entry| value::choice(entry, UNBOUNDED, mistakes));
    let floor = file
        .get("floor")
        .and_then(|entry| value::tokens(entry, FLOOR_MIN, FLOOR_MAX, mistakes));
    let in_flight = file
        .get("in_flight")
        .and_then(|entry| value::choice(entry, IN_FLIGHT, mistakes));
    let warn = file
        .get("warn")
        .and_then(|entry| value::warn(entry, mistakes))
        .unwrap_or_else(|| WARN_DEFAULT.to_vec());
    let wait = time("wait", WAIT_MAX, defaults.wait, mistakes);
    let drain = time("drain", DRAIN_MAX, defaults.drain, mistakes);
    let keep_calls = file
        .get("keep_calls")
        .and_then(|entry| value::duration(entry, KEEP_CALLS_MIN, KEEP_CALLS_MAX, mistakes))
        .unwrap_or(defaults.keep_calls);
    let time_zone = file
        .get("timezone")
        .and_then(|entry| value::time_zone(entry, mistakes));
    let on_event = file
        .get("on_event")
        .and_then(|entry| on_event::read(entry, mistakes));
    let egress = file
        .get("egress")
        .map(|entry| egress::read(entry, mistakes))
        .unwrap_or_default();

    let all_providers = provider::all(file.get("providers"), known);
    let providers = file
        .get("providers")
        .map(|entry| provider::read(entry, known, egress.listen, mistakes));
    let context = Context {
        providers: &all_providers,
        warn: &warn,
    };
    let mut budgets = file
        .get("budget")
        .map(|entry| budget::read(entry, Some(&Scope::Host), &context, mistakes))
        .unwrap_or_default();
    let bottles = file
        .get("bottles")
        .map(|entry| bottle::read(entry, &context, &mut budgets, mistakes));
    let agents = file
        .get("agents")
        .map(|entry| agent::read(entry, &context, &mut budgets, mistakes));
    budgets.sort_by_key(|budget| budget.line);
    Settings {
        budgets,
        shutdown: shutdown.unwrap_or_default(),
        gate: gate.unwrap_or_default(),
        unbounded: unbounded.unwrap_or_default(),
        floor: floor.unwrap_or(defaults.floor),
        wait,
        drain,
        keep_calls,
        in_flight: in_flight.unwrap_or_default(),
        warn,
        time_zone,
        on_event,
        bottles: bottles.unwrap_or_default(),
        agents: agents.unwrap_or_default(),
        providers: providers.unwrap_or_default(),
        egress,
    }
}
