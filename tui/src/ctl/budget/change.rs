//! `bb-ctl budget set`, `unset`, `raise` and `reset`.

use bb_proto::budget::{BudgetKey, Cap, KeyError, Window};
use bb_proto::reply::BudgetChanged;
use bb_proto::request::{BudgetRaise, BudgetReset, BudgetSet, BudgetUnset};
use bb_proto::time::Millis;
use bb_proto::units::{Tokens, TokensError};

use super::key::{self, PartialKey};
use crate::ctl::connection::Connection;
use crate::ctl::exit::{Exit, Failure, Outcome};
use crate::ctl::output::Output;
use crate::ctl::words;
use crate::format;

/// Set a budget that stands until it is unset, whatever the settings say
///
/// SCOPE is host, agent:NAME, bottle:NAME, launch:RUN, or a bottle's bare name. PROVIDER is a
/// provider such as claude, or all. LIMIT is a number of tokens such as 200k, 1.5M or 5000000.
/// What was used before counts: setting a budget never resets a count.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "bb-ctl budget set [OPTIONS] SCOPE PROVIDER LIMIT\n       \
                            bb-ctl budget set [OPTIONS] SCOPE/PROVIDER[/WINDOW] LIMIT"
)]
pub(in crate::ctl) struct Set {
    /// Whose tokens, or which budget: SCOPE/PROVIDER or SCOPE/PROVIDER/WINDOW
    #[arg(value_name = "SCOPE")]
    scope: String,
    /// Which provider's; after a whole budget, its limit
    #[arg(value_name = "PROVIDER", allow_negative_numbers = true)]
    provider: String,
    /// How many tokens
    #[arg(value_name = "LIMIT", allow_negative_numbers = true)]
    limit: Option<String>,
    /// Over which time it counts: total (never resets), run (this run of a bottle), hour, day, week,
    /// month, "day 09:00", "week sun 09:00", "rolling 5h" or "block 5h"
    #[arg(long, value_name = "WINDOW")]
    window: Option<Window>,
    /// Refuse a call that is expected to cost more than so many tokens
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    per_call: Option<Tokens>,
    /// Only warn; never refuse a call
    #[arg(long)]
    soft: bool,
    /// Bind from above, whatever nearer budgets say
    #[arg(long)]
    ceiling: bool,
    #[command(flatten)]
    said: Said,
}

/// Take back a budget that was set by command
///
/// KEY is SCOPE/PROVIDER/WINDOW, or as much of it as tells the budget from the others: web,
/// web/claude. What it hid holds again.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Unset {
    /// The budget
    #[arg(value_name = "KEY")]
    key: PartialKey,
    #[command(flatten)]
    said: Said,
}

/// Raise a budget's limit, for good or for a while
///
/// KEY is SCOPE/PROVIDER/WINDOW, or as much of it as tells the budget from the others: web,
/// web/claude. What the budget had cut off opens by itself when there is room again. When a raise
/// for a while ends, the limit before it holds again, and may be spent on the spot.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Raise {
    /// The budget
    #[arg(value_name = "KEY")]
    key: PartialKey,
    /// By how many tokens, such as +1M
    #[arg(value_name = "TOKENS", value_parser = tokens_to_add, allow_negative_numbers = true)]
    by: Tokens,
    /// For how long, such as 2h; else for good
    #[arg(long = "for", value_name = "TIME", value_parser = time, conflicts_with = "once")]
    lasts: Option<Millis>,
    /// Until the budget's window turns
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    said: Said,
}

/// Begin a budget's count anew, at nothing
///
/// KEY is SCOPE/PROVIDER/WINDOW, or as much of it as tells the budget from the others: web,
/// web/claude. The ledger keeps what was charged; only this budget no longer counts it.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Reset {
    /// The budget
    #[arg(value_name = "KEY")]
    key: PartialKey,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, clap::Args)]
struct Said {
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Set {
    pub(super) fn run(
        self,
        open: impl FnOnce() -> Result<Connection, Failure>,
        output: Output,
    ) -> Outcome {
        let (budget, limit) = budget_and_limit(
            &self.scope,
            &self.provider,
            self.limit.as_deref(),
            self.window,
        )?;
        let changed = open()?.call(&BudgetSet {
            expect: None,
            budget: budget.clone(),
            limit,
            per_call: self.per_call,
            cap: if self.soft { Cap::Soft } else { Cap::Hard },
            ceiling: self.ceiling,
            why: self.said.why,
            request_id: None,
            dry_run: self.said.dry_run,
        })?;
        output.show(&changed, |changed| {
            report(
                changed,
                "set",
                &budget,
                &format!(" to {}", format::tokens(limit.0)),
            )
        })?;
        Ok(Exit::DONE)
    }
}

impl Unset {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let budget = self.key.find(connection)?;
        let changed = connection.call(&BudgetUnset {
            expect: None,
            budget: budget.clone(),
            why: self.said.why,
            request_id: None,
            dry_run: self.said.dry_run,
        })?;
        output.show(&changed, |changed| {
            let left = match &changed.budget {
                None => "none of that key is left".to_owned(),
                Some(left) => format!(
                    "that of {} holds again, {}",
                    words::source(&left.source),
                    format::tokens(left.limit.0)
                ),
            };
            report(changed, "unset", &budget, &format!(", {left}"))
        })?;
        Ok(Exit::DONE)
    }
}

impl Raise {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let budget = self.key.find(connection)?;
        let by = self.by;
        let changed = connection.call(&BudgetRaise {
            expect: None,
            budget: budget.clone(),
            by,
            for_ms: self.lasts,
            once: self.once,
            why: self.said.why,
            request_id: None,
            dry_run: self.said.dry_run,
        })?;
        output.show(&changed, |changed| {
            report(
                changed,
                "raise",
                &budget,
                &format!(" by {}", format::tokens(by.0)),
            )
        })?;
        Ok(Exit::DONE)
    }
}

impl Reset {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let budget = self.key.find(connection)?;
        let changed = connection.call(&BudgetReset {
            expect: None,
            budget: budget.clone(),
            why: self.said.why,
            request_id: None,
            dry_run: self.said.dry_run,
        })?;
        output.show(&changed, |changed| report(changed, "reset", &budget, ""))?;
        Ok(Exit::DONE)
    }
}

fn time(text: &str) -> Result<Millis, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let millis = u64::try_from(time.as_millis()).map_err(|_| "that is too long".to_owned())?;
    if millis == 0 {
        return Err("a raise for no time; give one such as 2h".to_owned());
    }
    Ok(Millis(millis))
}

/// Reads `SCOPE PROVIDER LIMIT` or `KEY LIMIT`.
fn budget_and_limit(
    first: &str,
    second: &str,
    third: Option<&str>,
    window: Option<Window>,
) -> Result<(BudgetKey, Tokens), Failure> {
    let usage = |error: KeyError| Failure::usage(error.to_string());
    let (key, limit) = if let Some(limit) = third {
        let scope = key::scope(first).map_err(usage)?;
        let provider = second
            .parse()
            .map_err(|error| usage(KeyError::Name(error)))?;
        let window = window.unwrap_or(Window::Total);
        (BudgetKey::new(scope, provider, window), limit)
    } else {
        let partial: PartialKey = first.parse().map_err(usage)?;
        let Some(key) = partial.complete(window).map_err(usage)? else {
            let failure = Failure::usage(format!("{first} names no provider"));
            return Err(match second.parse::<Tokens>() {
                Ok(_) => failure.with_hint(format!("bb-ctl budget set {first} all {second}")),
                Err(_) => Failure::usage("the limit is missing")
                    .with_hint(format!("bb-ctl budget set {first} {second} 5M")),
            });
        };
        (Ok(key), second)
    };
    let limit = limit
        .parse()
        .map_err(|error: TokensError| Failure::usage(error.to_string()))?;
    Ok((key.map_err(usage)?, limit))
}

fn tokens_to_add(text: &str) -> Result<Tokens, String> {
    text.strip_prefix('+')
        .unwrap_or(text)
        .parse()
        .map_err(|error: TokensError| error.to_string())
}

/// Says what a change did, or would do.
fn report(changed: &BudgetChanged, verb: &str, key: &BudgetKey, how: &str) -> String {
    let said = match (changed.dry_run, verb) {
        (true, _) => format!("would {verb}"),
        (false, "raise") => "raised".to_owned(),
        (false, _) => verb.to_owned(),
    };
    let mut parts = vec![format!("{said} {key}{how}")];
    if let Some(budget) = &changed.budget {
        parts.push(format!(
            ": {}{} used, {}",
            if changed.dry_run { "now " } else { "" },
            format::used_of(budget.used, budget.limit),
            format::percent(budget.used, budget.limit)
        ));
    }
    if let Some(before) = changed.limit_before.filter(|_| !changed.dry_run) {
        parts.push(format!(" (the limit was {})", format::tokens(before.0)));
    }
    let (opened, cut_off) = if changed.dry_run {
        ("would open", "would cut off")
    } else {
        ("opened", "cut off")
    };
    for (what, bottles) in [(opened, &changed.opened), (cut_off, &changed.cut_off)] {
        if !bottles.is_empty() {
            parts.push(format!("\n{what}: {}", words::names(bottles)));
        }
    }
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(what: &[&str], window: Option<Window>) -> Result<(String, u64), String> {
        let third = what.get(2).copied();
        match budget_and_limit(what[0], what[1], third, window) {
            Ok((key, limit)) => Ok((key.to_string(), limit.0)),
            Err(Failure::Told(told)) => Err(told.message),
            Err(Failure::ReaderGone) => Err("gone".to_owned()),
        }
    }

    #[test]
    fn a_budget_is_named_by_its_parts_or_by_its_key() {
        let ok = |key: &str, limit| Ok((key.to_owned(), limit));
        assert_eq!(
            read(&["host", "claude", "5M"], None),
            ok("host/claude/total", 5_000_000)
        );
        assert_eq!(
            read(&["web", "all", "200k"], None),
            ok("bottle:web/all/total", 200_000)
        );
        assert_eq!(
            read(&["web", "claude", "1"], Some(Window::Run)),
            ok("bottle:web/claude/run", 1)
        );
        assert_eq!(
            read(&["host/claude/total", "1G"], None),
            ok("host/claude/total", 1_000_000_000)
        );
        assert_eq!(
            read(&["web/claude/week sun 09:00", "7"], None),
            ok("bottle:web/claude/week sun 09:00", 7)
        );
        assert_eq!(
            read(&["web/claude", "7"], None),
            ok("bottle:web/claude/total", 7)
        );
    }

    #[test]
    fn a_budget_that_cannot_be_is_refused_in_words() {
        for what in [
            &["web", "5M"][..],
            &["host", "Claude", "5M"],
            &["host", "claude", "-5"],
            &["host", "claude", "many"],
            &["host/claude/run", "5M"],
            &["host/claude/fortnight", "5M"],
            &["host/claude/rolling 0h", "5M"],
        ] {
            assert!(read(what, None).is_err(), "{what:?}");
        }
    }

    #[test]
    fn a_raise_may_have_a_plus() {
        assert_eq!(tokens_to_add("+1M"), Ok(Tokens(1_000_000)));
        assert_eq!(tokens_to_add("1M"), Ok(Tokens(1_000_000)));
        assert!(tokens_to_add("++1").is_err());
        assert!(tokens_to_add("-1").is_err());
    }
}
