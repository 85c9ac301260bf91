//! `bb-controller meter`: what a recorded answer states.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::home::skipped;

fn meter(arguments: &[&str], body: &[u8]) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_it-controller"))
        .arg("meter")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("its input")?;
    // It may have ended before it read anything.
    drop(stdin.write_all(body));
    drop(stdin);
    Ok(child.wait_with_output()?)
}

fn stated(arguments: &[&str], body: &[u8]) -> Result<Value> {
    let output = meter(arguments, body)?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn an_answer_on_standard_input_is_metered() -> Result<()> {
    let body = br#"{"id":"m","type":"message","role":"assistant","model":"claude-opus-4-8",
        "content":[],"stop_reason":"end_turn","usage":{"input_tokens":12,
        "cache_read_input_tokens":300,"output_tokens":7}}"#;
    let expected = json!({
        "wire": "anthropic_messages",
        "input_tokens": 12,
        "cache_read_tokens": 300,
        "cache_write_tokens": null,
        "output_tokens": 7,
        "reasoning_tokens": null,
        "complete": true,
        "other_models": [],
    });
    let host = ["--host", "api.anthropic.com", "--path", "/v1/messages", "-"];
    assert_eq!(stated(&host, body)?, expected);
    // The answer itself tells too.
    assert_eq!(stated(&["-"], body)?, expected);
    let failed = stated(&["--status", "529", "-"], body)?;
    assert_eq!(failed["complete"], false);
    Ok(())
}

#[test]
fn what_cannot_be_metered_is_said() -> Result<()> {
    let cases: [(&[&str], i32, &str); 3] = [
        (
            &["/nowhere/answer.json"],
            1,
            "error: reading /nowhere/answer.json: No such file",
        ),
        (
            &["-"],
            1,
            "error: neither the path nor the answer tells its dialect: give --path",
        ),
        (
            &["--status", "many", "-"],
            2,
            "invalid value 'many' for '--status <STATUS>'",
        ),
    ];
    for (arguments, code, sentence) in cases {
        let output = meter(arguments, b"<html>")?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(sentence), "{said}");
        assert!(output.stdout.is_empty());
    }
    Ok(())
}

#[test]
fn why_nothing_is_found_is_said_beside_the_result() -> Result<()> {
    let answer = br#"{"type":"message","role":"assistant","stop_reason":"end_turn"}"#;
    let gzip = b"\x1f\x8b\x08\x00\x00";
    let coded = ["--path", "/v1/messages", "--content-encoding", "gzip", "-"];
    let path = ["--path", "/v1/messages", "-"];
    let cases: [(&[&str], &[u8], &str); 4] = [
        (&path, answer, "note: the answer states no usage"),
        (&path, gzip, "looks like gzip: give --content-encoding gzip"),
        (
            &path,
            b"\x28\xb5\x2f\xfd\x00",
            "looks like zstd: give --content-encoding zstd",
        ),
        (&coded, answer, "cannot be decoded as --content-encoding"),
    ];
    for (arguments, body, sentence) in cases {
        let output = meter(arguments, body)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains(sentence), "{said}");
        let stated: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(stated["output_tokens"], Value::Null);
    }
    let known = br#"{"type":"message","role":"assistant","stop_reason":"end_turn",
        "usage":{"input_tokens":1,"output_tokens":2}}"#;
    assert!(meter(&path, known)?.stderr.is_empty());
    Ok(())
}

#[test]
fn recorded_answers_are_metered_as_they_were_sent() -> Result<()> {
    let Some(folder) = std::env::var_os("BB_CORPUS") else {
        skipped("BB_CORPUS is not set");
        return Ok(());
    };
    let folder = Path::new(&folder);
    let index = std::fs::read_to_string(folder.join("index.jsonl"))?;
    let mut misses = Vec::new();
    let mut right = 0;
    for line in index.lines() {
        let case: Value = serde_json::from_str(line)?;
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let is_ours = ["anthropic_messages", "openai_", "gemini"]
            .iter()
            .any(|wire| text("wire").starts_with(wire));
        let is_frames = case["oddities"]
            .as_array()
            .is_some_and(|odd| odd.contains(&json!("websocket")));
        if !is_ours || is_frames {
            continue;
        }
        let file = folder.join(text("body")).display().to_string();
        let status = case["status"].to_string();
        let choices = case["request"]["n"].as_u64().unwrap_or(1).to_string();
        let mut arguments = vec!["--host", text("host"), "--path", text("path")];
        arguments.extend(["--status", &status, "--choices", &choices]);
        for (option, key) in [
            ("--content-type", "content_type"),
            ("--content-encoding", "content_encoding"),
        ] {
            if let Some(value) = case[key].as_str() {
                arguments.extend([option, value]);
            }
        }
        arguments.push(&file);
        let mut found = stated(&arguments, b"")?;
        let found = found.as_object_mut().context("an object")?;
        found.remove("wire");
        if accepted(&case).contains(&Value::Object(found.clone())) {
            right += 1;
        } else {
            misses.push(format!("{}: {}", text("id"), json!(found)));
        }
    }
    eprintln!("recorded answers: {right} right");
    assert!(right > 0, "the index names no case of our dialects");
    assert!(misses.is_empty(), "missed:\n{}", misses.join("\n"));
    Ok(())
}

/// What a case accepts: what is expected of it, and where a recording is ambiguous the rest.
fn accepted(case: &Value) -> Vec<Value> {
    let alternatives = case["alternatives"].as_array().into_iter().flatten();
    let all = std::iter::once(&case["expected"]).chain(alternatives);
    all.map(|one| {
        let mut one = one.clone();
        if let Some(counts) = one.as_object_mut() {
            counts.remove("total_billed");
            let others = case.get("expected_other_models");
            counts.insert(
                "other_models".to_owned(),
                others.cloned().unwrap_or(json!([])),
            );
        }
        one
    })
    .collect()
}
