//! Owns what the known paths mean, by dialect and by host.

use bb_proto::usage::Wire;

use crate::provider::RouteKind::{self, Call, Poll, Refused, Unmetered, WebSocket};
use crate::provider::RouteRefusal;

/// A method, a pattern of a path, and what it means.
pub(super) type Rule = (&'static str, &'static str, RouteKind);

pub(super) const ANTHROPIC: &[Rule] = &[
    ("POST", "/{v}/messages", Call(Wire::AnthropicMessages)),
    ("POST", "/{v}/messages/count_tokens", Unmetered),
    ("*", "/{v}/messages/batches", Refused(RouteRefusal::Batch)),
    (
        "*",
        "/{v}/messages/batches/{rest}",
        Refused(RouteRefusal::Batch),
    ),
];

pub(super) const OPENAI_CHAT: &[Rule] =
    &[("POST", "/{v}/chat/completions", Call(Wire::OpenaiChat))];

pub(super) const OPENAI_EMBEDDINGS: &[Rule] =
    &[("POST", "/{v}/embeddings", Call(Wire::OpenaiEmbeddings))];

pub(super) const OPENAI_RESPONSES: &[Rule] = &[
    ("POST", "/{v}/responses", Call(Wire::OpenaiResponses)),
    ("POST", "/{v}/responses/input_tokens", Unmetered),
    (
        "POST",
        "/{v}/responses/compact",
        Call(Wire::OpenaiResponses),
    ),
    (
        "POST",
        "/{v}/responses/{id}/cancel",
        Poll(Wire::OpenaiResponses),
    ),
    ("GET", "/{v}/responses/{id}", Poll(Wire::OpenaiResponses)),
    ("GET", "/{v}/responses/{id}/input_items", Unmetered),
    ("DELETE", "/{v}/responses/{id}", Unmetered),
    ("GET", "/{v}/responses", WebSocket(Wire::OpenaiResponses)),
];

pub(super) const GEMINI: &[Rule] = &[
    (
        "POST",
        "/{v}/models/{id}:streamGenerateContent",
        Call(Wire::Gemini),
    ),
    (
        "POST",
        "/{v}/models/{id}:generateContent",
        Call(Wire::Gemini),
    ),
    (
        "POST",
        "/{v}/tunedModels/{id}:streamGenerateContent",
        Call(Wire::Gemini),
    ),
    (
        "POST",
        "/{v}/tunedModels/{id}:generateContent",
        Call(Wire::Gemini),
    ),
    ("POST", "/{v}/models/{id}:countTokens", Unmetered),
    (
        "POST",
        "/{v}/models/{id}:batchGenerateContent",
        Refused(RouteRefusal::Batch),
    ),
    ("*", "/{v}/batches", Refused(RouteRefusal::Batch)),
    ("*", "/{v}/batches/{rest}", Refused(RouteRefusal::Batch)),
    ("*", "/ws/{rest}", Refused(RouteRefusal::Realtime)),
    ("*", "/upload/{rest}", Refused(RouteRefusal::Files)),
];

// A GET of a model with a verb is no list: Google lets a header override the method.
pub(super) const GEMINI_MODELS: &[Rule] = &[
    ("GET", "/{v}/models", Unmetered),
    ("GET", "/{v}/models/{name}", Unmetered),
];

pub(super) const GEMINI_AS_OPENAI: &[Rule] = &[
    (
        "POST",
        "/{v}/openai/chat/completions",
        Call(Wire::OpenaiChat),
    ),
    (
        "POST",
        "/{v}/openai/embeddings",
        Call(Wire::OpenaiEmbeddings),
    ),
    ("GET", "/{v}/openai/models", Unmetered),
    ("GET", "/{v}/openai/models/{name}", Unmetered),
];

pub(super) const MODELS: &[Rule] = &[
    ("GET", "/{v}/models", Unmetered),
    ("GET", "/{v}/models/{rest}", Unmetered),
];

pub(super) const FILES: &[Rule] = &[
    ("*", "/{v}/files", Refused(RouteRefusal::Files)),
    ("*", "/{v}/files/{rest}", Refused(RouteRefusal::Files)),
    ("*", "/{v}/uploads", Refused(RouteRefusal::Files)),
    ("*", "/{v}/uploads/{rest}", Refused(RouteRefusal::Files)),
];

pub(super) const BATCH_AND_REALTIME: &[Rule] = &[
    ("*", "/{v}/batches", Refused(RouteRefusal::Batch)),
    ("*", "/{v}/batches/{rest}", Refused(RouteRefusal::Batch)),
    ("*", "/{v}/batch/{rest}", Refused(RouteRefusal::Batch)),
    ("*", "/{v}/realtime", Refused(RouteRefusal::Realtime)),
    ("*", "/{v}/realtime/{rest}", Refused(RouteRefusal::Realtime)),
];

// What Claude Code asks of its own login besides model calls; none of it spends tokens.
pub(super) const CLAUDE_ACCOUNT: &[Rule] = &[
    ("GET", "/api/claude_cli/bootstrap", Unmetered),
    ("GET", "/api/claude_code/settings", Unmetered),
    ("GET", "/api/claude_code/policy_limits", Unmetered),
    ("GET", "/api/oauth/profile", Unmetered),
    ("GET", "/api/oauth/usage", Unmetered),
    ("GET", "/api/oauth/claude_cli/{id}", Unmetered),
];

// Codex with a ChatGPT login; without an answer to accounts/check it makes no call at all.
pub(super) const CHATGPT_BACKEND: &[Rule] = &[
    (
        "POST",
        "/backend-api/codex/responses",
        Call(Wire::OpenaiResponses),
    ),
    (
        "POST",
        "/backend-api/codex/responses/compact",
        Call(Wire::OpenaiResponses),
    ),
    (
        "GET",
        "/backend-api/codex/responses",
        WebSocket(Wire::OpenaiResponses),
    ),
    ("GET", "/backend-api/codex/models", Unmetered),
    (
        "POST",
        "/backend-api/codex/analytics-events/events",
        Unmetered,
    ),
    ("GET", "/backend-api/wham/accounts/check", Unmetered),
    ("GET", "/backend-api/wham/settings/user", Unmetered),
    ("GET", "/backend-api/wham/usage", Unmetered),
    ("GET", "/backend-api/ps/plugins/{rest}", Unmetered),
];

pub(super) const DEEPSEEK_AS_ANTHROPIC: &[Rule] = &[(
    "POST",
    "/anthropic/v1/messages",
    Call(Wire::AnthropicMessages),
)];

// A resource of Azure's, which is told by `upstream`; its newer paths are OpenAI's own.
pub(super) const AZURE: &[Rule] = &[
    (
        "POST",
        "/openai/deployments/{id}/chat/completions",
        Call(Wire::OpenaiChat),
    ),
    (
        "POST",
        "/openai/deployments/{id}/embeddings",
        Call(Wire::OpenaiEmbeddings),
    ),
];

// Google's cloud: its own models, those of others, and a way in for chat clients.
pub(super) const VERTEX: &[Rule] = &[
    (
        "POST",
        "/{v}/publishers/google/models/{id}:generateContent",
        Call(Wire::Gemini),
    ),
    (
        "POST",
        "/{v}/publishers/google/models/{id}:streamGenerateContent",
        Call(Wire::Gemini),
    ),
    (
        "POST",
        "/{v}/publishers/google/models/{id}:countTokens",
        Unmetered,
    ),
    (
        "POST",
        "/{v}/projects/{id}/locations/{id}/publishers/google/models/{id}:generateContent",
        Call(Wire::Gemini),
    ),
    (
        "POST",
        "/{v}/projects/{id}/locations/{id}/publishers/google/models/{id}:streamGenerateContent",
        Call(Wire::Gemini),
    ),
    (
        "POST",
        "/{v}/projects/{id}/locations/{id}/publishers/google/models/{id}:countTokens",
        Unmetered,
    ),
    (
        "POST",
        "/{v}/projects/{id}/locations/{id}/publishers/anthropic/models/count-tokens:rawPredict",
        Unmetered,
    ),
    (
        "POST",
        "/{v}/projects/{id}/locations/{id}/publishers/anthropic/models/{id}:rawPredict",
        Call(Wire::AnthropicMessages),
    ),
    (
        "POST",
        "/{v}/projects/{id}/locations/{id}/publishers/anthropic/models/{id}:streamRawPredict",
        Call(Wire::AnthropicMessages),
    ),
    (
        "POST",
        "/{v}/projects/{id}/locations/{id}/endpoints/openapi/chat/completions",
        Call(Wire::OpenaiChat),
    ),
    (
        "*",
        "/{v}/projects/{id}/locations/{id}/batchPredictionJobs",
        Refused(RouteRefusal::Batch),
    ),
    ("*", "/ws/{rest}", Refused(RouteRefusal::Realtime)),
];
