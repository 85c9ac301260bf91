//! Errors as they cross the socket: a stable code, a sentence, a hint.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, as a word that programs may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The line is no JSON.
    ParseError,
    /// The JSON is no JSON-RPC 2.0 request.
    InvalidRequest,
    /// No method of that name.
    UnknownMethod,
    /// The parameters are not the method's.
    InvalidParams,
    /// The line is longer than a line may be.
    LineTooLong,
    /// The client speaks another version of the messages.
    WrongProtocol,
    /// No such bottle, budget, client recipe or folder.
    NotFound,
    /// The name is in use, or the file is there.
    Exists,
    /// The target is not what `if` says it should be, or not what was read of it before.
    Conflict,
    /// A budget is spent.
    OverBudget,
    /// A feature that this version lacks.
    NotAvailable,
    /// The settings have mistakes.
    Settings,
    /// The ledger is closed: the disk is full or failing.
    LedgerClosed,
    /// The same `request_id` came with other parameters.
    RequestIdReused,
    /// The bottle's state does not allow it.
    WrongState,
    /// The controller is shutting down.
    ShuttingDown,
    /// The controller is at one of its limits.
    Busy,
    /// A fault of the controller.
    Internal,
}

impl ErrorCode {
    /// Returns the JSON-RPC number of this code.
    pub fn number(self) -> i32 {
        match self {
            Self::ParseError => -32700,
            Self::InvalidRequest | Self::LineTooLong => -32600,
            Self::UnknownMethod => -32601,
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            _ => -32000,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => f.pad(&word),
            _ => Err(fmt::Error),
        }
    }
}

/// An error answer: the `error` member of a JSON-RPC response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The JSON-RPC number.
    pub code: i32,
    /// A sentence for people.
    pub message: String,
    /// What programs read.
    pub data: ErrorData,
}

/// The `data` of an error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorData {
    /// The stable word.
    pub code: ErrorCode,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl RpcError {
    /// Makes an error without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: code.number(),
            message: message.into(),
            data: ErrorData { code, hint: None },
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.data.hint = Some(hint.into());
        self
    }
}
