//! Owns what is said of a change from one file to the next: a sentence for each thing that
//! differs, none for what only moved.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use bb_core::hooks::KINDS;
use bb_proto::budget::BudgetKey;
use bb_proto::event::EventKind;
use bb_proto::ids::BottleName;

use super::mistakes::quote;
use super::quantity::{factor_text, size_text, span_text, tokens_text};
use super::view::{
    cap_text, command, credential_text, gate_text, in_flight_text, policy_text, unbounded_text,
    upstream_text, websocket_text,
};
use super::{
    AgentSetting, BottleSetting, BudgetSetting, EgressSetting, HOOK_TIMEOUT_DEFAULT, HookSetting,
    ProviderSetting, Settings,
};

/// What is said of a property that is not written.
const NONE: &str = "none";
const FILES: &str = "the file's";
const BUDGETS: &str = "the budget's";
const KNOWN: &str = "the known one";

impl Settings {
    /// Returns what taking `newer` instead changes, in sentences; none where nothing does.
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let mut told = Vec::new();
        each("budget ", &by_key(self), &by_key(newer), &mut told, budget);
        host(&mut Difference::new("", self, newer, &mut told));
        hook(self.on_event.as_ref(), newer.on_event.as_ref(), &mut told);
        each("bottle ", &self.bottles, &newer.bottles, &mut told, bottle);
        each("agent ", &self.agents, &newer.agents, &mut told, agent);
        each(
            "provider ",
            &self.providers,
            &newer.providers,
            &mut told,
            provider,
        );
        egress(&mut Difference::new(
            "egress: ",
            &self.egress,
            &newer.egress,
            &mut told,
        ));
        told
    }
}

/// One thing as it was and as it is now, and where the difference is told.
struct Difference<'a, T> {
    /// What stands before each sentence.
    prefix: &'a str,
    old: Option<&'a T>,
    new: Option<&'a T>,
    told: &'a mut Vec<String>,
}

impl<'a, T> Difference<'a, T> {
    fn new(prefix: &'a str, old: &'a T, new: &'a T, told: &'a mut Vec<String>) -> Self {
        Self {
            prefix,
            old: Some(old),
            new: Some(new),
            told,
        }
    }

    /// Tells of one property; of a thing that is new only where it is not `otherwise`, as it
    /// would be if nothing were written.
    fn word<W: ToString>(&mut self, name: &str, otherwise: &str, property: impl Fn(&T) -> W) {
        let show = |it| property(it).to_string();
        let old = self.old.map_or_else(|| otherwise.to_owned(), show);
        if let Some(new) = self.new.map(show)
            && old != new
        {
            self.say(&format!("{name} {old} -> {new}"));
        }
    }

    /// Tells of one property of a thing that was there before.
    fn changed<W: ToString>(&mut self, name: &str, property: impl Fn(&T) -> W) {
        if self.old.is_some() {
            self.word(name, "", property);
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
    compare: impl Fn(&mut Difference<'_, V>),
) {
    let names: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (old, new) = (old.get(name), new.get(name));
        match (old, new) {
            (None, Some(_)) => told.push(format!("{kind}{name} added")),
            (Some(_), None) => told.push(format!("{kind}{name} removed")),
            _ => {}
        }
        compare(&mut Difference {
            prefix: &format!("{kind}{name}: "),
            old,
            new,
            told,
        });
    }
}

fn by_key(settings: &Settings) -> BTreeMap<&BudgetKey, &BudgetSetting> {
    settings
        .budgets
        .iter()
        .map(|budget| (&budget.key, budget))
        .collect()
}

fn host(it: &mut Difference<'_, Settings>) {
    it.changed("shutdown", |it| policy_text(it.shutdown));
    it.changed("gate", |it| gate_text(it.gate));
    it.changed("unbounded", |it| unbounded_text(it.unbounded));
    it.changed("floor", |it| it.floor);
    it.changed("wait", |it| span_text(it.wait));
    it.changed("drain", |it| span_text(it.drain));
    it.changed("keep_calls", |it| span_text(it.keep_calls));
    it.changed("in_flight", |it| in_flight_text(it.in_flight));
    it.changed("warn", |it| levels(&it.warn));
    it.changed("timezone", |it| written(it.time_zone.as_ref(), NONE));
}

fn hook(old: Option<&HookSetting>, new: Option<&HookSetting>, told: &mut Vec<String>) {
    if let (Some(_), None) = (old, new) {
        told.push("on_event removed".to_owned());
    }
    let mut it = Difference {
        prefix: "on_event: ",
        old,
        new,
        told,
    };
    it.word("command", NONE, |it| {
        let words: Vec<String> = command(it).iter().map(|word| quote(word)).collect();
        words.join(" ")
    });
    it.word("timeout", &span_text(HOOK_TIMEOUT_DEFAULT), |it| {
        span_text(it.timeout)
    });
    let events = |kinds: &mut dyn Iterator<Item = &EventKind>| {
        let kinds: Vec<&EventKind> = kinds.collect();
        let words = KINDS.iter().filter(|(_, kind)| kinds.contains(&kind));
        let words: Vec<&str> = words.map(|(word, _)| *word).collect();
        format!("[{}]", words.join(", "))
    };
    let all = events(&mut KINDS.iter().map(|(_, kind)| kind));
    it.word("events", &all, |it| events(&mut it.events.iter()));
}

fn budget(it: &mut Difference<'_, &BudgetSetting>) {
    it.word("limit", NONE, |it| tokens_text(it.limit));
    it.word("cap", "hard", |it| cap_text(it.cap));
    it.word("ceiling", "false", |it| it.ceiling);
    it.changed("warn", |it| levels(&it.warn));
    it.word("shutdown", FILES, |it| it.policy.map_or(FILES, policy_text));
    it.word("gate", FILES, |it| it.gate.map_or(FILES, gate_text));
    it.word("unbounded", FILES, |it| {
        it.unbounded.map_or(FILES, unbounded_text)
    });
}

fn bottle(it: &mut Difference<'_, BottleSetting>) {
    let Some(new) = it.new else {
        return;
    };
    let old = it.old.map_or(&[][..], |old| &old.parents);
    let added = new.parents.iter().filter(|parent| !old.contains(parent));
    let removed = old.iter().filter(|parent| !new.parents.contains(parent));
    let before = it.told.len();
    for parent in added {
        it.say(&format!("parent {parent} added"));
    }
    for parent in removed {
        it.say(&format!("parent {parent} removed"));
    }
    if old != new.parents && it.told.len() == before {
        let names: Vec<&str> = new.parents.iter().map(BottleName::as_str).collect();
        it.say(&format!("parents now in the order {}", names.join(", ")));
    }
    it.word("agent", NONE, |it| written(it.agent.as_ref(), NONE));
    it.word("provider", NONE, |it| written(it.provider.as_ref(), NONE));
    it.word("shutdown", BUDGETS, |it| {
        it.shutdown.map_or(BUDGETS, policy_text)
    });
    it.word("gate", FILES, |it| it.gate.map_or(FILES, gate_text));
    it.word("unbounded", FILES, |it| {
        it.unbounded.map_or(FILES, unbounded_text)
    });
}

/// An agent has only budgets, which are told as such.
fn agent(_: &mut Difference<'_, AgentSetting>) {}

fn provider(it: &mut Difference<'_, ProviderSetting>) {
    it.word("copies", NONE, |it| written(it.copies.as_ref(), NONE));
    it.word("upstream", KNOWN, |it| {
        it.upstream
            .as_ref()
            .map_or_else(|| KNOWN.to_owned(), upstream_text)
    });
    it.word("credential", &credential_text(None), |it| {
        credential_text(it.credential.as_ref())
    });
    it.word("weight of input", "1", |it| factor_text(it.weights.input));
    it.word("weight of cache_read", "1", |it| {
        factor_text(it.weights.cache_read)
    });
    it.word("weight of cache_write", "1", |it| {
        factor_text(it.weights.cache_write)
    });
    it.word("weight of output", "1", |it| factor_text(it.weights.output));
    it.word("include_usage", KNOWN, |it| {
        written(it.include_usage.as_ref(), KNOWN)
    });
    it.word("websocket", KNOWN, |it| {
        written(it.websocket.map(websocket_text).as_ref(), KNOWN)
    });
    it.word("count_tokens", "false", |it| it.count_tokens);
}

fn egress(it: &mut Difference<'_, EgressSetting>) {
    it.changed("listen", |it| it.listen);
    it.changed("body_max", |it| size_text(it.body_max));
    it.changed("grace", |it| span_text(it.grace));
    it.changed("connect_timeout", |it| span_text(it.connect_timeout));
    it.changed("response_timeout", |it| span_text(it.response_timeout));
    it.changed("idle_timeout", |it| span_text(it.idle_timeout));
}

fn levels(levels: &[u8]) -> String {
    let levels: Vec<String> = levels.iter().map(u8::to_string).collect();
    format!("[{}]", levels.join(", "))
}

fn written<T: Display>(value: Option<&T>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), ToString::to_string)
}
