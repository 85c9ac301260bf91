//! Owns the rows of the providers that are known without settings.

mod rules;

use std::borrow::Cow;

use bb_proto::ids::ProviderKey;

use super::{Alternate, CredentialHeader, ProviderRow, Route, Scheme, Upstream};
use crate::meter::Quirks;
use rules::{
    ANTHROPIC, AZURE, BATCH_AND_REALTIME, CHATGPT_BACKEND, CLAUDE_ACCOUNT, DEEPSEEK_AS_ANTHROPIC,
    FILES, GEMINI, GEMINI_AS_OPENAI, GEMINI_MODELS, MODELS, OPENAI_CHAT, OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES, Rule, VERTEX,
};

/// Its chat endpoint shows the tokens of thinking in no count but the total.
const HIDDEN_THINKING: Quirks = Quirks {
    hidden_thinking_in_total: true,
    ..Quirks::NONE
};

/// It bills reasoning beside `completion_tokens` and leaves it out of its own total.
const REASONING_ON_TOP: Quirks = Quirks {
    reasoning_on_top: true,
    ..Quirks::NONE
};

/// A provider as it is written here.
struct Known {
    key: &'static str,
    host: &'static str,
    prefix: &'static str,
    credential: CredentialHeader,
    include_usage: bool,
    websocket: bool,
    completion_cap: bool,
    quirks: Quirks,
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
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
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
        websocket: true,
        completion_cap: true,
        quirks: Quirks::NONE,
        versions: &["v1"],
        rules: &[
            OPENAI_RESPONSES,
            OPENAI_CHAT,
            OPENAI_EMBEDDINGS,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
            CHATGPT_BACKEND,
            AZURE,
        ],
        alternate: Some(("/backend-api", "chatgpt.com")),
    },
    Known {
        key: "gemini",
        host: "generativelanguage.googleapis.com",
        prefix: "",
        credential: CredentialHeader::XGoogApiKey,
        include_usage: true,
        websocket: false,
        completion_cap: false,
        quirks: HIDDEN_THINKING,
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
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            OPENAI_EMBEDDINGS,
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
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
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
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
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
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            OPENAI_EMBEDDINGS,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
        ],
        alternate: None,
    },
    Known {
        key: "groq",
        host: "api.groq.com",
        prefix: "/openai",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
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
    Known {
        key: "vercel",
        host: "ai-gateway.vercel.sh",
        prefix: "",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        websocket: false,
        completion_cap: false,
        quirks: REASONING_ON_TOP,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            OPENAI_EMBEDDINGS,
            ANTHROPIC,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
        ],
        alternate: None,
    },
    // A region's host is told by `upstream`.
    Known {
        key: "vertex",
        host: "aiplatform.googleapis.com",
        prefix: "",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        websocket: false,
        completion_cap: false,
        quirks: HIDDEN_THINKING,
        versions: &["v1", "v1beta1"],
        rules: &[VERTEX],
        alternate: None,
    },
    Known {
        key: "together",
        host: "api.together.xyz",
        prefix: "",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
        versions: &["v1"],
        rules: &[
            OPENAI_CHAT,
            OPENAI_EMBEDDINGS,
            MODELS,
            FILES,
            BATCH_AND_REALTIME,
        ],
        alternate: None,
    },
    Known {
        key: "cerebras",
        host: "api.cerebras.ai",
        prefix: "",
        credential: CredentialHeader::Bearer,
        include_usage: true,
        websocket: false,
        completion_cap: false,
        quirks: Quirks::NONE,
        versions: &["v1"],
        rules: &[OPENAI_CHAT, MODELS, FILES, BATCH_AND_REALTIME],
        alternate: None,
    },
];

/// Returns the rows of every provider that is known without settings.
pub fn known() -> Vec<ProviderRow> {
    PROVIDERS.iter().filter_map(row).collect()
}

/// Returns what the numbers of the known provider at a host do not tell of themselves.
///
/// The host may have a port, and be a region's or a customer's name before the provider's own.
pub fn quirks_at(host: &str) -> Quirks {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let host = host.to_ascii_lowercase();
    let is_of = |known: &&Known| {
        host.strip_suffix(known.host)
            .is_some_and(|before| before.is_empty() || before.ends_with(['-', '.']))
    };
    PROVIDERS
        .iter()
        .find(is_of)
        .map_or(Quirks::NONE, |known| known.quirks)
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
        websocket: known.websocket,
        completion_cap: known.completion_cap,
        quirks: known.quirks,
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
