use bb_proto::ids::ProviderKey;
use bb_proto::usage::Wire;

use super::RouteKind::{Call, Poll, Refused, Unmetered, WebSocket};
use super::*;

mod clouds;

fn row(key: &str) -> ProviderRow {
    let key = ProviderKey::new(key).unwrap();
    known().into_iter().find(|row| row.key == key).unwrap()
}

fn check(key: &str, lines: &[(&str, &str, Option<RouteKind>)]) {
    let row = row(key);
    for (method, path, expected) in lines {
        assert_eq!(
            route(&row, method, path),
            *expected,
            "{key} {method} {path}"
        );
    }
}

const BATCH: Option<RouteKind> = Some(Refused(RouteRefusal::Batch));
const REALTIME: Option<RouteKind> = Some(Refused(RouteRefusal::Realtime));
const FILES: Option<RouteKind> = Some(Refused(RouteRefusal::Files));
const WEBSOCKET: Option<RouteKind> = Some(WebSocket(Wire::OpenaiResponses));
const POLL: Option<RouteKind> = Some(Poll(Wire::OpenaiResponses));
const MESSAGES: Option<RouteKind> = Some(Call(Wire::AnthropicMessages));
const CHAT: Option<RouteKind> = Some(Call(Wire::OpenaiChat));
const RESPONSES: Option<RouteKind> = Some(Call(Wire::OpenaiResponses));
const GEMINI: Option<RouteKind> = Some(Call(Wire::Gemini));

#[test]
fn every_known_provider_has_a_row_of_its_own_with_a_call_to_make() {
    let rows = known();
    let keys: Vec<_> = rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "claude",
            "codex",
            "gemini",
            "openrouter",
            "xai",
            "deepseek",
            "mistral",
            "groq",
            "vercel",
            "vertex",
            "together",
            "cerebras"
        ]
    );
    for row in &rows {
        assert!(!row.wires().is_empty(), "{}", row.key);
        assert!(!row.versions.is_empty(), "{}", row.key);
        assert!(
            row.routes
                .iter()
                .all(|route| route.pattern.starts_with('/'))
        );
    }
}

#[test]
fn the_paths_of_claude_are_told_apart() {
    check(
        "claude",
        &[
            ("POST", "/v1/messages", MESSAGES),
            ("POST", "/v1/messages?beta=true", MESSAGES),
            ("POST", "/messages", MESSAGES),
            ("POST", "/v1/messages/count_tokens", Some(Unmetered)),
            (
                "POST",
                "/v1/messages/count_tokens?beta=true",
                Some(Unmetered),
            ),
            ("GET", "/v1/models", Some(Unmetered)),
            ("GET", "/v1/models?limit=1000", Some(Unmetered)),
            ("GET", "/v1/models/claude-opus-4-8", Some(Unmetered)),
            ("POST", "/v1/messages/batches", BATCH),
            ("GET", "/v1/messages/batches/msgbatch_1/results", BATCH),
            ("POST", "/v1/files", FILES),
            ("GET", "/v1/messages", None),
            ("PUT", "/v1/messages", None),
            ("POST", "/v2/messages", None),
            ("POST", "/v1/complete", None),
            ("POST", "/v1/responses", None),
            ("POST", "/api/event_logging/v2/batch", None),
            ("GET", "/", None),
            ("GET", "", None),
        ],
    );
}

#[test]
fn the_paths_of_codex_are_told_apart() {
    check(
        "codex",
        &[
            ("POST", "/v1/responses", RESPONSES),
            ("POST", "/responses", RESPONSES),
            ("POST", "/v1/responses/compact", RESPONSES),
            ("GET", "/v1/responses", WEBSOCKET),
            ("GET", "/v1/responses/resp_1", POLL),
            ("GET", "/v1/responses/resp_1?stream=true", POLL),
            ("DELETE", "/v1/responses/resp_1", Some(Unmetered)),
            ("POST", "/v1/responses/resp_1/cancel", POLL),
            ("POST", "/v1/responses/input_tokens", Some(Unmetered)),
            ("POST", "/v1/responses/resp_1", None),
            ("POST", "/v1/chat/completions", CHAT),
            ("POST", "/chat/completions", CHAT),
            ("GET", "/v1/models", Some(Unmetered)),
            ("GET", "/models/gpt-5", Some(Unmetered)),
            ("DELETE", "/v1/models/ft:gpt-5:me", None),
            ("POST", "/v1/batches", BATCH),
            ("POST", "/v1/batches/batch_1/cancel", BATCH),
            ("GET", "/v1/realtime?model=gpt-realtime", REALTIME),
            ("POST", "/v1/realtime/client_secrets", REALTIME),
            ("GET", "/v1/files/file-1/content", FILES),
            ("POST", "/backend-api/codex/responses", RESPONSES),
            ("GET", "/backend-api/codex/responses", WEBSOCKET),
            (
                "GET",
                "/backend-api/codex/models?client_version=0.169.0",
                Some(Unmetered),
            ),
            ("GET", "/backend-api/wham/accounts/check", Some(Unmetered)),
            ("POST", "/backend-api/wham/tasks", None),
            ("POST", "/v1/backend-api/codex/responses", None),
        ],
    );
}

#[test]
fn the_paths_of_gemini_are_told_apart() {
    check(
        "gemini",
        &[
            (
                "POST",
                "/v1beta/models/gemini-3.5-flash-lite:generateContent",
                GEMINI,
            ),
            (
                "POST",
                "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
                GEMINI,
            ),
            (
                "POST",
                "/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
                GEMINI,
            ),
            ("POST", "/models/gemini-2.5-flash:generateContent", GEMINI),
            ("POST", "/v1beta/tunedModels/mine:generateContent", GEMINI),
            (
                "POST",
                "/v1beta/models/gemini-2.5-flash:countTokens",
                Some(Unmetered),
            ),
            ("GET", "/v1beta/models", Some(Unmetered)),
            ("GET", "/v1beta/models/gemini-2.5-flash", Some(Unmetered)),
            ("POST", "/v1beta/models/m:batchGenerateContent", BATCH),
            ("GET", "/v1beta/batches/1", BATCH),
            (
                "GET",
                "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
                REALTIME,
            ),
            ("POST", "/upload/v1beta/files", FILES),
            ("POST", "/v1beta/openai/chat/completions", CHAT),
            ("POST", "/v1beta/models/:generateContent", None),
            ("POST", "/v1beta/models/a/b:generateContent", None),
            ("POST", "/v1beta/models/m:embedContent", None),
            ("POST", "/v1beta/models/m:generatecontent", None),
            ("POST", "/v1beta/cachedContents", None),
            ("GET", "/v1beta/models/m:generateContent", None),
        ],
    );
}

#[test]
fn a_provider_that_copies_a_wire_has_that_wires_paths() {
    for key in ["openrouter", "xai", "deepseek", "mistral", "groq"] {
        check(
            key,
            &[
                ("POST", "/v1/chat/completions", CHAT),
                ("POST", "/chat/completions", CHAT),
                ("GET", "/v1/models", Some(Unmetered)),
                ("POST", "/v1/batches", BATCH),
            ],
        );
    }
    check(
        "openrouter",
        &[
            ("POST", "/v1/messages", MESSAGES),
            (
                "GET",
                "/v1/models/anthropic/claude/endpoints",
                Some(Unmetered),
            ),
        ],
    );
    check("deepseek", &[("POST", "/anthropic/v1/messages", MESSAGES)]);
    check("mistral", &[("POST", "/v1/batch/jobs", BATCH)]);
}

#[test]
fn a_path_that_could_be_read_in_two_ways_is_unknown() {
    let tricks = [
        "/v1/messages/../messages/batches",
        "/v1/messages/batches/../../messages",
        "/v1/./messages",
        "/./v1/messages",
        "/v1/messages/.",
        "/v1/messages/..",
        "/v1/models/..",
        "/v1/models/...",
        "//v1/messages",
        "/v1//messages",
        "/v1/messages/",
        "/v1/%6dessages",
        "/v1/messages%2fbatches",
        "/v1/models/%2e%2e",
        "/v1/models/%2E%2E/files",
        "/v1/models/a%00",
        "/v1/models/a\\..\\files",
        "/v1/models/..;/files",
        "/v1/models/a;b",
        "/v1/messages#x",
        "/v1/messages ",
        "/v1/messages\t",
        "/v1/models/\u{fe52}\u{fe52}",
        "v1/messages",
        "*",
        "http://api.anthropic.com/v1/messages",
        "/V1/messages",
        "/v1/Messages",
    ];
    for row in known() {
        for path in tricks {
            for method in ["GET", "POST"] {
                assert_eq!(route(&row, method, path), None, "{} {path}", row.key);
            }
        }
    }
}

#[test]
fn a_method_is_matched_as_it_is_written() {
    for method in ["post", "Post", "", "*", "POST "] {
        assert_eq!(route(&row("claude"), method, "/v1/messages"), None);
    }
}

#[test]
fn what_a_query_says_does_not_change_the_route() {
    let claude = row("claude");
    for query in ["?", "?x=/v1/messages/batches", "?a=..%2f..", "?a?b"] {
        let path = format!("/v1/messages{query}");
        assert_eq!(route(&claude, "POST", &path), MESSAGES, "{path}");
    }
}

#[test]
fn the_path_sent_upstream_has_prefix_and_version_once() {
    let with_base = |key: &str, base: &str| {
        let mut row = row(key);
        row.upstream = Upstream::parse(base).unwrap();
        row
    };
    let lines = [
        (
            row("claude"),
            "/v1/messages?beta=true",
            "/v1/messages?beta=true",
        ),
        (
            row("claude"),
            "/messages?beta=true",
            "/v1/messages?beta=true",
        ),
        (row("codex"), "/responses", "/v1/responses"),
        (
            row("codex"),
            "/backend-api/codex/responses",
            "/backend-api/codex/responses",
        ),
        (
            row("gemini"),
            "/models/m:generateContent",
            "/v1beta/models/m:generateContent",
        ),
        (
            row("gemini"),
            "/v1/models/m:generateContent",
            "/v1/models/m:generateContent",
        ),
        (row("openrouter"), "/v1/messages", "/api/v1/messages"),
        (row("openrouter"), "/messages", "/api/v1/messages"),
        (
            row("groq"),
            "/v1/chat/completions",
            "/openai/v1/chat/completions",
        ),
        (
            with_base("codex", "http://127.0.0.1:9/v1"),
            "/v1/responses",
            "/v1/responses",
        ),
        (
            with_base("codex", "http://127.0.0.1:9/v1/"),
            "/responses",
            "/v1/responses",
        ),
        (
            with_base("codex", "http://127.0.0.1:9/proxy/v1"),
            "/v1/chat/completions",
            "/proxy/v1/chat/completions",
        ),
        (
            with_base("gemini", "https://g.example/v1beta"),
            "/v1/models/m:generateContent",
            "/v1/models/m:generateContent",
        ),
        (
            with_base("claude", "https://g.example/x"),
            "/unknown/path",
            "/x/unknown/path",
        ),
    ];
    for (row, path, expected) in lines {
        assert_eq!(row.upstream_path("POST", path), expected, "{}", row.key);
    }
}

#[test]
fn the_chatgpt_backend_has_a_host_of_its_own() {
    let codex = row("codex");
    let host = |path: &str| codex.upstream_for(path).host.clone();
    assert_eq!(host("/v1/responses"), "api.openai.com");
    assert_eq!(host("/backend-api/codex/responses"), "chatgpt.com");
    assert_eq!(host("/backend-api"), "chatgpt.com");
    assert_eq!(host("/backend-api?x"), "chatgpt.com");
    assert_eq!(host("/backend-apis/x"), "api.openai.com");
}

#[test]
fn a_request_to_a_providers_host_is_read_below_its_prefix() {
    let groq = row("groq");
    assert!(groq.serves_host("api.groq.com"));
    assert!(!groq.serves_host("groq.com"));
    let below = |path| groq.path_on_host("api.groq.com", path);
    assert_eq!(
        below("/openai/v1/chat/completions"),
        Some("/v1/chat/completions")
    );
    assert_eq!(below("/openaix/v1"), None);
    assert_eq!(below("/v1/chat/completions"), None);
    assert_eq!(groq.path_on_host("api.x.ai", "/openai/v1/models"), None);
    let codex = row("codex");
    assert_eq!(
        codex.path_on_host("chatgpt.com", "/backend-api/codex/models"),
        Some("/backend-api/codex/models")
    );
}

#[test]
fn a_base_url_is_taken_whole_or_refused_in_words() {
    let parsed = Upstream::parse("http://Proxy.Example:8080/openai/v1/").unwrap();
    assert_eq!(parsed.scheme, Scheme::Http);
    assert_eq!(parsed.host, "proxy.example");
    assert_eq!(parsed.port_or_default(), 8080);
    assert_eq!(parsed.prefix, "/openai/v1");
    assert_eq!(
        Upstream::parse("https://[::1]").unwrap().port_or_default(),
        443
    );
    assert_eq!(Upstream::parse("http://[::1]:81").unwrap().host, "[::1]");
    assert_eq!(Upstream::parse("http://h").unwrap().port_or_default(), 80);
    for odd in [
        "",
        "api.openai.com",
        "ftp://h",
        "https://",
        "https:///v1",
        "https://user:pw@h",
        "https://h:0",
        "https://h:99999",
        "https://h:+1",
        "https://h:",
        "https://h/a/../b",
        "https://h/a//b",
        "https://h/?q",
        "https://h?q",
        "https://h/%2e",
        "https://h ost",
        "https://h\u{0}",
    ] {
        assert!(Upstream::parse(odd).is_err(), "{odd:?}");
    }
}

#[test]
fn a_credential_is_written_and_read_in_its_headers_form() {
    let lines = [
        (CredentialHeader::XApiKey, "x-api-key", "K", "K"),
        (CredentialHeader::Bearer, "authorization", "K", "Bearer K"),
        (CredentialHeader::XGoogApiKey, "x-goog-api-key", "K", "K"),
    ];
    for (header, name, key, value) in lines {
        assert_eq!(header.name(), name);
        assert_eq!(header.value(key), value);
        assert_eq!(header.key_in(value), Some(key));
        assert_eq!(header.key_in(" "), None);
    }
    assert_eq!(CredentialHeader::Bearer.key_in("bearer  K "), Some("K"));
    assert_eq!(CredentialHeader::Bearer.key_in("Basic K"), None);
    assert_eq!(CredentialHeader::Bearer.key_in("Bearer "), None);
}
