use bb_proto::usage::Wire;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::edit::json_values;
use crate::request::{Cap, with_cap};

fn capped(wire: Wire, tokens: u64, body: &str) -> Option<String> {
    let cap = Cap {
        tokens,
        is_completion: false,
    };
    with_cap(wire, body.as_bytes(), cap).map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn a_cap_is_lowered_or_put_in_and_nothing_else_changes() {
    let (anthropic, chat) = (Wire::AnthropicMessages, Wire::OpenaiChat);
    let (responses, gemini) = (Wire::OpenaiResponses, Wire::Gemini);
    for (wire, body, expected) in [
        (
            anthropic,
            r#"{"a":1, "max_tokens" : 64000 }"#,
            r#"{"a":1, "max_tokens" : 2048 }"#,
        ),
        (anthropic, r#"{"max_tokens":100}"#, r#"{"max_tokens":100}"#),
        (anthropic, r#"{"a":1}"#, r#"{"max_tokens":2048,"a":1}"#),
        (
            anthropic,
            r#"{"messages":[{"max_tokens":9000}]}"#,
            r#"{"max_tokens":2048,"messages":[{"max_tokens":9000}]}"#,
        ),
        (
            anthropic,
            r#"{"max\u005ftokens":64000,"max_tokens":"64000"}"#,
            r#"{"max\u005ftokens":2048,"max_tokens":2048}"#,
        ),
        (
            anthropic,
            r#"{"thinking":{"type":"enabled","budget_tokens":16000},"max_tokens":64000}"#,
            r#"{"thinking":{"type":"enabled","budget_tokens":1024},"max_tokens":2048}"#,
        ),
        (
            anthropic,
            r#"{"thinking":{"budget_tokens":2047}, "x":{}}"#,
            r#"{"max_tokens":2048,"thinking":{"budget_tokens":2047}, "x":{}}"#,
        ),
        (
            anthropic,
            r#"{"thinking":{"type":"adaptive"},"max_tokens":3000}"#,
            r#"{"thinking":{"type":"adaptive"},"max_tokens":2048}"#,
        ),
        (chat, r#"{"n":2}"#, r#"{"max_tokens":2048,"n":2}"#),
        (
            chat,
            r#"{"max_completion_tokens":null}"#,
            r#"{"max_completion_tokens":2048}"#,
        ),
        (
            chat,
            r#"{"max_tokens":10,"max_completion_tokens":9000}"#,
            r#"{"max_tokens":10,"max_completion_tokens":2048}"#,
        ),
        (responses, "{}", r#"{"max_output_tokens":2048}"#),
        (
            responses,
            "\u{feff} {\n}\n",
            "\u{feff} {\"max_output_tokens\":2048\n}\n",
        ),
        (
            responses,
            r#"{"max_output_tokens":1e9}"#,
            r#"{"max_output_tokens":2048}"#,
        ),
        (
            gemini,
            r#"{"contents":[]}"#,
            r#"{"generationConfig":{"maxOutputTokens":2048},"contents":[]}"#,
        ),
        (
            gemini,
            r#"{"generationConfig":{"temperature":1}}"#,
            r#"{"generationConfig":{"maxOutputTokens":2048,"temperature":1}}"#,
        ),
        (
            gemini,
            r#"{"generation_config": {"max_output_tokens": 9999}}"#,
            r#"{"generation_config": {"max_output_tokens": 2048}}"#,
        ),
        (
            gemini,
            r#"{"generationConfig":null,"a":0}"#,
            r#"{"generationConfig":{"maxOutputTokens":2048},"a":0}"#,
        ),
    ] {
        assert_eq!(
            capped(wire, 2_048, body).as_deref(),
            Some(expected),
            "{body}"
        );
    }
}

#[test]
fn a_chat_gets_the_name_of_a_cap_that_its_provider_takes() {
    let cap = Cap {
        tokens: 7,
        is_completion: true,
    };
    let body = with_cap(Wire::OpenaiChat, br#"{"a":1}"#, cap).unwrap();
    assert_eq!(body, br#"{"max_completion_tokens":7,"a":1}"#);
    let body = with_cap(Wire::OpenaiChat, br#"{"max_tokens":8}"#, cap).unwrap();
    assert_eq!(body, br#"{"max_tokens":7}"#);
}

#[test]
fn a_body_without_a_place_for_a_cap_is_not_changed() {
    for (wire, body) in [
        (Wire::OpenaiChat, "[]"),
        (Wire::OpenaiChat, r#"{"a":1"#),
        (Wire::OpenaiChat, r#"{"a":1}x"#),
        (Wire::Gemini, r#"{"generationConfig":7}"#),
        (Wire::OpenaiEmbeddings, "{}"),
    ] {
        assert_eq!(capped(wire, 5, body), None, "{body}");
    }
}

/// Returns the object in which a dialect's cap stands, and its name there.
fn place(wire: Wire, body: &mut Map<String, Value>) -> Option<(&mut Map<String, Value>, &str)> {
    match wire {
        Wire::AnthropicMessages | Wire::OpenaiChat => Some((body, "max_tokens")),
        Wire::OpenaiResponses => Some((body, "max_output_tokens")),
        Wire::Gemini => {
            let config = body.entry("generationConfig").or_insert(Value::Null);
            if config.is_null() {
                *config = json!({});
            }
            Some((config.as_object_mut()?, "maxOutputTokens"))
        }
        Wire::OpenaiEmbeddings => None,
    }
}

proptest! {
    #[test]
    fn a_capped_body_is_the_same_but_for_its_cap(
        wire in prop::sample::select(vec![
            Wire::AnthropicMessages, Wire::OpenaiChat, Wire::OpenaiResponses, Wire::Gemini,
        ]),
        members in prop::collection::vec(("[a-z\"\\\\]{0,8}", json_values()), 0..5),
        stated in prop::option::of(prop_oneof![
            any::<u32>().prop_map(Value::from),
            json_values(),
        ]),
        config in prop::option::of(json_values()),
        tokens in 1_u64..100_000,
        pretty in any::<bool>(),
    ) {
        let mut before: Map<String, Value> = members.into_iter().collect();
        if let Some(config) = config.filter(|_| wire == Wire::Gemini) {
            before.insert("generationConfig".to_owned(), config);
        }
        if let (Some(stated), Some((object, name))) = (stated, place(wire, &mut before.clone())) {
            let mut object = object.clone();
            object.insert(name.to_owned(), stated);
            match wire {
                Wire::Gemini => {
                    before.insert("generationConfig".to_owned(), Value::Object(object));
                }
                _ => before = object,
            }
        }
        let body = if pretty {
            serde_json::to_string_pretty(&before).unwrap()
        } else {
            serde_json::to_string(&before).unwrap()
        };
        let mut expected = before.clone();
        let changeable = match place(wire, &mut expected) {
            Some((object, name)) => {
                let cap = object.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX);
                object.insert(name.to_owned(), Value::from(cap.min(tokens)));
                true
            }
            None => false,
        };
        match capped(wire, tokens, &body) {
            Some(capped) => {
                let after: Map<String, Value> = serde_json::from_str(&capped).unwrap();
                prop_assert_eq!(&after, &expected);
                prop_assert_eq!(super::cap::capped(wire, tokens, &capped), Some(capped));
            }
            None => prop_assert!(!changeable, "{}", body),
        }
    }

    #[test]
    fn what_was_capped_says_no_more_than_its_cap(
        wire in prop::sample::select(vec![Wire::AnthropicMessages, Wire::OpenaiChat, Wire::Gemini]),
        body in r#"\{("(max_tokens|max_completion_tokens|generationConfig|thinking|maxOutputTokens|budget_tokens)":|[{}\[\]:,"]|"x"|true|null|9000|12){0,30}\}"#
    ) {
        let body = body.as_str();
        let facts = super::RequestFacts::read(wire, "/", body.as_bytes());
        let capped = capped(wire, 100, body);
        // What is no JSON after all has no place, and no provider takes it.
        let is_json = serde_json::from_str::<serde_json::Value>(body).is_ok();
        let has_place = is_json && facts.is_whole && !facts.uncapped;
        prop_assert!(capped.is_some() || !has_place, "{}", body);
        if let Some(capped) = capped {
            let after = super::RequestFacts::read(wire, "/", capped.as_bytes());
            prop_assert!(after.output_max.is_some_and(|cap| cap <= 100), "{}", capped);
        }
    }
}
