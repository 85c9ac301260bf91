//! What came of a command, in words.

use std::collections::BTreeMap;

use bb_proto::budget::{BudgetKey, ProviderSelector, Scope, Window};
use bb_proto::error::RpcError;
use bb_proto::event::{Event, EventKind};
use bb_proto::ids::{BottleName, CallId};
use bb_proto::time::Timestamp;
use bb_proto::view::ClosedBy;

use crate::book::{
    Acted, Admitted, BudgetActed, CutReason, Effect, Entry, Heard, Refusal, RefusalReason, Terms,
};
use crate::bottle::Bottle;

pub(super) fn plain(key: &BudgetKey) -> String {
    match key {
        BudgetKey {
            scope: Scope::Launch(_),
            provider,
            ..
        } => format!("launch/{provider}"),
        BudgetKey {
            scope,
            provider,
            window: Window::Total,
        } => format!("{scope}/{provider}"),
        other => other.to_string(),
    }
}

pub(super) fn admitted(admitted: &Admitted) -> String {
    let reserved = admitted.reserved;
    match admitted.terms {
        Terms::Exact { cap: Some(cap), .. } => format!("admitted {reserved} capped {cap}"),
        Terms::Unbounded => format!("admitted {reserved} unbounded"),
        Terms::Estimate | Terms::Exact { .. } => format!("admitted {reserved}"),
    }
}

fn number(call: CallId) -> u128 {
    call.0.as_u128()
}

pub(super) fn refusal(refusal: &Refusal) -> String {
    match (&refusal.budget, refusal.used, refusal.limit) {
        (Some(key), Some(used), Some(limit)) => {
            let by = match refusal.reason {
                RefusalReason::NoRoom => "for room in",
                RefusalReason::Unbounded => "as unbounded by",
                _ => "by",
            };
            format!("{by} {} {used}/{limit}", plain(key))
        }
        _ => format!("{:?}", refusal.reason).to_lowercase(),
    }
}

pub(super) fn error(error: &RpcError) -> String {
    error.data.code.to_string()
}

pub(super) fn acted(acted: Result<Acted, RpcError>) -> String {
    match acted {
        Ok(acted) if !acted.changed => "unchanged".to_owned(),
        Ok(acted) if acted.streams_ended > 0 => format!("done, {} streams", acted.streams_ended),
        Ok(_) => "done".to_owned(),
        Err(no) => error(&no),
    }
}

pub(super) fn budget(acted: Result<BudgetActed, RpcError>) -> String {
    let names = |names: &[BottleName]| {
        names
            .iter()
            .map(BottleName::as_str)
            .collect::<Vec<_>>()
            .join(",")
    };
    match acted {
        Ok(acted) => {
            let mut parts = vec!["done".to_owned()];
            parts.extend(acted.limit_before.map(|limit| format!("was {limit}")));
            if !acted.opened.is_empty() {
                parts.push(format!("opens {}", names(&acted.opened)));
            }
            if !acted.cut_off.is_empty() {
                parts.push(format!("cuts off {}", names(&acted.cut_off)));
            }
            parts.join(", ")
        }
        Err(no) => error(&no),
    }
}

pub(super) fn entry(entry: &Entry, bottles: &BTreeMap<BottleName, Bottle>) -> Vec<String> {
    match entry {
        Entry::Reserved(_)
        | Entry::Seen(_)
        | Entry::BudgetSet(_)
        | Entry::BudgetUnset(_)
        | Entry::Raised(..) => Vec::new(),
        Entry::RaiseEnded(key, raise) => vec![format!("{} less {}", plain(key), raise.by)],
        Entry::Reset(key, reset) | Entry::ResetAmended(key, reset) => {
            vec![format!("{} less {}", plain(key), reset.less.posted)]
        }
        Entry::BlockBegan(key, from) => vec![format!("{} from {}", plain(key), seconds(*from))],
        Entry::Marked { call, flowed, .. } => vec![format!("{} marked {flowed}", number(*call))],
        Entry::Settled {
            facts,
            settlement,
            overrun,
            ..
        } => {
            let about = if settlement.estimated { "~" } else { "" };
            let over = if overrun.0 > 0 {
                format!(" over {overrun}")
            } else {
                String::new()
            };
            vec![format!(
                "{} charged {about}{}{over}",
                number(facts.call),
                settlement.charge
            )]
        }
        Entry::Amended {
            facts,
            before,
            after,
            ..
        } => {
            let (before, after) = (before.charge, after.charge);
            vec![format!(
                "{} amended {before} to {after}",
                number(facts.call)
            )]
        }
        Entry::Voided { facts, .. } => vec![format!("{} voided", number(facts.call))],
        Entry::Bottle(after) => bottle(after, bottles.get(&after.name)),
        Entry::BottleRemoved { name, .. } => vec![format!("{name} removed")],
        Entry::Happened(what) => event(what).into_iter().collect(),
    }
}

fn bottle(after: &Bottle, before: Option<&Bottle>) -> Vec<String> {
    let name = &after.name;
    let Some(before) = before.filter(|before| before.run == after.run) else {
        return vec![format!("{name} runs")];
    };
    let mut told = Vec::new();
    if before.lifecycle != after.lifecycle {
        told.push(format!(
            "{name} {}",
            format!("{:?}", after.lifecycle).to_lowercase()
        ));
        return told;
    }
    let words = |bottle: &Bottle| -> Vec<String> {
        let closings = bottle.closings.iter();
        closings
            .map(|c| match (&c.by, &c.provider) {
                (ClosedBy::Operator, _) => "operator".to_owned(),
                (ClosedBy::Budget(key), ProviderSelector::One(provider)) => {
                    format!("{provider} by {}", plain(key))
                }
                (by, _) => format!("{by:?}"),
            })
            .collect()
    };
    let (was, is) = (words(before), words(after));
    told.extend(
        was.iter()
            .filter(|c| !is.contains(c))
            .map(|c| format!("{name} open: {c}")),
    );
    told.extend(
        is.iter()
            .filter(|c| !was.contains(c))
            .map(|c| format!("{name} closed: {c}")),
    );
    told
}

fn event(event: &Event) -> Option<String> {
    let budget = event.budget.as_ref().map(plain).unwrap_or_default();
    let text = &event.text;
    match event.kind {
        EventKind::Warned => {
            let (_, rest) = text.rsplit_once(" is at ").expect("a level");
            let (level, _) = rest.split_once('%').expect("a level");
            Some(format!("{budget} warned {level}"))
        }
        EventKind::Paced => Some(format!("{budget} paced")),
        EventKind::Exhausted => Some(format!("{budget} spent")),
        EventKind::Refused => {
            let counted = text.split(' ').find_map(|word| word.parse::<u64>().ok());
            let bottle = event.bottle.as_ref().expect("a bottle");
            Some(format!("{bottle} refusals noted: {}", counted.unwrap_or(1)))
        }
        EventKind::StopOrdered => Some("stop ordered".to_owned()),
        EventKind::Abandoned => Some(format!("given up: {text}")),
        EventKind::Charged => {
            let (uid, why) = (event.uid.expect("who"), event.why.as_deref());
            Some(format!("noted by {uid}, {}", why.unwrap_or_default()))
        }
        _ => None,
    }
}

pub(super) fn heard(heard: &Heard) -> String {
    match heard {
        Heard::Open(None) => "goes on".to_owned(),
        Heard::Open(Some(CutReason::Budget(refusal))) => {
            let key = refusal.budget.as_ref().expect("a budget");
            format!("must end: {}", plain(key))
        }
        Heard::Open(Some(reason)) => format!("must end: {reason:?}").to_lowercase(),
        Heard::Resolved { how, already } => {
            let already = if *already { "already " } else { "" };
            match how.settlement {
                Some(settlement) => {
                    let over = how.overrun;
                    format!("{already}charged {} over {over}", settlement.charge)
                }
                None => format!("{already}taken back"),
            }
        }
        Heard::Foreign => "no sidecar's".to_owned(),
        Heard::Unknown => "unknown".to_owned(),
    }
}

pub(super) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Admit(admitted) => {
            format!("{} {}", number(admitted.call), self::admitted(admitted))
        }
        Effect::Refuse(call, why) => {
            format!("{} refused {}", number(*call), refusal(why))
        }
        Effect::Cut(call, CutReason::Budget(refusal)) => {
            let key = refusal.budget.as_ref().expect("a budget");
            format!("{} cut by {}", number(*call), plain(key))
        }
        Effect::Cut(call, reason) => {
            format!(
                "{} cut by {}",
                number(*call),
                format!("{reason:?}").to_lowercase()
            )
        }
        Effect::TokenIssued { token, .. } => format!("token {token} issued"),
        Effect::TokenRevoked(token) => format!("token {token} revoked"),
    }
}

fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}
