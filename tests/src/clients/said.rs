//! What a client understood: the answer's text, or the error it shows.

use serde_json::Value;

use super::{Client, Run};

/// The outcome of a run, in the client's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    pub text: Option<String>,
    pub error: Option<String>,
}

impl Run {
    /// Reads the machine-readable output of whichever client it was.
    pub fn said(&self) -> Said {
        let lines: Vec<Value> = self
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        match self.client {
            Client::ClaudeCode => claude_code(&lines),
            Client::Codex => codex(&lines),
            _ => sdk(&lines),
        }
    }
}

/// One result; an error is a result too, and only the flag tells.
fn claude_code(lines: &[Value]) -> Said {
    let Some(result) = lines.last() else {
        return Said::default();
    };
    let text = string(&result["result"]);
    if result["is_error"].as_bool().unwrap_or(false) {
        Said {
            error: text,
            text: None,
        }
    } else {
        Said { text, error: None }
    }
}

/// One event a line; an error line may be followed by a successful retry.
fn codex(lines: &[Value]) -> Said {
    let of = |kind: &'static str| lines.iter().rev().find(move |line| line["type"] == kind);
    let message = lines
        .iter()
        .rev()
        .find(|line| line["item"]["type"] == "agent_message");
    Said {
        text: message.and_then(|line| string(&line["item"]["text"])),
        error: of("turn.failed").and_then(|line| string(&line["error"]["message"])),
    }
}

/// One object, printed by the script.
fn sdk(lines: &[Value]) -> Said {
    let Some(object) = lines.last() else {
        return Said::default();
    };
    Said {
        text: string(&object["text"]),
        error: string(&object["message"]),
    }
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
