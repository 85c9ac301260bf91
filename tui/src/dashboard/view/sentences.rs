//! What follows for a bottle, in sentences: when its budget is spent, what binds then, why.

use super::row::{enforcement_word, rate};
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::rows::{Bottle, Budget};
use crate::dashboard::state::{State, is_spent};
use crate::format;

/// What happens when the binding budget is spent, what binds then, and what else is to be known.
pub(crate) fn of(state: &State, bottle: &Bottle, width: u16) -> Vec<Clean> {
    let mut found = Vec::new();
    if let Some(budget) = state.fleet.binding(bottle) {
        found.push(spent_sentence(state, bottle, budget, width));
        if let Some(next) = state.fleet.binds_next(bottle) {
            let when = match next.told.left_ms {
                Some(ms) if !next.told.resets_first => clean!(", in {}", format::duration_ms(ms)),
                _ => Clean::default(),
            };
            let mark = if next.told.ceiling { "^" } else { "" };
            let (scope, provider) = (&next.scope, &next.provider);
            found.push(clean!(
                "If it is raised or unset, {scope}{mark} {provider} binds next{when}."
            ));
        }
        found.push(facts(budget));
    } else if bottle.told.run.is_some() {
        found.push(clean!(
            "No budget binds it; bb-ctl budget set gives it one."
        ));
    }
    if let Some(closed) = closed_sentence(bottle) {
        found.insert(0, closed);
    }
    if let (Some(wanted), why) = (&bottle.told.wanted, &bottle.why_not) {
        let state_word = super::row::word(wanted.state);
        let why = why
            .as_ref()
            .map_or_else(Clean::default, |why| clean!(": {why}"));
        found.insert(
            0,
            clean!(
                "wanted {state_word}, not reached after {} tries{why}",
                wanted.tries
            ),
        );
    }
    let told = &bottle.told;
    if let Some(code) = told.exit_code {
        found.insert(0, clean!("its command ended with {code}"));
    }
    if told.run.is_some() {
        let command = told.command.join(" ");
        let enforcement = enforcement_word(told.enforcement);
        let runs = if command.is_empty() {
            clean!("{enforcement}, registered without a command")
        } else {
            clean!("{enforcement} · {command}")
        };
        found.push(runs);
    }
    found
}

fn spent_sentence(state: &State, bottle: &Bottle, budget: &Budget, width: u16) -> Clean {
    let told = &budget.told;
    let next = match state.fleet.binds_next(bottle) {
        Some(next) => {
            let mark = if next.told.ceiling { "^" } else { "" };
            let left = next.told.left_ms.filter(|_| !next.told.resets_first);
            let left =
                left.map_or_else(Clean::default, |ms| clean!(" {}", format::duration_ms(ms)));
            clean!("; next {}{mark} {}{left}", next.scope, next.provider)
        }
        None => Clean::default(),
    };
    let count = state.fleet.bound_by(&told.id);
    let bottles = match count {
        1 => clean!("1 bottle"),
        many => clean!("{many} bottles"),
    };
    let mark = if told.ceiling { "^" } else { "" };
    let (scope, per_minute) = (&budget.scope, rate(told.rate_per_minute));
    match told.spent_at {
        _ if is_spent(budget) => clean!("{scope}{mark} is spent; raise it to go on."),
        Some(at) if !told.resets_first => {
            let at = state.zone().short(at, state.now());
            if width >= 100 {
                let verb = if count == 1 { "is" } else { "are" };
                clean!(
                    "At {per_minute}/min {scope}{mark} is spent at {at}; then {bottles} {verb} cut off."
                )
            } else {
                clean!("spent {at}, then cutoff of {bottles}{next}")
            }
        }
        _ if told.resets_first => {
            clean!("At {per_minute}/min {scope}{mark} resets before it is spent.")
        }
        _ => clean!("{scope}{mark}: nothing was charged in the last minute."),
    }
}

fn facts(budget: &Budget) -> Clean {
    use bb_proto::budget::{Gate, Policy};
    use bb_proto::view::Source;
    let told = &budget.told;
    let mut parts = Vec::new();
    if let Some(percent) = told.cache_read_percent {
        parts.push(format!("{percent}% of it was cache reads"));
    }
    parts.push(match told.gate {
        Gate::Off => "gate off".to_owned(),
        Gate::Estimate => "gate estimate".to_owned(),
        Gate::Exact => "gate exact".to_owned(),
    });
    if let Some(policy) = told.policy {
        parts.push(match policy {
            Policy::Cutoff => "policy cutoff".to_owned(),
        });
    }
    parts.push(match &told.source {
        Source::Settings { line } => format!("settings.yml:{line}"),
        Source::Launch { bottle } => format!("launch of {bottle}"),
        Source::Command { uid } => format!("by command of uid {uid}"),
    });
    for raise in &told.raises {
        parts.push(format!(
            "+{} by uid {}",
            format::tokens(raise.by.0),
            raise.uid
        ));
    }
    clean!("{}", parts.join(" · "))
}

fn closed_sentence(bottle: &Bottle) -> Option<Clean> {
    use bb_proto::budget::ProviderSelector;
    use bb_proto::view::ClosedBy;
    let parts: Vec<String> = bottle
        .told
        .closed
        .iter()
        .map(|way| {
            let what = match &way.provider {
                ProviderSelector::All => "all egress".to_owned(),
                ProviderSelector::One(provider) => provider.to_string(),
            };
            let by = match &way.by {
                ClosedBy::Operator => "by the operator".to_owned(),
                ClosedBy::Budget(key) => format!("by {key}"),
            };
            let why = way
                .why
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            format!("{what} closed {by}{why}")
        })
        .collect();
    (!parts.is_empty()).then(|| clean!("{}", parts.join(" · ")))
}
