mod laws;
mod learning;
mod using;

use bb_proto::ids::ProviderKey;
use bb_proto::usage::{Usage, Wire};

use super::*;

/// A provider, and whose calls are asked about.
struct Scene {
    provider: ProviderKey,
    estimator: Estimator,
    wire: Wire,
}

impl Scene {
    fn new(wire: Wire) -> Self {
        Self {
            provider: ProviderKey::new("claude").expect("a name"),
            estimator: Estimator::default(),
            wire,
        }
    }

    fn called<'a>(&'a self, model: &'a str) -> Called<'a> {
        Called {
            provider: &self.provider,
            wire: self.wire,
            model,
        }
    }

    fn estimate(&self, model: &str, input: &InputSize) -> Estimate {
        self.estimator.estimate(self.called(model), input, None, 1)
    }

    fn input(&self, model: &str, input: &InputSize) -> u64 {
        self.estimate(model, input).input
    }

    fn learn(&mut self, model: &str, input: &InputSize, known: &Known) {
        let called = Called {
            provider: &self.provider,
            wire: self.wire,
            model,
        };
        let estimate = self.estimator.estimate(called, input, None, 1);
        self.estimator.learn(called, input, estimate, known);
    }
}

/// A complete answer of so many tokens in and out.
fn stated(input: u64, output: u64) -> Known {
    Known {
        stated: Usage {
            input: Some(input),
            output: Some(output),
            ..Usage::default()
        },
        complete: true,
        ..Known::default()
    }
}
