use bb_proto::usage::Wire;

use super::read;
use crate::request::Bound;

fn bound(wire: Wire, body: &str) -> Option<Bound> {
    read(wire, body).bound(wire)
}

fn length(body: &str) -> u64 {
    u64::try_from(body.len()).unwrap()
}

/// Returns the tokens that a body may have besides its own bytes.
fn more(wire: Wire, body: &str) -> Option<u64> {
    let input = bound(wire, body)?.input;
    input.checked_sub(length(body))
}

#[test]
fn a_byte_is_at_most_a_token_and_what_the_provider_adds_has_a_bound() {
    let anthropic = Wire::AnthropicMessages;
    for (wire, body, expected) in [
        (
            Wire::OpenaiChat,
            r#"{"messages":[{"role":"user","content":"hi"}]}"#,
            100,
        ),
        (Wire::OpenaiResponses, r#"{"input":"hi"}"#, 100),
        (Wire::OpenaiEmbeddings, r#"{"input":[[1,2,3],[4]]}"#, 100),
        (
            Wire::Gemini,
            r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
            100,
        ),
        (anthropic, r#"{"max_tokens":1,"messages":[]}"#, 100),
        (
            anthropic,
            r#"{"max_tokens":1,"tools":[{"name":"a"},{"type":"custom"}]}"#,
            1_100,
        ),
        (
            anthropic,
            r#"{"max_tokens":1,"tools":[{"type":"bash_20250124"},{"type":"computer_20250124"}]}"#,
            4_100,
        ),
        (
            Wire::OpenaiResponses,
            r#"{"tools":[{"type":"function"},{"type":"local_shell"}]}"#,
            2_600,
        ),
        (
            Wire::Gemini,
            r#"{"tools":[{"functionDeclarations":[]}]}"#,
            2_600,
        ),
    ] {
        assert_eq!(more(wire, body), Some(expected), "{body}");
    }
}

#[test]
fn an_image_has_the_most_that_its_dialect_documents_and_no_bytes() {
    let data = "iVBORw0KGgo".repeat(100);
    let anthropic = format!(
        r#"{{"messages":[{{"content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}]}}]}}"#
    );
    let input = bound(Wire::AnthropicMessages, &anthropic).unwrap().input;
    assert_eq!(
        input,
        length(&anthropic.replace(&data, "")).saturating_add(5_100)
    );
    let url = format!("data:image/png;base64,{data}");
    let chat = format!(
        r#"{{"messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
    );
    let input = bound(Wire::OpenaiChat, &chat).unwrap().input;
    assert_eq!(
        input,
        length(&chat.replace(&url, "")).saturating_add(50_100)
    );
    // A small one has few bytes and as many tokens.
    let small = r#"{"messages":[{"content":[{"source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}]}"#;
    assert_eq!(more(Wire::AnthropicMessages, small), Some(5_100));
    // What no image accounts for is text.
    let text = format!(r#"{{"messages":[{{"input":{{"data":"{data}"}}}}]}}"#);
    assert_eq!(more(Wire::AnthropicMessages, &text), Some(100));
}

#[test]
fn what_the_body_or_a_cap_does_not_bound_has_no_bound() {
    let (anthropic, chat) = (Wire::AnthropicMessages, Wire::OpenaiChat);
    let (responses, gemini) = (Wire::OpenaiResponses, Wire::Gemini);
    for (wire, body) in [
        (responses, r#"{"previous_response_id":"resp_1"}"#),
        (responses, r#"{"conversation":"conv_1"}"#),
        (responses, r#"{"prompt":{"id":"pmpt_1"}}"#),
        (responses, r#"{"background":true}"#),
        (responses, r#"{"tools":[{"type":"web_search"}]}"#),
        (responses, r#"{"tools":[{"type":"mcp"}]}"#),
        (responses, r#"{"tools":[{"type":"code_interpreter"}]}"#),
        (responses, r#"{"input":[{"content":[{"file_id":"f"}]}]}"#),
        (
            responses,
            r#"{"input":[{"content":[{"file_data":"data:application/pdf;base64,AA"}]}]}"#,
        ),
        (
            responses,
            r#"{"context_management":[{"type":"compaction"}]}"#,
        ),
        (
            anthropic,
            r#"{"context_management":{"edits":[{"type":"compact_20260112"}]}}"#,
        ),
        (anthropic, r#"{"mcp_servers":[{"url":"https://a"}]}"#),
        (anthropic, r#"{"container":"c"}"#),
        (anthropic, r#"{"tools":[{"type":"web_search_20250305"}]}"#),
        (
            anthropic,
            r#"{"messages":[{"source":{"type":"url","url":"https://a"}}]}"#,
        ),
        (
            anthropic,
            r#"{"messages":[{"source":{"type":"base64","media_type":"application/pdf","data":"A"}}]}"#,
        ),
        (chat, r#"{"web_search_options":{"a":1}}"#),
        (chat, r#"{"web_search_options":{}}"#),
        (chat, r#"{"search_parameters":{"mode":"auto"}}"#),
        (chat, r#"{"model":"openai/gpt-5:online"}"#),
        (chat, r#"{"prediction":{"content":"x"}}"#),
        (chat, r#"{"audio":{"voice":"x"}}"#),
        (chat, r#"{"n":2.0}"#),
        (chat, r#"{"messages":[{"input_audio":{"data":"AA"}}]}"#),
        (chat, r#"{"messages":[{"image_url":{"url":"https://a"}}]}"#),
        (gemini, r#"{"cachedContent":"c"}"#),
        (
            gemini,
            r#"{"contents":[{"parts":[{"inlineData":{"data":"AA"}}]}]}"#,
        ),
        (
            gemini,
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"u"}}]}]}"#,
        ),
        (gemini, r#"{"tools":[{"googleSearch":{}}]}"#),
        (gemini, r#"{"generationConfig":[]}"#),
        (
            gemini,
            r#"{"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}"#,
        ),
        (chat, r#"{"max_tokens":5"#),
        (chat, "[]"),
    ] {
        assert_eq!(bound(wire, body), None, "{body}");
    }
}

#[test]
fn a_request_says_its_cap_or_one_is_put_in() {
    for (wire, body, output, is_stated, thinking) in [
        (
            Wire::AnthropicMessages,
            r#"{"max_tokens":64000}"#,
            64_000,
            true,
            0,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":9000}}"#,
            64_000,
            true,
            1_024,
        ),
        (Wire::AnthropicMessages, "{}", 8_192, false, 0),
        (
            Wire::OpenaiChat,
            r#"{"max_tokens":10,"max_completion_tokens":20}"#,
            20,
            true,
            0,
        ),
        (Wire::OpenaiChat, r#"{"max_tokens":null}"#, 16_384, false, 0),
        (
            Wire::OpenaiResponses,
            r#"{"max_output_tokens":1e3}"#,
            16_384,
            false,
            0,
        ),
        (Wire::OpenaiResponses, r#"{"generate":false}"#, 0, true, 0),
        (Wire::OpenaiEmbeddings, r#"{"input":"x"}"#, 0, true, 0),
        (
            Wire::Gemini,
            r#"{"generationConfig":{"maxOutputTokens":70}}"#,
            70,
            true,
            0,
        ),
        (
            Wire::Gemini,
            r#"{"generationConfig":null}"#,
            8_192,
            false,
            0,
        ),
    ] {
        let bound = bound(wire, body).unwrap();
        let found = (bound.output, bound.is_stated, bound.thinking);
        assert_eq!(found, (output, is_stated, thinking), "{body}");
    }
}

#[test]
fn a_count_of_the_provider_lowers_a_bound_and_gives_media_one() {
    let wire = Wire::AnthropicMessages;
    let body = format!(r#"{{"max_tokens":9,"messages":"{}"}}"#, "x".repeat(10_000));
    let facts = read(wire, &body);
    assert_eq!(
        facts.bound_counted(wire, 2_000).map(|it| it.input),
        Some(2_140)
    );
    assert_eq!(facts.bound_counted(wire, 1 << 40), facts.bound(wire));
    let pdf =
        r#"{"messages":[{"source":{"type":"base64","media_type":"application/pdf","data":"A"}}]}"#;
    assert_eq!(
        read(wire, pdf)
            .bound_counted(wire, 7_000)
            .map(|it| it.input),
        Some(7_240)
    );
    let file = r#"{"messages":[{"source":{"type":"file","file_id":"f"}}]}"#;
    assert_eq!(read(wire, file).bound_counted(wire, 7_000), None);
}
