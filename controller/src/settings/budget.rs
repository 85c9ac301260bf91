//! Owns the reading of budgets: by provider, each a limit, a mapping of options, or several
//! windows.

use std::str::FromStr;

use bb_proto::budget::{
    BudgetKey, Cap, Gate, KeyError, Policy, ProviderSelector, Scope, TimeOfDay, Unbounded, Weekday,
    Window,
};
use bb_proto::ids::ProviderKey;
use bb_proto::units::Tokens;

use super::BudgetSetting;
use super::block::{Block, filled_mapping};
use super::keys::BUDGET;
use super::mistakes::{At, Mistakes, nearest, quote};
use super::tree::{Entry, Kind};
use super::value;

pub(super) const POLICIES: &[(&str, Policy)] = &[("cutoff", Policy::Cutoff)];
pub(super) const GATES: &[(&str, Gate)] = &[
    ("off", Gate::Off),
    ("estimate", Gate::Estimate),
    ("exact", Gate::Exact),
];
pub(super) const UNBOUNDED: &[(&str, Unbounded)] = &[
    ("refuse", Unbounded::Refuse),
    ("estimate", Unbounded::Estimate),
];
const CAPS: &[(&str, Cap)] = &[("hard", Cap::Hard), ("soft", Cap::Soft)];

/// What the rest of the file says that budgets are read by.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// The providers there are: known ones and those the file declares.
    pub(super) providers: &'a [ProviderKey],
    /// The warning levels of a budget that has none of its own.
    pub(super) warn: &'a [u8],
}

/// Reads what stands behind `budget:`; without a scope, since its name is wrong, only for its
/// mistakes.
pub(super) fn read(
    entry: &Entry,
    scope: Option<&Scope>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Vec<BudgetSetting> {
    if let Kind::Scalar(scalar) = &entry.value.kind {
        mistakes.add(
            entry.value.at,
            format!(
                "expected budgets by provider, and found {}",
                quote(&scalar.text)
            ),
            entry.value.spaced_hint().unwrap_or_else(|| {
                "write a line for each provider under it, such as \"claude: 5M\"; \"all: 5M\" is for \
                 every provider together"
                    .to_owned()
            }),
        );
        return Vec::new();
    }
    let mut reader = Reader {
        scope,
        context,
        mistakes,
        budgets: Vec::new(),
    };
    let providers = filled_mapping(entry, "budgets by provider", reader.mistakes).unwrap_or(&[]);
    for provider in providers {
        if let Some(selector) = selector(provider, context.providers, reader.mistakes) {
            reader.provider(provider, &selector);
        }
    }
    reader.budgets
}

fn selector(
    entry: &Entry,
    providers: &[ProviderKey],
    mistakes: &mut Mistakes,
) -> Option<ProviderSelector> {
    let word = entry.key.as_str();
    if BUDGET.has(word) || is_window(word) {
        let found = quote(word);
        mistakes.add(
            entry.at,
            format!("expected a provider, and found {found}"),
            format!("put it under a provider: \"claude:\", then {found} further indented"),
        );
        return None;
    }
    if word == "all" {
        return Some(ProviderSelector::All);
    }
    provider(word, entry.at, providers, mistakes).map(ProviderSelector::One)
}

/// Returns a provider that there is.
pub(super) fn provider(
    word: &str,
    at: At,
    providers: &[ProviderKey],
    mistakes: &mut Mistakes,
) -> Option<ProviderKey> {
    if let Some(key) = providers.iter().find(|key| key.as_str() == word) {
        return Some(key.clone());
    }
    let names = || providers.iter().map(ProviderKey::as_str);
    let listed = names().collect::<Vec<_>>().join(", ");
    let hint = match nearest(word, names()) {
        Some(meant) => format!("did you mean \"{meant}\"? There are {listed}"),
        None => format!("there are {listed}; a new one is declared under \"providers:\""),
    };
    mistakes.add(at, format!("unknown provider {}", quote(word)), hint);
    None
}

fn is_window(word: &str) -> bool {
    let kind = word.split(' ').next().unwrap_or(word);
    Window::KINDS.contains(&kind)
}

struct Reader<'a> {
    scope: Option<&'a Scope>,
    context: &'a Context<'a>,
    mistakes: &'a mut Mistakes,
    budgets: Vec<BudgetSetting>,
}

impl Reader<'_> {
    fn provider(&mut self, entry: &Entry, provider: &ProviderSelector) {
        let entries = match &entry.value.kind {
            Kind::Mapping(entries) if !entries.is_empty() => entries,
            Kind::Mapping(_) | Kind::Nothing => {
                let text = format!("the budget of {} has no limit", quote(&entry.key));
                self.mistakes
                    .add(entry.at, text, "write it behind the colon, such as 5M");
                return;
            }
            Kind::List(_) => {
                let text = "expected a number of tokens or a mapping, and found a list";
                let hint = "several windows are written by name, such as \"total: 5M\"";
                self.mistakes.add(entry.value.at, text, hint);
                return;
            }
            Kind::Scalar(_) | Kind::Refused => {
                let limit = value::limit(entry, self.mistakes);
                let block = Block::of([], &BUDGET, self.mistakes);
                self.add(
                    entry,
                    provider,
                    Some((Window::Total, entry.at)),
                    limit,
                    &block,
                );
                return;
            }
        };
        let option = |entry: &Entry| BUDGET.has(&entry.key);
        if entries.iter().any(like_window) && !entries.iter().any(option) {
            for window in entries {
                self.window(window, provider);
            }
            return;
        }
        let (windows, options): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| is_window(&entry.key));
        for window in windows {
            self.mistakes.add(
                window.at,
                format!("the window {} stands beside the options of one budget", quote(&window.key)),
                "write either options (limit, cap, …) or windows by name, each with its own options",
            );
        }
        let block = Block::of(options, &BUDGET, self.mistakes);
        let window = match block.get("window") {
            None => Some((Window::Total, entry.at)),
            Some(window) => value::scalar(window, "a window such as day", self.mistakes)
                .and_then(|scalar| read_window(&scalar.text, window.value.at, self.mistakes)),
        };
        let limit = self.limit(entry, &block);
        self.add(entry, provider, window, limit, &block);
    }

    fn window(&mut self, entry: &Entry, provider: &ProviderSelector) {
        let window = read_window(&entry.key, entry.at, self.mistakes);
        let entries = match &entry.value.kind {
            Kind::Mapping(entries) if !entries.is_empty() => entries.as_slice(),
            Kind::Mapping(_) | Kind::Nothing | Kind::List(_) => {
                self.mistakes.add(
                    entry.at,
                    format!("the window {} has no limit", quote(&entry.key)),
                    "write it behind the colon, such as 5M",
                );
                return;
            }
            Kind::Scalar(_) | Kind::Refused => &[],
        };
        let block = Block::of(entries, &BUDGET, self.mistakes);
        if let Some(inner) = block.get("window") {
            self.mistakes.add(
                inner.at,
                "this budget has its window already in its name",
                format!("take this line away; the window is {}", quote(&entry.key)),
            );
        }
        let limit = match entries {
            [] => value::limit(entry, self.mistakes),
            _ => self.limit(entry, &block),
        };
        self.add(entry, provider, window, limit, &block);
    }

    fn limit(&mut self, entry: &Entry, block: &Block<'_>) -> Option<Tokens> {
        if let Some(limit) = block.get("limit") {
            return value::limit(limit, self.mistakes);
        }
        self.mistakes.add(
            entry.at,
            format!("the budget {} has no limit", quote(&entry.key)),
            "write \"limit:\" and a number of tokens under it, such as \"limit: 5M\"",
        );
        None
    }

    /// Adds a budget, where nothing of it is wrong; its options are read in any case.
    fn add(
        &mut self,
        entry: &Entry,
        provider: &ProviderSelector,
        window: Option<(Window, At)>,
        limit: Option<Tokens>,
        block: &Block<'_>,
    ) {
        let window = window.and_then(|(window, at)| Some((self.turning(window, block)?, at)));
        let key = window.and_then(|(window, at)| self.key(provider, window, at));
        let options = Options::read(block, self.mistakes);
        if let (Some(most), Some(limit), Some(entry)) =
            (options.per_call, limit, block.get("per_call"))
            && most >= limit
        {
            let text = format!(
                "{} does nothing, being the limit or more",
                quote("per_call")
            );
            let hint = "write less than the limit, or take this line away";
            self.mistakes.add(entry.at, text, hint);
        }
        if let (Some(key), Some(limit)) = (key, limit) {
            self.refuse_twice(&key, entry);
            self.budgets.push(BudgetSetting {
                key,
                limit,
                per_call: options.per_call,
                cap: options.cap.unwrap_or_default(),
                ceiling: options.ceiling.unwrap_or_default(),
                warn: options.warn.unwrap_or_else(|| self.context.warn.to_vec()),
                policy: options.policy,
                gate: options.gate,
                unbounded: options.unbounded,
                line: entry.at.line,
            });
        }
    }

    /// Returns the window as its options say when it turns.
    fn turning(&mut self, window: Window, block: &Block<'_>) -> Option<Window> {
        let begun = match block.get("week_starts") {
            None => Some(window),
            Some(entry) => self
                .said(entry, "a day such as mon")
                .and_then(|day: Weekday| self.applied(window.beginning_on(day), entry, "a week")),
        };
        let turned = match block.get("resets_at") {
            None => begun,
            Some(entry) => {
                self.said(entry, "a time of day such as 09:00")
                    .and_then(|turn: TimeOfDay| {
                        let turned = begun.unwrap_or(window).turning_at(turn);
                        self.applied(turned, entry, "a day, a week or a month")
                    })
            }
        };
        begun.and(turned)
    }

    fn said<T: FromStr<Err = KeyError>>(&mut self, entry: &Entry, what: &str) -> Option<T> {
        let scalar = value::scalar(entry, what, self.mistakes)?;
        let read = scalar.text.parse();
        read.map_err(|error| add_error(&error, entry.value.at, self.mistakes))
            .ok()
    }

    fn applied(&mut self, window: Option<Window>, entry: &Entry, whose: &str) -> Option<Window> {
        if window.is_none() {
            self.mistakes.add(
                entry.at,
                format!(
                    "{} is an option of {whose}, not of this window",
                    quote(&entry.key)
                ),
                "take this line away, or choose such a window",
            );
        }
        window
    }

    /// Refuses a budget that is there under another spelling of its window.
    fn refuse_twice(&mut self, key: &BudgetKey, entry: &Entry) {
        if let Some(before) = self.budgets.iter().find(|before| before.key == *key) {
            self.mistakes.add(
                entry.at,
                format!("this is the same budget as in line {}", before.line),
                format!(
                    "keep one of them; the window is {}",
                    quote(&key.window.to_string())
                ),
            );
        }
    }

    fn key(&mut self, provider: &ProviderSelector, window: Window, at: At) -> Option<BudgetKey> {
        BudgetKey::new(self.scope?.clone(), provider.clone(), window)
            .map_err(|error| {
                let hint = "write total, or put the budget under a bottle";
                self.mistakes.add(at, error.to_string(), hint);
            })
            .ok()
    }
}

/// What a budget says besides its limit and its window.
struct Options {
    per_call: Option<Tokens>,
    cap: Option<Cap>,
    ceiling: Option<bool>,
    warn: Option<Vec<u8>>,
    policy: Option<Policy>,
    gate: Option<Gate>,
    unbounded: Option<Unbounded>,
}

impl Options {
    fn read(block: &Block<'_>, mistakes: &mut Mistakes) -> Self {
        let [per_call, cap, ceiling, warn, shutdown, gate, unbounded] = [
            "per_call",
            "cap",
            "ceiling",
            "warn",
            "shutdown",
            "gate",
            "unbounded",
        ]
        .map(|name| block.get(name));
        let options = Self {
            per_call: per_call.and_then(|entry| value::limit(entry, mistakes)),
            cap: cap.and_then(|entry| value::choice(entry, CAPS, mistakes)),
            ceiling: ceiling.and_then(|entry| value::boolean(entry, mistakes)),
            warn: warn.and_then(|entry| value::warn(entry, mistakes)),
            policy: shutdown.and_then(|entry| value::choice(entry, POLICIES, mistakes)),
            gate: gate.and_then(|entry| value::choice(entry, GATES, mistakes)),
            unbounded: unbounded.and_then(|entry| value::choice(entry, UNBOUNDED, mistakes)),
        };
        if options.cap == Some(Cap::Soft) {
            let ceiling = ceiling.filter(|_| options.ceiling == Some(true));
            for entry in [per_call, ceiling, shutdown, gate, unbounded]
                .into_iter()
                .flatten()
            {
                mistakes.add(
                    entry.at,
                    format!(
                        "{} does nothing in a soft budget, which only warns",
                        quote(&entry.key)
                    ),
                    "take this line away, or make the budget hard",
                );
            }
        }
        options
    }
}

/// Returns whether a key is a window, or was meant to be one and not an option.
fn like_window(entry: &Entry) -> bool {
    is_window(&entry.key)
        || nearest(&entry.key, BUDGET.names()).is_none() && nearest_window(&entry.key).is_some()
}

fn nearest_window(word: &str) -> Option<&'static str> {
    let kind = word.split(' ').next().unwrap_or(word);
    nearest(kind, Window::KINDS.iter().copied())
}

fn read_window(word: &str, at: At, mistakes: &mut Mistakes) -> Option<(Window, At)> {
    match word.parse() {
        Ok(window) => return Some((window, at)),
        Err(KeyError::Window(_)) => {
            let hint = match nearest_window(word) {
                Some(meant) => format!("did you mean {meant}? A window is {WINDOWS}"),
                None => format!("a window is {WINDOWS}"),
            };
            mistakes.add(at, format!("{} is no window", quote(word)), hint);
        }
        Err(error) => add_error(&error, at, mistakes),
    }
    None
}

/// The windows as they are written.
const WINDOWS: &str = "total, run, hour, day, week, month, rolling 5h or block 5h";

/// Adds what is wrong with a part of a budget's name, and behind it what to write.
fn add_error(error: &KeyError, at: At, mistakes: &mut Mistakes) {
    let told = error.to_string();
    let (text, hint) = told.split_once("; ").unwrap_or((&told, ""));
    mistakes.add(at, text, hint);
}
