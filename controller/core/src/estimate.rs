//! What a call will probably use, and what one that ended early probably has used.
//!
//! The estimator learns from what providers report: bytes a token of input and of output by
//! model, what media and the provider's own instructions cost, the output that such calls usually
//! have. A model that was not seen yet starts from what its family taught in the same dialect, and
//! that from constants. How far its estimates were off is kept. Integer arithmetic throughout.

use std::collections::{BTreeMap, HashMap};

use bb_proto::ids::ProviderKey;
use bb_proto::reply::EstimateErrors;
use bb_proto::usage::{Usage, Wire};

mod cold;
mod errors;
mod family;
mod input;
mod learned;
mod used;

pub use errors::ERRORS_MAX;
pub use input::InputSize;
pub use used::{FlowRate, Known, used, used_so_far};

use errors::{Errors, spread};
use family::family;
use learned::{Learned, stated_input};

/// The most models remembered; beyond it new ones stay at what their family taught.
pub const MODELS_MAX: usize = 1_024;
/// The most families remembered; beyond it new ones stay at the constants.
pub const FAMILIES_MAX: usize = 256;

/// What a call is expected to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Tokens of input, cached or not.
    pub input: u64,
    /// Tokens of output.
    pub output: u64,
    /// How its output flows.
    pub flow: FlowRate,
}

/// Whose call it is, as far as estimates differ by it.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// The provider.
    pub provider: &'a ProviderKey,
    /// The dialect.
    pub wire: Wire,
    /// The model asked for; empty where the request does not say.
    pub model: &'a str,
}

/// One model of one provider.
#[derive(Debug)]
struct Model {
    learned: Learned,
    input_errors: Errors,
    output_errors: Errors,
}

/// Learns what calls use, a model at a time.
#[derive(Debug, Default)]
pub struct Estimator {
    models: HashMap<ProviderKey, HashMap<String, Model>>,
    families: HashMap<(Wire, String), Learned>,
}

impl Estimator {
    /// Returns what a call is expected to use that has at most `output_max` tokens of output for
    /// each of `choices`.
    pub fn estimate(
        &self,
        called: Called<'_>,
        input: &InputSize,
        output_max: Option<u64>,
        choices: u32,
    ) -> Estimate {
        let learned = self.known_of(called);
        let choices = u64::from(choices.max(1));
        let cap = output_max.map_or(u64::MAX, |max| max.saturating_mul(choices));
        let flow = learned.flow();
        Estimate {
            input: learned.input(input),
            output: learned.output(choices).min(cap),
            flow: FlowRate {
                hidden: flow.hidden.min(cap),
                ..flow
            },
        }
    }

    /// Learns from a call whose usage the provider stated in full, and notes how far its estimate
    /// was off.
    pub fn learn(
        &mut self,
        called: Called<'_>,
        input: &InputSize,
        estimate: Estimate,
        known: &Known,
    ) {
        let Some(output) = known.stated.output else {
            return;
        };
        if let Some(model) = self.model_mut(called) {
            if let Some(stated) = stated_input(&known.stated) {
                model.input_errors.note(estimate.input, stated);
            }
            model.output_errors.note(estimate.output, output);
            model.learned.learn(input, known, estimate.output);
        }
        if let Some(family) = self.family_mut(called) {
            family.learn(input, known, estimate.output);
        }
    }

    /// Learns what is left of a call of an earlier life: how much output it had.
    pub fn remember(&mut self, called: Called<'_>, usage: &Usage) {
        if usage.output == Some(0) {
            // Whether any was expected is not known any more.
            return;
        }
        if let Some(model) = self.model_mut(called) {
            model.learned.learn_output(usage);
        }
        if let Some(family) = self.family_mut(called) {
            family.learn_output(usage);
        }
    }

    /// Returns how far estimates were off, a provider at a time, over the last
    /// [`ERRORS_MAX`] calls of each of its models.
    pub fn errors(&self) -> BTreeMap<ProviderKey, EstimateErrors> {
        let of = |models: &HashMap<String, Model>| {
            let output: Vec<u32> = models
                .values()
                .flat_map(|m| m.output_errors.iter())
                .collect();
            let input = models
                .values()
                .flat_map(|m| m.input_errors.iter())
                .collect();
            EstimateErrors {
                calls: u64::try_from(output.len()).unwrap_or(u64::MAX),
                input: spread(input),
                output: spread(output),
            }
        };
        let all = self.models.iter();
        all.map(|(provider, models)| (provider.clone(), of(models)))
            .filter(|(_, errors)| errors.calls > 0)
            .collect()
    }

    fn known_of(&self, called: Called<'_>) -> Learned {
        let models = self.models.get(called.provider);
        match models.and_then(|models| models.get(called.model)) {
            Some(model) => model.learned,
            None => self.start_of(called),
        }
    }

    fn start_of(&self, called: Called<'_>) -> Learned {
        let family = self.families.get(&(called.wire, family(called.model)));
        family.map_or_else(|| Learned::cold(called.wire), Learned::start)
    }

    fn model_mut(&mut self, called: Called<'_>) -> Option<&mut Model> {
        let start = self.start_of(called);
        let known: usize = self.models.values().map(HashMap::len).sum();
        let models = self.models.entry(called.provider.clone()).or_default();
        if known >= MODELS_MAX && !models.contains_key(called.model) {
            return None;
        }
        let model = models.entry(called.model.to_owned());
        Some(model.or_insert_with(|| Model {
            learned: start,
            input_errors: Errors::default(),
            output_errors: Errors::default(),
        }))
    }

    /// Returns the family of a model; none where nothing is named.
    fn family_mut(&mut self, called: Called<'_>) -> Option<&mut Learned> {
        let key = (called.wire, family(called.model));
        let is_full = self.families.len() >= FAMILIES_MAX && !self.families.contains_key(&key);
        if key.1.is_empty() || is_full {
            return None;
        }
        let family = self.families.entry(key);
        Some(family.or_insert_with(|| Learned::cold(called.wire)))
    }
}

#[cfg(test)]
mod tests;
