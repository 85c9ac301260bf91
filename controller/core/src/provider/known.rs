//! Owns the rows of the providers that are known without settings.

use std::borrow::Cow;

use bb_proto::ids::ProviderKey;
use bb_proto::usage::Wire;

use super::RouteKind::{Call, Refused, Unmetered};
use super::{
    Alternate, CredentialHeader, ProviderRow, Route, RouteKind, RouteRefusal, Scheme, Upstream,
};

type Rule = (&'static str, &'static str, RouteKind);

const ANTHROPIC: &[Rule] = &[
    ("POST", "/{v}/messages", Call(Wire::AnthropicMessages)),
    ("POST", "/{v}/messages/count_tokens", Unmetered),
    ("*", "/{v}/messages/batches", Refused(RouteRefusal::Batch)),
    (
        "*",
        "/{v}/messages/batches/{rest}",
        Refused(RouteRefusal::Batch),
    ),
];

const OPENAI_CHAT: &[Rule] = &[("POST", "/{v}/chat/completions", Call(Wire::OpenaiChat))];

const OPENAI_RESPONSES: &[Rule] = &[
    ("POST", "/{v}/responses", Call(Wire::OpenaiResponses)),
    ("POST", "/{v}/responses/input_tokens", Unmetered),
    (
        "POST",
        "/{v}/responses/compact",
        Call(Wire::OpenaiResponses),
    ),
    ("POST", "/{v}/responses/{id}/cancel", Unmetered),
    ("GET", "/{v}/responses/{id}", Unmetered),
    ("GET", "/{v}/responses/{id}/input_items", Unmetered),
    ("DELETE", "/{v}/responses/{id}", Unmetered),
    ("GET", "/{v}/responses", Refused(RouteRefusal::WebSocket)),
];

const GEMINI: &[Rule] = &[
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
const GEMINI_MODELS: &[Rule] = &[
    ("GET", "/{v}/models", Unmetered),
    ("GET", "/{v}/models/{name}", Unmetered),
];

const GEMINI_AS_OPENAI: &[Rule] = &[
    (
        "POST",
        "/{v}/openai/chat/completions",
        Call(Wire::OpenaiChat),
    ),
    ("GET", "/{v}/openai/models", Unmetered),
    ("GET", "/{v}/openai/models/{name}", Unmetered),
];

const MODELS: &[Rule] = &[
    ("GET", "/{v}/models", Unmetered),
    ("GET", "/{v}/models/{rest}", Unmetered),
];

const FILES: &[Rule] = &[
    ("*", "/{v}/files", Refused(RouteRefusal::Files)),
    ("*", "/{v}/files/{rest}", Refused(RouteRefusal::Files)),
    ("*", "/{v}/uploads", Refused(RouteRefusal::Files)),
    ("*", "/{v}/uploads/{rest}", Refused(RouteRefusal::Files)),
];

const BATCH_AND_REALTIME: &[Rule] = &[
    ("*", "/{v}/batches", Refused(RouteRefusal::Batch)),
    ("*", "/{v}/batches/{rest}", Refused(RouteRefusal::Batch)),
    ("*", "/{v}/batch/{rest}", Refused(RouteRefusal::Batch)),
    ("*", "/{v}/realtime", Refused(RouteRefusal::Realtime)),
    ("*", "/{v}/realtime/{rest}", Refused(RouteRefusal::Realtime)),
];

// What Claude Code asks of its own login besides model calls; none of it spends tokens.
const CLAUDE_ACCOUNT: &[Rule] = &[
    ("GET", "/api/claude_cli/bootstrap", Unmetered),
    ("GET", "/api/claude_code/settings", Unmetered),
    ("GET", "/api/claude_code/policy_limits", Unmetered),
    ("GET", "/api/oauth/profile", Unmetered),
    ("GET", "/api/oauth/usage", Unmetered),
    ("GET", "/api/oauth/claude_cli/{id}", Unmetered),
];

// Codex with a ChatGPT login; without an answer to accounts/check it makes no call at all.
const CHATGPT_BACKEND: &[Rule] = &[
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
        Refused(RouteRefusal::WebSocket),
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

const DEEPSEEK_AS_ANTHROPIC: &[Rule] = &[(
    "POST",
    "/anthropic/v1/messages",
    Call(Wire::AnthropicMessages),
)];

/// A provider as it is written here.
struct Known {
    key: &'static str,
    host: &'static str,
    prefix: &'static str,
    credential: CredentialHeader,
    include_usage: bool,
    versions: &'static [&'static str],
    rules: &'static [&'static [Rule]],
    alternate: Option<(&'static str, &'static str)>,
}

const PROVIDERS: &[Known] = &[
    Known {
        key: "claude",
        host: "api.anthropic.com",
        prefix: "",
        credential: CredentialHeader::XApiKey,
        include_usage: true,
        versions: &["v1"],
        rules: &[
            ANTHROPIC,
            OPENAI_CHAT,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
            CLAUDE_ACCOUNT,
        ],
        alternate: None,
    },
    Known {
        key: "codex",
        host: "api.openai.com",
        prefix: "",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        versions: &["v1"],
        rules: &[
            OPENAI_RESPONSES,
            OPENAI_CHAT,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
            CHATGPT_BACKEND,
        ],
        alternate: Some(("/backend-api", "chatgpt.com")),
    },
    Known {
        key: "gemini",
        host: "generativelanguage.googleapis.com",
        prefix: "",
        credential: CredentialHeader::XGoogApiKey,
        include_usage: true,
        versions: &["v1beta", "v1", "v1alpha"],
        rules: &[GEMINI, GEMINI_AS_OPENAI, GEMINI_MODELS, FILES],
        alternate: None,
    },
    Known {
        key: "openrouter",
        host: "openrouter.ai",
        prefix: "/api",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            ANTHROPIC,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
        ],
        alternate: None,
    },
    Known {
        key: "xai",
        host: "api.x.ai",
        prefix: "",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            ANTHROPIC,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
        ],
        alternate: None,
    },
    Known {
        key: "deepseek",
        host: "api.deepseek.com",
        prefix: "",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            DEEPSEEK_AS_ANTHROPIC,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
        ],
        alternate: None,
    },
    Known {
        key: "mistral",
        host: "api.mistral.ai",
        prefix: "",
        credential: CredentialHeader::Bearer,
        // It refuses a field that it does not know, and states usage in every stream anyway.
        include_usage: false,
        versions: &["v1"],
        rules: &[OPENAI_CHAT, MODELS, FILES, BATCH_AND_REALTIME],
        alternate: None,
    },
    Known {
        key: "groq",
        host: "api.groq.com",
        prefix: "/openai",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
        ],
        alternate: None,
    },
];

/// Returns the rows of every provider that is known without settings.
pub fn known() -> Vec<ProviderRow> {
    PROVIDERS.iter().filter_map(row).collect()
}

/// Returns the routes of a dialect, for the row of a provider that only settings know.
pub fn routes_of(wire: Wire) -> Vec<Route> {
    let rules: &[&[Rule]] = match wire {
        Wire::AnthropicMessages => &[ANTHROPIC, MODELS, FILES],
        Wire::OpenaiChat => &[OPENAI_CHAT, MODELS, FILES, BATCH_AND_REALTIME],
        Wire::OpenaiResponses => &[OPENAI_RESPONSES, MODELS, FILES, BATCH_AND_REALTIME],
        Wire::Gemini => &[GEMINI, GEMINI_MODELS, FILES],
    };
    routes(rules)
}

fn row(known: &Known) -> Option<ProviderRow> {
    Some(ProviderRow {
        key: ProviderKey::new(known.key).ok()?,
        upstream: https(known.host, known.prefix),
        alternates: known
            .alternate
            .iter()
            .map(|&(path, host)| Alternate {
                path: Cow::Borrowed(path),
                upstream: https(host, ""),
            })
            .collect(),
        credential: known.credential,
        include_usage: known.include_usage,
        versions: known.versions.iter().copied().map(Cow::Borrowed).collect(),
        routes: routes(known.rules),
    })
}

fn https(host: &'static str, prefix: &'static str) -> Upstream {
    Upstream {
        scheme: Scheme::Https,
        host: Cow::Borrowed(host),
        port: None,
        prefix: Cow::Borrowed(prefix),
    }
}

fn routes(rules: &[&[Rule]]) -> Vec<Route> {
    let rules = rules.iter().copied().flatten();
    rules
        .map(|&(method, pattern, kind)| Route {
            method: Cow::Borrowed(method),
            pattern: Cow::Borrowed(pattern),
            kind,
        })
        .collect()
}
