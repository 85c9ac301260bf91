//! Which dialect an answer speaks, by where it comes from and by what it says.

use bb_proto::usage::Wire;

/// So many bytes of an answer are looked at where its place does not tell.
const LOOKED_AT: usize = 4_096;

/// Returns the dialect of an answer from this path, with or without a query.
///
/// The beginning of the answer is looked at where the path is none of a dialect's own. `None`
/// where neither tells.
pub fn recognise(path: &str, beginning: &[u8]) -> Option<Wire> {
    by_path(path).or_else(|| by_content(beginning))
}

fn by_path(path: &str) -> Option<Wire> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_end_matches('/');
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    if ends(&["/messages", ":rawPredict", ":streamRawPredict"]) {
        Some(Wire::AnthropicMessages)
    } else if ends(&[":generateContent", ":streamGenerateContent"]) {
        Some(Wire::Gemini)
    } else if ends(&["/chat/completions", "/completions", "/v1/chat"]) {
        Some(Wire::OpenaiChat)
    } else if ends(&["/embeddings"]) {
        Some(Wire::OpenaiEmbeddings)
    } else if ends(&["/responses", "/responses/compact"]) || path.contains("/responses/resp_") {
        Some(Wire::OpenaiResponses)
    } else {
        None
    }
}

fn by_content(beginning: &[u8]) -> Option<Wire> {
    let looked_at = beginning.get(..LOOKED_AT).unwrap_or(beginning);
    // Providers differ in the blanks between a name and its value.
    let text: Vec<u8> = looked_at
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let says = |words: &[&str]| {
        let mut found = words
            .iter()
            .map(|word| memchr::memmem::find(&text, word.as_bytes()));
        found.any(|at| at.is_some())
    };
    // A message of one dialect may hold an item of another's name: the order tells.
    if says(&[r#""type":"message_start""#]) {
        Some(Wire::AnthropicMessages)
    } else if says(&[r#""object":"response"#, r#""type":"response."#]) {
        Some(Wire::OpenaiResponses)
    } else if says(&[r#""candidates":["#, r#""usageMetadata":{"#]) {
        Some(Wire::Gemini)
    } else if says(&[r#""object":"chat.completion"#, r#""choices":["#]) {
        Some(Wire::OpenaiChat)
    } else if says(&[r#""type":"message""#, r#""stop_reason":"#]) {
        Some(Wire::AnthropicMessages)
    } else if says(&[r#""object":"list""#, r#""embedding":["#]) {
        Some(Wire::OpenaiEmbeddings)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_dialect_whatever_stands_before_it() {
        for (path, wire) in [
            ("/v1/messages?beta=true", Wire::AnthropicMessages),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/m:streamRawPredict",
                Wire::AnthropicMessages,
            ),
            (
                "/v1beta/models/m:streamGenerateContent?alt=sse",
                Wire::Gemini,
            ),
            ("//openai/deployments/d/chat/completions", Wire::OpenaiChat),
            ("/v1/embeddings/", Wire::OpenaiEmbeddings),
            ("/backend-api/codex/responses", Wire::OpenaiResponses),
            ("/v1/responses/resp_06a5", Wire::OpenaiResponses),
        ] {
            assert_eq!(recognise(path, b""), Some(wire), "{path}");
        }
    }

    #[test]
    fn what_is_said_tells_where_the_path_does_not() {
        for (beginning, wire) in [
            (
                "event: message_start\ndata: {\"type\": \"message_start\"}",
                Some(Wire::AnthropicMessages),
            ),
            (
                "{\"id\":\"r\", \"object\" : \"response\"}",
                Some(Wire::OpenaiResponses),
            ),
            (
                "{\"object\":\"chat.completion.chunk\"}",
                Some(Wire::OpenaiChat),
            ),
            ("[{\"candidates\": [{}]}", Some(Wire::Gemini)),
            (
                "{\"model\":\"claude\",\"role\":\"assistant\",\"type\":\"message\"}",
                Some(Wire::AnthropicMessages),
            ),
            (
                "{\"object\":\"response\",\"output\":[{\"type\":\"message\"}]}",
                Some(Wire::OpenaiResponses),
            ),
            ("{\"id\":\"c\",\"choices\":[]}", Some(Wire::OpenaiChat)),
            ("<html>", None),
        ] {
            assert_eq!(recognise("/", beginning.as_bytes()), wire, "{beginning}");
        }
    }
}
