//! A budget as people name it: its whole key, or as much of it as tells it from the others.

use std::fmt;
use std::str::FromStr;

use bb_proto::budget::{BudgetKey, KeyError, ProviderSelector, Scope, Window};
use bb_proto::ids::BottleName;
use bb_proto::request::BudgetList;
use bb_proto::view::Budget;

use crate::ctl::connection::Connection;
use crate::ctl::exit::{Exit, Failure};

/// A scope; a word that is none of the scopes is a bottle's name.
pub(super) fn scope(text: &str) -> Result<Scope, KeyError> {
    if text == "host" || text.contains(':') {
        text.parse()
    } else {
        Ok(Scope::Bottle(BottleName::new(text)?))
    }
}

/// A key of which the end may be missing: `SCOPE[/PROVIDER[/WINDOW]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartialKey {
    text: String,
    scope: Scope,
    provider: Option<ProviderSelector>,
    window: Option<Window>,
}

impl FromStr for PartialKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '/');
        let first = parts.next().unwrap_or_default();
        Ok(Self {
            text: text.to_owned(),
            scope: scope(first)?,
            provider: parts.next().map(str::parse).transpose()?,
            window: parts.next().map(str::parse).transpose()?,
        })
    }
}

impl fmt::Display for PartialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialKey {
    /// Returns the whole key, its window `total` where none was said.
    ///
    /// Returns `None` where no provider was said.
    pub(super) fn complete(&self, window: Option<Window>) -> Result<Option<BudgetKey>, KeyError> {
        let Some(provider) = self.provider.clone() else {
            return Ok(None);
        };
        let window = self.window.or(window).unwrap_or(Window::Total);
        BudgetKey::new(self.scope.clone(), provider, window).map(Some)
    }

    /// Returns whether this could mean a budget; a bottle's name also means its launch.
    fn can_mean(&self, budget: &Budget) -> bool {
        let scope = self.scope == budget.scope
            || match (&self.scope, &budget.bottle) {
                (Scope::Bottle(name), Some(bottle)) => {
                    name == bottle && matches!(budget.scope, Scope::Launch(_))
                }
                _ => false,
            };
        scope
            && self
                .provider
                .as_ref()
                .is_none_or(|provider| *provider == budget.provider)
            && self.window.is_none_or(|window| window == budget.window)
    }

    /// Finds the one budget that this can mean.
    pub(super) fn find(&self, connection: &mut Connection) -> Result<BudgetKey, Failure> {
        if let (Some(provider), Some(window)) = (&self.provider, self.window) {
            return BudgetKey::new(self.scope.clone(), provider.clone(), window)
                .map_err(|error| Failure::usage(error.to_string()));
        }
        let budgets = connection.call(&BudgetList::default())?.budgets;
        self.choose(&budgets)
    }

    fn choose(&self, budgets: &[Budget]) -> Result<BudgetKey, Failure> {
        let candidates: Vec<&BudgetKey> = budgets
            .iter()
            .filter(|budget| self.can_mean(budget))
            .map(|budget| &budget.id)
            .collect();
        match candidates.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(
                Failure::new(Exit::FAILED, "not_found", format!("{self} is no budget"))
                    .with_hint("bb-ctl budget list shows them all; bb-ctl budget set makes one"),
            ),
            many => {
                let many: Vec<String> = many.iter().map(ToString::to_string).collect();
                Err(Failure::new(
                    Exit::FAILED,
                    "ambiguous",
                    format!("{self} could be any of {} budgets", many.len()),
                )
                .with_hint(format!("say which: {}", many.join(", "))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(key: &str, bottle: Option<&str>) -> Budget {
        let key: BudgetKey = key.parse().expect("a key");
        serde_json::from_value(serde_json::json!({
            "id": key, "scope": key.scope, "provider": key.provider, "window": key.window,
            "bottle": bottle, "limit": 1, "used": 0, "pending": 0, "cap": "hard",
            "gate": "estimate", "warn": [], "source": {"from": "settings", "line": 1},
            "rate_per_minute": 0,
        }))
        .expect("a budget")
    }

    const RUN: &str = "018f4b2e-6f00-7000-8000-000000000000";

    fn choose(text: &str) -> Result<String, String> {
        let budgets = [
            budget("host/claude/total", None),
            budget("host/codex/total", None),
            budget("bottle:web/claude/total", None),
            budget("bottle:web/claude/run", None),
            budget("bottle:docs/claude/total", None),
            budget(&format!("launch:{RUN}/all/run"), Some("web")),
            budget("agent:docs/claude/total", None),
        ];
        let partial: PartialKey = text.parse().map_err(|error: KeyError| error.to_string())?;
        match partial.choose(&budgets) {
            Ok(key) => Ok(key.to_string()),
            Err(Failure::Told(told)) => Err(format!("{}: {:?}", told.code, told.hint)),
            Err(Failure::ReaderGone) => Err("gone".to_owned()),
        }
    }

    #[test]
    fn an_abbreviation_means_the_one_budget_it_can_mean() {
        assert_eq!(choose("docs"), Ok("bottle:docs/claude/total".to_owned()));
        assert_eq!(choose("host/codex"), Ok("host/codex/total".to_owned()));
        assert_eq!(
            choose("web/claude/run"),
            Ok("bottle:web/claude/run".to_owned())
        );
        assert_eq!(choose("web/all"), Ok(format!("launch:{RUN}/all/run")));
        assert_eq!(
            choose("agent:docs"),
            Ok("agent:docs/claude/total".to_owned())
        );
    }

    #[test]
    fn what_could_be_several_is_refused_with_all_of_them() {
        let hint = choose("web/claude").expect_err("two windows");
        assert!(hint.starts_with("ambiguous"), "{hint}");
        assert!(
            hint.contains("bottle:web/claude/total, bottle:web/claude/run"),
            "{hint}"
        );
        assert!(choose("nobody").expect_err("none").starts_with("not_found"));
        assert!(choose("web/").is_err());
        assert!(choose("pod:web").is_err());
    }

    #[test]
    fn a_key_without_a_window_is_set_for_total() {
        let complete = |text: &str, window| {
            text.parse::<PartialKey>()
                .expect("partial")
                .complete(window)
                .map(|key| key.map(|key| key.to_string()))
        };
        assert_eq!(complete("web", None), Ok(None));
        assert_eq!(
            complete("web/claude", None),
            Ok(Some("bottle:web/claude/total".to_owned()))
        );
        assert_eq!(
            complete("web/claude", Some(Window::Run)),
            Ok(Some("bottle:web/claude/run".to_owned()))
        );
        assert!(complete("host/claude/run", None).is_err());
    }
}
