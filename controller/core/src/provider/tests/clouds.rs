//! Providers behind the clouds of others, and what stands in a row besides paths.

use super::*;

#[test]
fn the_paths_of_googles_cloud_are_told_apart() {
    let anthropic = "/v1/projects/p/locations/us-east5/publishers/anthropic/models";
    let google = "/v1beta1/projects/p/locations/global/publishers/google/models";
    check(
        "vertex",
        &[
            (
                "POST",
                &format!("{anthropic}/claude-3@20250219:rawPredict"),
                MESSAGES,
            ),
            (
                "POST",
                &format!("{anthropic}/claude-3@20250219:streamRawPredict"),
                MESSAGES,
            ),
            (
                "POST",
                &format!("{anthropic}/count-tokens:rawPredict"),
                Some(Unmetered),
            ),
            (
                "POST",
                &format!("{google}/gemini-2.5-pro:generateContent"),
                GEMINI,
            ),
            (
                "POST",
                &format!("{google}/gemini-2.5-pro:streamGenerateContent?alt=sse"),
                GEMINI,
            ),
            (
                "POST",
                &format!("{google}/gemini-2.5-pro:countTokens"),
                Some(Unmetered),
            ),
            ("POST", &format!("{google}/gemini-2.5-pro:predict"), None),
            (
                "POST",
                "/v1/publishers/google/models/gemini-2.5-pro:generateContent",
                GEMINI,
            ),
            (
                "POST",
                "/v1/projects/p/locations/global/endpoints/openapi/chat/completions",
                CHAT,
            ),
        ],
    );
}

#[test]
fn a_copy_of_openai_at_azure_is_asked_by_its_deployments_too() {
    let deployment = "/openai/deployments/my-gpt";
    let chat = format!("{deployment}/chat/completions?api-version=2024-10-21");
    let mut azure = row("codex");
    azure.upstream = Upstream::parse("https://mine.openai.azure.com").unwrap();
    assert_eq!(route(&azure, "POST", &chat), CHAT);
    assert_eq!(azure.upstream_path("POST", &chat), chat);
    let embeddings = format!("{deployment}/embeddings");
    assert_eq!(
        route(&azure, "POST", &embeddings),
        Some(Call(Wire::OpenaiEmbeddings))
    );
    assert_eq!(
        route(&azure, "POST", &format!("{deployment}/batches")),
        None
    );
    azure.upstream = Upstream::parse("https://mine.openai.azure.com/openai/v1").unwrap();
    let path = azure.upstream_path("POST", "/v1/responses");
    assert_eq!(path, "/openai/v1/responses");
}

#[test]
fn embeddings_are_calls_of_their_own_dialect() {
    let embeddings = Some(Call(Wire::OpenaiEmbeddings));
    check("codex", &[("POST", "/v1/embeddings", embeddings)]);
    check(
        "gemini",
        &[("POST", "/v1beta/openai/embeddings", embeddings)],
    );
}

#[test]
fn the_exceptions_of_a_provider_stand_in_its_row() {
    let on_top = |host| quirks_at(host).reasoning_on_top;
    let hidden = |host| quirks_at(host).hidden_thinking_in_total;
    assert!(on_top("ai-gateway.vercel.sh"));
    assert!(hidden("GENERATIVELANGUAGE.googleapis.com:443"));
    assert!(hidden("us-east5-aiplatform.googleapis.com"));
    assert!(!hidden("notaiplatform.googleapis.com.example"));
    assert_eq!(quirks_at("api.x.ai"), Quirks::NONE);
    assert_eq!(quirks_at(""), Quirks::NONE);
}
