//! Every message of the control socket against a file, in both directions: what stands there is
//! what other programs write and read. A changed file is a new version of the protocol.
//!
//! The values are whole literals, so that a field that is added has to be said here as well.
//! `BB_GOLDEN=write` writes the files anew.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod bottles;
mod budgets;
mod calls;
mod documentation;
mod ledger;
mod lines;
mod queries;
mod sample;
mod system;
mod words;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use bb_proto::error::ErrorCode;
use bb_proto::request::{Call, METHODS, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::to_raw_value;

/// A method's file: parameters and answers, each once with everything and once with as little as
/// there may be.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Example<P, R> {
    params: [P; 2],
    answers: [R; 2],
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Reads and writes a value as its file has it.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let path = folder().join(format!("{name}.json"));
    if std::env::var_os("BB_GOLDEN").is_some_and(|what| what == "write") {
        let text = serde_json::to_string_pretty(value).expect("a value that can be written");
        std::fs::write(&path, text + "\n").expect("a file that can be written");
    }
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read: T =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(&read, value, "{name}: read");
    let written = serde_json::to_value(value).expect("a value that can be written");
    let stands: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(written, stands, "{name}: written");
}

/// Checks a method's messages against its file.
fn method<P>(params: [P; 2], answers: [P::Reply; 2])
where
    P: Method + PartialEq + Debug,
    P::Reply: PartialEq + Debug,
{
    for params in &params {
        let raw = to_raw_value(params).expect("parameters that can be written");
        let call = Call::parse(P::NAME, Some(&raw)).expect(P::NAME);
        assert_eq!(call.name(), P::NAME);
        refuses_what_it_does_not_know(P::NAME, &with_unknown(params));
    }
    for answer in &answers {
        let later: P::Reply = serde_json::from_value(with_unknown(answer)).expect(P::NAME);
        assert_eq!(&later, answer, "{}: a later answer", P::NAME);
    }
    golden(P::NAME, &Example { params, answers });
}

fn refuses_what_it_does_not_know(method: &str, params: &Value) {
    let raw = to_raw_value(params).expect("JSON");
    let error = Call::parse(method, Some(&raw)).expect_err("an unknown field");
    assert_eq!(error.data.code, ErrorCode::InvalidParams, "{method}");
    assert!(error.message.contains("of_a_later_version"), "{error:?}");
}

/// Adds a field that this version does not know to a message and to every row in it.
fn with_unknown<T: Serialize>(message: &T) -> Value {
    fn add(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields
                    .values_mut()
                    .filter(|value| value.is_array())
                    .for_each(add);
                if let Some(process) = fields.get_mut("process") {
                    add(process);
                }
                fields.insert("of_a_later_version".to_owned(), Value::Bool(true));
            }
            Value::Array(rows) => rows.iter_mut().for_each(add),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(message).expect("a message that can be written");
    add(&mut value);
    value
}

#[test]
fn every_method_has_its_file_and_every_file_its_message() {
    let mut names: Vec<String> = METHODS.iter().map(|name| (*name).to_owned()).collect();
    names.extend(["errors", "events", "hook", "lines", "words"].map(str::to_owned));
    names.sort();
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .expect("the folder")
        .filter_map(|file| {
            let name = file.expect("a file").file_name().into_string().ok()?;
            name.strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    files.sort();
    assert_eq!(files, names);
}

#[test]
fn parameters_that_are_left_out_are_an_empty_object() {
    let call = Call::parse("hello", None).expect("hello");
    assert_eq!(call, Call::Hello(bb_proto::request::Hello::default()));
}

#[test]
fn parameters_by_position_are_refused() {
    for params in ["[]", "[null, 1]", " [\"x\"]", "7", "\"x\""] {
        let raw = serde_json::value::RawValue::from_string(params.trim().to_owned()).expect("JSON");
        let error = Call::parse("hello", Some(&raw)).expect_err(params);
        assert_eq!(error.data.code, ErrorCode::InvalidParams, "{params}");
    }
}
