//! Owns what is said of a change from one file to the next: a sentence for each thing that
//! differs, none for what only moved.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use bb_proto::units::Tokens;

use super::quantity::{factor_text, size_text, span_text, tokens_text};
use super::view::{
    cap_text, credential_text, gate_text, in_flight_text, policy_text, upstream_text,
};
use super::{BottleSetting, BudgetSetting, EgressSetting, ProviderSetting, Settings};

impl Settings {
    /// Returns what taking `newer` instead changes, in sentences; none where nothing does.
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let mut told = Vec::new();
        budgets(&by_key(&self.budgets), &by_key(&newer.budgets), &mut told);
        let mut host = Part::new(String::new(), &mut told);
        host.word(
            "shutdown",
            policy_text(self.shutdown),
            policy_text(newer.shutdown),
        );
        host.word("gate", gate_text(self.gate), gate_text(newer.gate));
        host.word("wait", span_text(self.wait), span_text(newer.wait));
        host.word("drain", span_text(self.drain), span_text(newer.drain));
        host.word(
            "in_flight",
            in_flight_text(self.in_flight),
            in_flight_text(newer.in_flight),
        );
        host.word("warn", levels(&self.warn), levels(&newer.warn));
        host.word(
            "timezone",
            written(self.time_zone.as_ref()),
            written(newer.time_zone.as_ref()),
        );
        each("bottle", &self.bottles, &newer.bottles, &mut told, bottle);
        each(
            "agent",
            &self.agents,
            &newer.agents,
            &mut told,
            |_, _, _| {},
        );
        each(
            "provider",
            &self.providers,
            &newer.providers,
            &mut told,
            provider,
        );
        egress(&self.egress, &newer.egress, &mut told);
        told
    }
}

/// One thing of the settings, and where its changes are told.
struct Part<'a> {
    /// What stands before each sentence.
    prefix: String,
    told: &'a mut Vec<String>,
}

impl<'a> Part<'a> {
    fn new(prefix: String, told: &'a mut Vec<String>) -> Self {
        Self { prefix, told }
    }

    fn word<T: PartialEq + Display>(&mut self, name: &str, old: T, new: T) {
        if old != new {
            self.told
                .push(format!("{}{name} {old} -> {new}", self.prefix));
        }
    }

    fn say(&mut self, what: &str) {
        self.told.push(format!("{}{what}", self.prefix));
    }
}

fn each<K: Ord + Display, V>(
    kind: &str,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    told: &mut Vec<String>,
    compare: impl Fn(&V, &V, &mut Part<'_>),
) {
    let names: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => {
                compare(old, new, &mut Part::new(format!("{kind} {name}: "), told));
            }
            (None, _) => told.push(format!("{kind} {name}: added")),
            (_, None) => told.push(format!("{kind} {name}: removed")),
        }
    }
}

fn by_key(budgets: &[BudgetSetting]) -> BTreeMap<String, &BudgetSetting> {
    budgets
        .iter()
        .map(|budget| (budget.key.to_string(), budget))
        .collect()
}

fn budgets(
    old: &BTreeMap<String, &BudgetSetting>,
    new: &BTreeMap<String, &BudgetSetting>,
    told: &mut Vec<String>,
) {
    let limit = |tokens: Tokens| tokens_text(tokens);
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        match (old.get(key), new.get(key)) {
            (None, None) => {}
            (None, Some(new)) => told.push(format!("budget {key} added: {}", limit(new.limit))),
            (Some(old), None) => {
                told.push(format!("budget {key} removed: was {}", limit(old.limit)))
            }
            (Some(old), Some(new)) => {
                if old.limit != new.limit {
                    told.push(format!(
                        "budget {key} {} -> {}",
                        limit(old.limit),
                        limit(new.limit)
                    ));
                }
                let mut part = Part::new(format!("budget {key}: "), told);
                part.word("cap", cap_text(old.cap), cap_text(new.cap));
                part.word("ceiling", old.ceiling, new.ceiling);
                part.word("warn", levels(&old.warn), levels(&new.warn));
                let policy = |it: &BudgetSetting| it.policy.map_or("the host's", policy_text);
                part.word("shutdown", policy(old), policy(new));
                let gate = |it: &BudgetSetting| it.gate.map_or("the host's", gate_text);
                part.word("gate", gate(old), gate(new));
            }
        }
    }
}

fn bottle(old: &BottleSetting, new: &BottleSetting, part: &mut Part<'_>) {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) =
        (old.parents.iter().collect(), new.parents.iter().collect());
    for parent in after.difference(&before) {
        part.say(&format!("parent {parent} added"));
    }
    for parent in before.difference(&after) {
        part.say(&format!("parent {parent} removed"));
    }
    if before == after && old.parents != new.parents {
        let names: Vec<&str> = new.parents.iter().map(|name| name.as_str()).collect();
        part.say(&format!("parents now in the order {}", names.join(", ")));
    }
    part.word(
        "agent",
        written(old.agent.as_ref()),
        written(new.agent.as_ref()),
    );
    part.word(
        "provider",
        written(old.provider.as_ref()),
        written(new.provider.as_ref()),
    );
    let policy = |it: &BottleSetting| it.shutdown.map_or("the budget's", policy_text);
    part.word("shutdown", policy(old), policy(new));
}

fn provider(old: &ProviderSetting, new: &ProviderSetting, part: &mut Part<'_>) {
    part.word(
        "copies",
        written(old.copies.as_ref()),
        written(new.copies.as_ref()),
    );
    let upstream = |it: &ProviderSetting| {
        it.upstream
            .as_ref()
            .map_or_else(|| "the known one".to_owned(), upstream_text)
    };
    part.word("upstream", upstream(old), upstream(new));
    part.word("credential", credential_text(old), credential_text(new));
    for (name, before, after) in [
        ("input", old.weights.input, new.weights.input),
        ("cache_read", old.weights.cache_read, new.weights.cache_read),
        (
            "cache_write",
            old.weights.cache_write,
            new.weights.cache_write,
        ),
        ("output", old.weights.output, new.weights.output),
    ] {
        part.word(
            &format!("weight of {name}"),
            factor_text(before),
            factor_text(after),
        );
    }
    part.word(
        "include_usage",
        written(old.include_usage.as_ref()),
        written(new.include_usage.as_ref()),
    );
}

fn egress(old: &EgressSetting, new: &EgressSetting, told: &mut Vec<String>) {
    let mut part = Part::new("egress: ".to_owned(), told);
    part.word("listen", old.listen, new.listen);
    part.word("body_max", size_text(old.body_max), size_text(new.body_max));
    for (name, before, after) in [
        ("grace", old.grace, new.grace),
        ("connect_timeout", old.connect_timeout, new.connect_timeout),
        (
            "response_timeout",
            old.response_timeout,
            new.response_timeout,
        ),
        ("idle_timeout", old.idle_timeout, new.idle_timeout),
    ] {
        part.word(name, span_text(before), span_text(after));
    }
}

fn levels(levels: &[u8]) -> String {
    let levels: Vec<String> = levels.iter().map(u8::to_string).collect();
    format!("[{}]", levels.join(", "))
}

fn written<T: Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}
