use super::*;

/// Teaches a model with answers that flow like this.
fn taught(known: &Known, times: usize) -> Estimate {
    let mut scene = Scene::new(Wire::OpenaiResponses);
    for _ in 0..times {
        scene.learn("gpt-5", &InputSize::text(9_000), known);
    }
    scene.estimate("gpt-5", &InputSize::text(9_000))
}

fn answer(output: u64, reasoning: Option<u64>, text: u64, shown: u64) -> Known {
    let mut known = stated(100, output);
    known.stated.reasoning = reasoning;
    known.flowed_bytes = text.saturating_add(shown);
    known.reasoning_bytes = shown;
    known
}

fn cut(text: u64, shown: u64) -> Known {
    Known {
        flowed_bytes: text.saturating_add(shown),
        reasoning_bytes: shown,
        ..Known::default()
    }
}

#[test]
fn a_call_that_ended_early_is_never_charged_nothing_or_a_placeholder() {
    let estimate = Estimate {
        input: 500,
        output: 1_000,
        ..Estimate::default()
    };
    let (usage, estimated) = used(&Known::default(), estimate);
    assert_eq!(
        (usage.input, usage.output, estimated),
        (Some(500), Some(0), true)
    );
    let known = Known {
        complete: false,
        flowed_bytes: 4_001,
        ..stated(700, 1)
    };
    let (usage, estimated) = used(&known, estimate);
    assert_eq!(
        (usage.input, usage.output, estimated),
        (Some(700), Some(1_001), true)
    );
}

#[test]
fn a_complete_answer_is_taken_as_stated_zero_included() {
    let known = Known {
        flowed_bytes: 400,
        ..stated(0, 0)
    };
    let estimate = Estimate {
        input: 5,
        output: 5,
        flow: FlowRate {
            bytes_per_token: 4_000,
            hidden: 70,
        },
    };
    assert_eq!(used(&known, estimate), (known.stated, false));
    assert_eq!(used_so_far(&known, estimate), known.stated);
}

#[test]
fn bytes_a_token_of_output_are_those_of_complete_answers() {
    let estimate = taught(&answer(1_000, None, 2_500, 0), 60);
    assert_eq!(estimate.flow.bytes_per_token, 2_500);
    assert_eq!(used(&cut(500, 0), estimate).0.output, Some(200));
}

#[test]
fn reasoning_that_is_stated_is_taken_out_of_both_sides() {
    let estimate = taught(&answer(1_000, Some(600), 1_600, 0), 60);
    assert_eq!(estimate.flow.bytes_per_token, 4_000);
    let estimate = taught(&answer(1_000, Some(600), 1_600, 2_400), 60);
    assert_eq!(estimate.flow.bytes_per_token, 4_000);
    assert_eq!(estimate.flow.hidden, 0, "all of it was shown");
    let estimate = taught(&answer(1_000, None, 600, 2_400), 60);
    assert_eq!(
        estimate.flow.bytes_per_token, 3_000,
        "nothing is stated of it"
    );
}

#[test]
fn an_interrupted_call_has_the_reasoning_that_such_calls_usually_hide() {
    let estimate = taught(&answer(1_000, Some(600), 1_600, 0), 60);
    assert_eq!(estimate.flow.hidden, 600);
    let charged = |known: &Known| used(known, estimate).0.output;
    assert_eq!(charged(&cut(400, 0)), Some(700));
    assert_eq!(
        charged(&cut(0, 0)),
        Some(0),
        "before any text nothing is known"
    );
    assert_eq!(charged(&cut(0, 400)), Some(100));
    let mut known = cut(400, 0);
    known.stated.reasoning = Some(50);
    assert_eq!(charged(&known), Some(150), "the provider's word stands");
}

#[test]
fn a_call_is_not_ended_for_reasoning_that_is_guessed() {
    let estimate = taught(&answer(1_000, Some(600), 1_600, 0), 60);
    assert_eq!(used_so_far(&cut(400, 0), estimate).output, Some(100));
}

#[test]
fn a_few_calls_that_think_much_do_not_make_those_that_do_not_look_so() {
    let mut scene = Scene::new(Wire::Gemini);
    let size = InputSize::text(9_000);
    for at in 0..30 {
        let reasoning = if at % 3 == 0 { 5_000 } else { 0 };
        let known = answer(reasoning + 400, Some(reasoning), 1_600, 0);
        scene.learn("gemini-2.5-flash", &size, &known);
    }
    assert_eq!(scene.estimate("gemini-2.5-flash", &size).flow.hidden, 0);
}

#[test]
fn what_is_hidden_is_within_what_the_request_admits() {
    let mut scene = Scene::new(Wire::OpenaiResponses);
    let size = InputSize::text(9_000);
    for _ in 0..9 {
        scene.learn("gpt-5", &size, &answer(6_000, Some(5_000), 4_000, 0));
    }
    let called = scene.called("gpt-5");
    let estimate = scene.estimator.estimate(called, &size, Some(800), 1);
    assert_eq!((estimate.output, estimate.flow.hidden), (800, 800));
}
