use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::request::with_include_usage;

fn edited(body: &str) -> Option<String> {
    with_include_usage(body.as_bytes()).map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn usage_is_asked_for_where_it_was_not() {
    let lines = [
        (
            r#"{"model":"m","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        ),
        ("{}", r#"{"stream_options":{"include_usage":true}}"#),
        (
            " \n{ \t}\r\n",
            " \n{\"stream_options\":{\"include_usage\":true} \t}\r\n",
        ),
        (
            r#"{"stream_options":null,"a":1}"#,
            r#"{"stream_options":{"include_usage":true},"a":1}"#,
        ),
        (
            r#"{"stream_options" : { } }"#,
            r#"{"stream_options" : {"include_usage":true } }"#,
        ),
        (
            r#"{"a":[{}],"stream_options":{"include_obfuscation":false}}"#,
            r#"{"a":[{}],"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
        ),
        (
            r#"{"stream_options":{"include_usage": false }}"#,
            r#"{"stream_options":{"include_usage": true }}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":{"a":"}"},"b":1}}"#,
            r#"{"stream_options":{"include_usage":true,"b":1}}"#,
        ),
        (
            r#"{"stream\u005foptions":{"include\u005Fusage":null}}"#,
            r#"{"stream\u005foptions":{"include\u005Fusage":true}}"#,
        ),
        (
            r#"{"messages":[{"stream_options":{"include_usage":true}}]}"#,
            r#"{"stream_options":{"include_usage":true},"messages":[{"stream_options":{"include_usage":true}}]}"#,
        ),
        (
            r#"{"messages":"\"stream_options\":{\"include_usage\":true}"}"#,
            r#"{"stream_options":{"include_usage":true},"messages":"\"stream_options\":{\"include_usage\":true}"}"#,
        ),
        (
            "\u{feff}{\"a\":1}",
            "\u{feff}{\"stream_options\":{\"include_usage\":true},\"a\":1}",
        ),
    ];
    for (body, expected) in lines {
        assert_eq!(edited(body).as_deref(), Some(expected), "{body}");
    }
}

#[test]
fn every_one_of_several_options_asks_for_usage_after_the_change() {
    assert_eq!(
        edited(
            r#"{"stream_options":{"include_usage":true},"stream_options":{"include_usage":false,"include_usage":0}}"#
        )
        .as_deref(),
        Some(
            r#"{"stream_options":{"include_usage":true},"stream_options":{"include_usage":true,"include_usage":true}}"#
        )
    );
    assert_eq!(
        edited(r#"{"stream_options":{},"x":1,"stream_options":null}"#).as_deref(),
        Some(
            r#"{"stream_options":{"include_usage":true},"x":1,"stream_options":{"include_usage":true}}"#
        )
    );
}

#[test]
fn a_body_that_asks_already_or_cannot_be_changed_safely_stays_as_it_is() {
    for body in [
        r#"{"stream_options":{"include_usage":true}}"#,
        r#"{"stream_options" :{ "include_usage" : true } , "a":1}"#,
        r#"{"stream\u005foptions":{"include_usage":true}}"#,
        r#"{"stream_options":[]}"#,
        r#"{"stream_options":"x"}"#,
        r#"{"stream_options":{},"stream_options":7}"#,
        "",
        "null",
        "[{}]",
        "{",
        r#"{"a"#,
        r#"{"a":1"#,
        r#"{"a":}"#,
        r#"{"a" 1}"#,
        r#"{"a":1}{}"#,
        r#"{"a":1}x"#,
        r#"{"stream_options":{"include_usage":tru"#,
        r#"{"stream_options":{"include_usage"}}"#,
        r"{a:1}",
    ] {
        assert_eq!(edited(body), None, "{body}");
    }
}

pub(super) fn json_values() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "stream_options",
        "include_usage",
        "[a-z\"\\\\\u{e9}{}:,]{0,6}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let member = (key.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(member, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_change_adds_one_member_and_nothing_else(
        members in prop::collection::vec(("[a-z\"\\\\]{0,8}", json_values()), 0..5),
        options in prop::option::of(json_values()),
        pretty in any::<bool>(),
    ) {
        let mut before: Map<String, Value> = members.into_iter().collect();
        if let Some(options) = options {
            before.insert("stream_options".to_owned(), options);
        }
        let body = if pretty {
            serde_json::to_string_pretty(&before).unwrap()
        } else {
            serde_json::to_string(&before).unwrap()
        };
        let mut expected = before.clone();
        let slot = expected.entry("stream_options").or_insert(Value::Null);
        let changeable = slot.is_null() || slot.is_object();
        if slot.is_null() {
            *slot = json!({});
        }
        if let Some(slot) = slot.as_object_mut() {
            slot.insert("include_usage".to_owned(), Value::Bool(true));
        }
        match edited(&body) {
            Some(edited) => {
                let after: Map<String, Value> = serde_json::from_str(&edited).unwrap();
                prop_assert_eq!(&after, &expected);
                prop_assert_ne!(&after, &before);
                prop_assert_eq!(with_include_usage(edited.as_bytes()), None);
            }
            None => prop_assert!(!changeable || before == expected),
        }
    }

    #[test]
    fn what_was_changed_needs_no_second_change(
        body in r#"\{("(stream_options|include_usage)":|[{}\[\]:,"]|"x"|true|null|1){0,30}\}"#
    ) {
        if let Some(edited) = edited(&body) {
            prop_assert_eq!(with_include_usage(edited.as_bytes()), None, "{}", edited);
        }
    }
}
