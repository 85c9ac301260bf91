use super::*;

const TEXT: InputSize = InputSize {
    text_bytes: 90_000,
    structure_bytes: 0,
    media: 0,
    media_bytes: 0,
    has_tools: false,
    context_tokens: 0,
    elsewhere: false,
};

#[test]
fn a_large_output_maximum_is_not_what_a_call_is_expected_to_use() {
    let scene = Scene::new(Wire::AnthropicMessages);
    let estimate = |max, choices| {
        let input = InputSize::text(85_000);
        let called = scene.called("opus");
        scene.estimator.estimate(called, &input, max, choices)
    };
    let one = estimate(Some(64_000), 1);
    assert_eq!((one.input, one.output), (21_250, 1_000));
    assert_eq!(estimate(Some(100), 2).output, 200);
    assert_eq!(estimate(None, 3).output, 3_000);
}

#[test]
fn estimates_move_to_what_the_provider_reports() {
    let mut scene = Scene::new(Wire::AnthropicMessages);
    let mut known = stated(1_000, 400);
    known.stated.cache_read = Some(9_000);
    for _ in 0..50 {
        scene.learn("opus", &InputSize::text(30_000), &known);
    }
    let estimate = scene.estimate("opus", &InputSize::text(60_000));
    assert_eq!((estimate.input, estimate.output), (20_000, 400));
}

#[test]
fn structure_costs_what_its_dialect_makes_of_it() {
    let size = InputSize {
        structure_bytes: 16_000,
        ..InputSize::text(40_000)
    };
    for (wire, expected) in [
        (Wire::AnthropicMessages, 14_000),
        (Wire::OpenaiChat, 11_000),
        (Wire::OpenaiResponses, 11_000),
        (Wire::Gemini, 11_000),
    ] {
        assert_eq!(Scene::new(wire).input("m", &size), expected, "{wire:?}");
    }
}

#[test]
fn media_cost_by_their_number_and_not_by_their_bytes() {
    let scene = Scene::new(Wire::AnthropicMessages);
    let with = |media_bytes| InputSize {
        media: 2,
        media_bytes,
        ..InputSize::text(4_000)
    };
    assert_eq!(scene.input("m", &with(4_000)), 1_000 + 2 * 1_500);
    assert_eq!(scene.input("m", &with(4_000_000)), 1_000 + 2 * 1_500);
}

#[test]
fn a_call_with_media_teaches_what_a_medium_costs_and_nothing_of_text() {
    let mut scene = Scene::new(Wire::AnthropicMessages);
    let image = InputSize {
        media: 1,
        media_bytes: 900_000,
        ..InputSize::text(8_000)
    };
    for _ in 0..30 {
        scene.learn("m", &image, &stated(2_300, 1));
    }
    assert_eq!(scene.input("m", &image), 2_300);
    assert_eq!(scene.input("m", &TEXT), 22_500);
}

#[test]
fn tools_cost_what_the_provider_says_of_them_besides() {
    let mut scene = Scene::new(Wire::AnthropicMessages);
    let tools = |bytes| InputSize {
        has_tools: true,
        ..InputSize::text(bytes)
    };
    assert_eq!(scene.input("m", &tools(800)), 200 + 500);
    for _ in 0..30 {
        scene.learn("m", &tools(800), &stated(200 + 340, 1));
    }
    assert_eq!(scene.input("m", &tools(800)), 540);
    assert_eq!(scene.input("m", &tools(80_000)), 20_340);
    assert_eq!(
        scene.input("m", &TEXT),
        22_500,
        "without tools nothing is added"
    );
}

#[test]
fn tokens_of_earlier_answers_are_added() {
    let scene = Scene::new(Wire::OpenaiResponses);
    let size = InputSize {
        context_tokens: 12_000,
        elsewhere: true,
        ..InputSize::text(400)
    };
    assert_eq!(scene.input("m", &size), 12_100);
}

#[test]
fn a_call_whose_input_is_elsewhere_teaches_no_bytes_a_token() {
    for size in [
        InputSize {
            elsewhere: true,
            ..TEXT
        },
        InputSize {
            context_tokens: 7,
            ..TEXT
        },
    ] {
        let mut scene = Scene::new(Wire::OpenaiResponses);
        for _ in 0..20 {
            scene.learn("gpt-5", &size, &stated(1_000_000, 77));
        }
        assert_eq!(scene.input("gpt-5", &TEXT), 22_500);
        assert_eq!(scene.estimate("gpt-5", &TEXT).output, 77);
        assert_eq!(scene.input("gpt-5-mini", &TEXT), 22_500);
    }
}

#[test]
fn one_call_whose_input_is_not_in_its_body_does_not_make_all_others_look_huge() {
    for bytes in [300, 3_000] {
        let mut scene = Scene::new(Wire::AnthropicMessages);
        let mut known = stated(0, 40);
        known.stated.cache_read = Some(18_700);
        scene.learn("opus", &InputSize::text(bytes), &known);
        assert!(scene.input("opus", &TEXT) <= 60_000, "{bytes}");
    }
}

#[test]
fn after_calls_that_agree_an_odd_one_counts_little() {
    let mut scene = Scene::new(Wire::AnthropicMessages);
    for _ in 0..10 {
        scene.learn("opus", &TEXT, &stated(22_500, 900));
    }
    scene.learn("opus", &TEXT, &stated(5_000_000, 64_000));
    let estimate = scene.estimate("opus", &TEXT);
    assert!((22_500..25_000).contains(&estimate.input), "{estimate:?}");
    assert!((900..9_000).contains(&estimate.output), "{estimate:?}");
}

#[test]
fn a_new_model_starts_from_what_its_family_taught_in_the_same_dialect() {
    let mut scene = Scene::new(Wire::AnthropicMessages);
    for _ in 0..20 {
        scene.learn("claude-opus-4-1-20250805", &TEXT, &stated(30_000, 333));
    }
    let of = |scene: &Scene, model: &str| {
        let estimate = scene.estimate(model, &TEXT);
        (estimate.input, estimate.output)
    };
    assert_eq!(of(&scene, "claude-opus-4-8"), (30_000, 333));
    assert_eq!(of(&scene, "claude-haiku-4-5"), (22_500, 1_000));
    scene.learn("claude-opus-4-8", &TEXT, &stated(22_500, 333));
    let (input, _) = of(&scene, "claude-opus-4-8");
    assert!((22_500..30_000).contains(&input), "{input}");
    scene.wire = Wire::OpenaiChat;
    assert_eq!(of(&scene, "claude-opus-5"), (22_500, 1_000));
}

#[test]
fn what_is_remembered_of_an_earlier_life_is_the_output() {
    let mut scene = Scene::new(Wire::AnthropicMessages);
    let usage = stated(5_000_000, 250).stated;
    for _ in 0..20 {
        let called = Called {
            provider: &scene.provider,
            wire: scene.wire,
            model: "claude-opus-4-8",
        };
        scene.estimator.remember(called, &usage);
    }
    for model in ["claude-opus-4-8", "claude-opus-5"] {
        let estimate = scene.estimate(model, &TEXT);
        assert_eq!((estimate.input, estimate.output), (22_500, 250), "{model}");
    }
    assert!(scene.estimator.errors().is_empty(), "nothing was estimated");
}

#[test]
fn errors_are_those_of_the_estimates_that_were_made() {
    let mut scene = Scene::new(Wire::AnthropicMessages);
    let called = Called {
        provider: &scene.provider,
        wire: scene.wire,
        model: "m",
    };
    for (input, output) in [(90, 50), (110, 100), (200, 100)] {
        let made = Estimate {
            input,
            output,
            ..Estimate::default()
        };
        scene
            .estimator
            .learn(called, &InputSize::text(9_000), made, &stated(100, 100));
    }
    let errors = scene.estimator.errors();
    let errors = errors.get(&scene.provider).expect("a provider");
    assert_eq!(errors.calls, 3);
    let input = (
        errors.input.median_thousandths,
        errors.input.p95_thousandths,
    );
    let output = (
        errors.output.median_thousandths,
        errors.output.p95_thousandths,
    );
    assert_eq!((input, output), ((100, 1_000), (0, 500)));
}
