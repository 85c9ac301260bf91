//! Our types as columns, and back.

use std::str::FromStr;

use bb_proto::ids::{CallId, RunId};
use bb_proto::units::Tokens;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::StoreError;

/// A count as a column: what is above the largest integer of a column stays there.
pub(super) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn tokens(n: Tokens) -> i64 {
    count(n.0)
}

pub(super) fn optional(n: Option<u64>) -> Option<i64> {
    n.map(count)
}

/// A column as a count; a negative one, which is never written, is zero.
pub(super) fn to_count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(super) fn to_tokens(n: i64) -> Tokens {
    Tokens(to_count(n))
}

pub(super) fn call_bytes(call: CallId) -> [u8; 16] {
    call.0.into_bytes()
}

pub(super) fn run_bytes(run: RunId) -> [u8; 16] {
    run.0.into_bytes()
}

pub(super) fn to_call(bytes: [u8; 16]) -> CallId {
    CallId(Uuid::from_bytes(bytes))
}

pub(super) fn to_run(bytes: [u8; 16]) -> RunId {
    RunId(Uuid::from_bytes(bytes))
}

/// The word that an enum has in JSON.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Ok(other.to_string()),
        Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(Box::new(error))),
    }
}

pub(super) fn to_word<T: DeserializeOwned>(
    table: &'static str,
    word: &str,
) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|error| {
        StoreError::Row {
            table,
            what: error.to_string(),
        }
    })
}

pub(super) fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn to_json<T: DeserializeOwned>(
    table: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Row {
        table,
        what: error.to_string(),
    })
}

pub(super) fn parse<T>(table: &'static str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StoreError::Row {
        table,
        what: error.to_string(),
    })
}
