//! The words that programs compare: every word of every set, as it is written.

use std::collections::BTreeMap;

use bb_proto::budget::{Cap, Gate, Policy};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Actor, EventKind};
use bb_proto::reply::{Ending, EntryKind, FileCheck, RefusedFor, Severity};
use bb_proto::request::UsageBy;
use bb_proto::usage::Wire;
use bb_proto::view::{BottleState, Enforcement, PathRole};
use serde::Serialize;
use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;

use crate::golden;

/// Asks a set of words for all of them, which its own reading knows.
struct Ask<'a>(&'a mut Vec<String>);

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no set of words"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
        Err(Error::custom("asked"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Returns all words of a set, each read and written again.
fn words<T: DeserializeOwned + Serialize>() -> Vec<String> {
    let mut words = Vec::new();
    assert!(T::deserialize(Ask(&mut words)).is_err(), "it only asks");
    for word in &words {
        let read: T = serde_json::from_value(Value::String(word.clone())).expect(word);
        let written = serde_json::to_value(&read).expect(word);
        assert_eq!(written, Value::String(word.clone()));
    }
    assert!(!words.is_empty());
    words
}

#[test]
fn every_word_is_written_as_it_was() {
    let all: BTreeMap<String, Vec<String>> = [
        ("actor", words::<Actor>()),
        ("bottle_state", words::<BottleState>()),
        ("cap", words::<Cap>()),
        ("ending", words::<Ending>()),
        ("enforcement", words::<Enforcement>()),
        ("entry", words::<EntryKind>()),
        ("error", words::<ErrorCode>()),
        ("event", words::<EventKind>()),
        ("file_check", words::<FileCheck>()),
        ("gate", words::<Gate>()),
        ("path_role", words::<PathRole>()),
        ("policy", words::<Policy>()),
        ("refused_for", words::<RefusedFor>()),
        ("severity", words::<Severity>()),
        ("usage_by", words::<UsageBy>()),
        ("wire", words::<Wire>()),
    ]
    .into_iter()
    .map(|(name, words)| (name.to_owned(), words))
    .collect();
    golden("words", &all);
}

#[test]
fn every_error_has_its_number() {
    let errors: Vec<RpcError> = words::<ErrorCode>()
        .into_iter()
        .map(|word| {
            let code: ErrorCode = serde_json::from_value(Value::String(word)).expect("a code");
            assert_eq!(serde_json::json!(code), serde_json::json!(code.to_string()));
            RpcError::new(code, format!("an example of {code}")).with_hint("what to do about it")
        })
        .chain([RpcError::new(ErrorCode::NotFound, "without a hint")])
        .collect();
    golden("errors", &errors);
}
