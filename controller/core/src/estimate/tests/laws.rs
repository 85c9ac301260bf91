#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test may fail, and the figures are small"
)]

use proptest::prelude::*;

use super::super::learned;
use super::*;

fn wires() -> impl Strategy<Value = Wire> {
    prop::sample::select(vec![
        Wire::AnthropicMessages,
        Wire::OpenaiChat,
        Wire::OpenaiResponses,
        Wire::Gemini,
    ])
}

/// Counts small and absurd.
fn counts() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        1..100_u64,
        100..100_000_u64,
        any::<u64>(),
        Just(u64::MAX)
    ]
}

fn sizes() -> impl Strategy<Value = InputSize> {
    let bytes = (counts(), counts(), counts());
    let rest = (any::<u32>(), any::<bool>(), counts(), any::<bool>());
    (bytes, rest).prop_map(
        |(
            (text_bytes, structure_bytes, media_bytes),
            (media, has_tools, context_tokens, elsewhere),
        )| {
            InputSize {
                text_bytes,
                structure_bytes,
                media,
                media_bytes,
                has_tools,
                context_tokens,
                elsewhere,
            }
        },
    )
}

fn knowns() -> impl Strategy<Value = Known> {
    let count = || prop::option::of(counts());
    let usage = (count(), count(), count(), count(), count()).prop_map(
        |(input, cache_read, cache_write, output, reasoning)| Usage {
            input,
            cache_read,
            cache_write,
            output,
            reasoning,
        },
    );
    (usage, any::<bool>(), counts(), counts()).prop_map(
        |(stated, complete, flowed_bytes, reasoning_bytes)| Known {
            stated,
            complete,
            flowed_bytes,
            reasoning_bytes,
        },
    )
}

proptest! {
    #[test]
    fn whatever_was_learned_estimates_are_within_bounds_and_never_nothing(
        wire in wires(),
        calls in prop::collection::vec((0..3_u8, sizes(), knowns()), 0..30),
        size in sizes(),
        known in knowns(),
        max in prop::option::of(counts()),
        choices in any::<u32>(),
    ) {
        let mut scene = Scene::new(wire);
        for (model, size, known) in calls {
            scene.learn(&format!("claude-opus-{model}"), &size, &known);
        }
        for model in ["claude-opus-0", "claude-opus-9", "other"] {
            let estimate = scene.estimator.estimate(scene.called(model), &size, max, choices);
            prop_assert!(size.body_bytes() == 0 || estimate.input > 0);
            prop_assert!(estimate.input >= size.context_tokens);
            let cap = max.unwrap_or(u64::MAX).saturating_mul(u64::from(choices.max(1)));
            prop_assert!(estimate.output <= cap && estimate.flow.hidden <= cap);
            let (least, most) = learned::OUTPUT_BYTES_PER_TOKEN;
            prop_assert!((least..=most).contains(&estimate.flow.bytes_per_token));
            let (usage, _) = used(&known, estimate);
            prop_assert!(usage.output >= used_so_far(&known, estimate).output);

            let of = |size: InputSize| scene.input(model, &size);
            let body = of(InputSize::text(16_000_000));
            let (least, most) = learned::INPUT_BYTES_PER_TOKEN;
            prop_assert!(body >= 16_000_000_000 / most);
            prop_assert!(body <= 16_000_000_000_u64.div_ceil(least) + learned::PREAMBLE_TOKENS_MAX);
            let medium = of(InputSize { media: 1, ..InputSize::default() });
            let (least, most) = learned::MEDIUM_TOKENS;
            prop_assert!((least..=most).contains(&medium), "{}", medium);
        }
    }

    #[test]
    fn learning_converges_to_a_constant_ratio(
        wire in wires(),
        ratio in 1_500..16_000_u64,
        bytes in prop::collection::vec(20_000..900_000_u64, 120),
    ) {
        let mut scene = Scene::new(wire);
        let tokens = |bytes: u64| bytes * 1_000 / ratio;
        for bytes in &bytes {
            scene.learn("m", &InputSize::text(*bytes), &stated(tokens(*bytes), 10));
        }
        let estimate = scene.input("m", &InputSize::text(1_000_000));
        let off = estimate.abs_diff(tokens(1_000_000));
        // A ratio is kept in whole thousandths.
        prop_assert!(off * 500 <= estimate, "{} for {}", estimate, tokens(1_000_000));
    }

    #[test]
    fn more_of_anything_is_never_expected_to_cost_less(size in sizes(), more in 0..1_000_u64) {
        let scene = Scene::new(Wire::AnthropicMessages);
        let grown = [
            InputSize { text_bytes: size.text_bytes.saturating_add(more), ..size },
            InputSize { structure_bytes: size.structure_bytes.saturating_add(more), ..size },
            InputSize { media: size.media.saturating_add(1), ..size },
            InputSize { context_tokens: size.context_tokens.saturating_add(more), ..size },
        ];
        for grown in grown {
            prop_assert!(scene.input("m", &grown) >= scene.input("m", &size));
        }
    }
}

#[test]
fn no_body_of_a_single_byte_is_expected_to_cost_nothing() {
    for size in [
        InputSize::text(1),
        InputSize {
            structure_bytes: 1,
            ..InputSize::default()
        },
        InputSize {
            media_bytes: 1,
            ..InputSize::default()
        },
    ] {
        assert!(Scene::new(Wire::Gemini).input("m", &size) > 0, "{size:?}");
    }
}

#[test]
fn no_more_models_and_families_are_remembered_than_may_be() {
    let mut scene = Scene::new(Wire::OpenaiChat);
    let size = InputSize::text(30_000);
    for at in 0..MODELS_MAX + 500 {
        scene.learn(&format!("m{at}"), &size, &stated(10_000, 5));
    }
    let models: usize = scene.estimator.models.values().map(HashMap::len).sum();
    assert_eq!(
        (models, scene.estimator.families.len()),
        (MODELS_MAX, FAMILIES_MAX)
    );
    assert_eq!(scene.input("m0", &size), 10_000);
    assert_eq!(scene.input("m1200", &size), 7_500);
    let calls: u64 = scene.estimator.errors().values().map(|of| of.calls).sum();
    assert_eq!(usize::try_from(calls), Ok(MODELS_MAX));
}
