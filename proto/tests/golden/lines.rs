//! The lines themselves: requests, answers, notifications.

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::frame::{Id, NotificationLine, RequestLine, ResponseLine, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::to_raw_value;

use crate::folder;

#[derive(Serialize, Deserialize)]
struct Lines {
    requests: Vec<RequestLine>,
    answers: Vec<ResponseLine>,
    notifications: Vec<NotificationLine>,
}

fn lines() -> Lines {
    let raw = |value: Value| Some(to_raw_value(&value).expect("JSON"));
    let request = |id, params| RequestLine {
        jsonrpc: Version::V2,
        id,
        method: "hello".to_owned(),
        params,
    };
    let answer = |id, result, error| ResponseLine {
        jsonrpc: Version::V2,
        id,
        result,
        error,
    };
    Lines {
        requests: vec![
            request(Some(Id::Number(1)), raw(serde_json::json!({"protocol": 1}))),
            request(Some(Id::Text("a".to_owned())), None),
            request(None, None),
        ],
        answers: vec![
            answer(Some(Id::Number(1)), raw(serde_json::json!({})), None),
            answer(
                Some(Id::Text("a".to_owned())),
                None,
                Some(RpcError::new(ErrorCode::NotFound, "there is none")),
            ),
            answer(
                None,
                None,
                Some(RpcError::new(ErrorCode::ParseError, "no JSON")),
            ),
        ],
        notifications: vec![NotificationLine {
            jsonrpc: Version::V2,
            method: "event".to_owned(),
            params: to_raw_value(&serde_json::json!({"lost": 0})).expect("JSON"),
        }],
    }
}

#[test]
fn lines_are_read_and_written_as_they_stand() {
    let path = folder().join("lines.json");
    let written = serde_json::to_string_pretty(&lines()).expect("lines");
    if std::env::var_os("BB_GOLDEN").is_some_and(|what| what == "write") {
        std::fs::write(&path, written.clone() + "\n").expect("a file that can be written");
    }
    let stands = std::fs::read_to_string(&path).expect("the file");
    assert_eq!(written + "\n", stands);
    let read: Lines = serde_json::from_str(&stands).expect("lines");
    assert_eq!(
        serde_json::to_string_pretty(&read).expect("lines") + "\n",
        stands
    );
}

#[test]
fn a_line_of_another_version_is_none() {
    for line in [
        r#"{"jsonrpc":"1.0","id":1,"method":"hello"}"#,
        r#"{"id":1,"method":"hello"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"hello"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"hello"}]"#,
    ] {
        assert!(serde_json::from_str::<RequestLine>(line).is_err(), "{line}");
    }
}
