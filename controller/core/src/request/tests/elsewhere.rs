//! What a request refers to, or has run for it, besides its text.

use super::*;

#[test]
fn input_that_the_body_does_not_hold_is_seen() {
    let yes = [
        (
            Wire::OpenaiResponses,
            r#"{"previous_response_id":"resp_1"}"#,
        ),
        (Wire::OpenaiResponses, r#"{"prompt":{"id":"pmpt_1"}}"#),
        (Wire::OpenaiResponses, r#"{"conversation":"conv_1"}"#),
        (
            Wire::OpenaiResponses,
            r#"{"input":[{"type":"item_reference","id":"x"}]}"#,
        ),
        (
            Wire::OpenaiResponses,
            r#"{"input":[{"content":[{"type":"input_file","file_id":"f"}]}]}"#,
        ),
        (
            Wire::OpenaiResponses,
            r#"{"input":[{"content":[{"type":"input_image","image_url":"https://a/b"}]}]}"#,
        ),
        (
            Wire::OpenaiResponses,
            r#"{"input":[{"content":[{"file_url":"https://a/b"}]}]}"#,
        ),
        (
            Wire::OpenaiChat,
            r#"{"messages":[{"content":[{"image_url":{"detail":"low","url":"http://a"}}]}]}"#,
        ),
        (
            Wire::OpenaiChat,
            r#"{"messages":[{"content":[{"image_url":{"x":[{}],"u\u0072l":"http://a"}}]}]}"#,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"messages":[{"content":[{"source":{"type":"url","url":"https://a"}}]}]}"#,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"messages":[{"content":[{"source":{"type":"file","file\u005fid":"f"}}]}]}"#,
        ),
        (
            Wire::Gemini,
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://a"}}]}]}"#,
        ),
        (
            Wire::Gemini,
            r#"{"contents":[{"parts":[{"file_data":{"file_uri":"https://a"}}]}]}"#,
        ),
        (Wire::Gemini, r#"{"cachedContent":"cachedContents/1"}"#),
    ];
    for (wire, body) in yes {
        assert!(read(wire, body).stored_input, "{body}");
    }
    let no = [
        (Wire::OpenaiResponses, r#"{"previous_response_id":null}"#),
        (
            Wire::OpenaiResponses,
            r#"{"prompt":null,"input":"file_id"}"#,
        ),
        (Wire::OpenaiResponses, r#"{"metadata":{"file_id":null}}"#),
        (
            Wire::OpenaiResponses,
            r#"{"input":[{"content":[{"image_url":"data:image/png;base64,AA"}]}]}"#,
        ),
        (
            Wire::OpenaiChat,
            r#"{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,AA"}}]}]}"#,
        ),
        (
            Wire::OpenaiChat,
            r#"{"tools":[{"type":"function","function":{"parameters":{"image_url":{"type":"string"}}}}]}"#,
        ),
        (
            Wire::OpenaiChat,
            r#"{"messages":[{"content":"{\"file_id\":\"f\",\"image_url\":\"https://a\"}"}]}"#,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"messages":[{"content":[{"input":{"url":"https://a"},"type":"tool_use"}]}]}"#,
        ),
        (
            Wire::OpenaiChat,
            r#"{"messages":[{"content":[{"type":"url"}]}]}"#,
        ),
    ];
    for (wire, body) in no {
        assert!(!read(wire, body).stored_input, "{body}");
    }
}

#[test]
fn an_image_hidden_behind_more_than_is_looked_through_counts_as_elsewhere() {
    let body = |bytes: usize, url: &str| {
        let before = "[],".repeat(bytes / 3);
        format!(r#"{{"messages":[{{"image_url":{{"x":[{before}1],"url":"{url}"}}}}]}}"#)
    };
    assert!(!chat(&body(100_000, "data:image/png;base64,AA")).stored_input);
    assert!(chat(&body(100_000, "https://a")).stored_input);
    assert!(chat(&body(300_000, "data:image/png;base64,AA")).stored_input);
}

#[test]
fn tools_that_the_provider_runs_are_told_from_the_clients_own() {
    let lines = [
        (Wire::AnthropicMessages, r#"{"name":"a"}"#, false),
        (
            Wire::AnthropicMessages,
            r#"{"type":"custom","name":"a"}"#,
            false,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"type":"text_editor_20250728"}"#,
            false,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"type":"web_search_20250305"}"#,
            true,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"type":"code_execution_20250825"}"#,
            true,
        ),
        (
            Wire::AnthropicMessages,
            r#"{"t\u0079pe":"web_fetch_20250910"}"#,
            true,
        ),
        (
            Wire::OpenaiChat,
            r#"{"type":"function","function":{}}"#,
            false,
        ),
        (
            Wire::OpenaiChat,
            r#"{"type":"openrouter:web_search"}"#,
            true,
        ),
        (Wire::OpenaiResponses, r#"{"type":"function"}"#, false),
        (Wire::OpenaiResponses, r#"{"type":"custom"}"#, false),
        (
            Wire::OpenaiResponses,
            r#"{"type":"mcp","server_url":"x"}"#,
            true,
        ),
        (
            Wire::OpenaiResponses,
            r#"{"type":"a_type_of_the_future"}"#,
            true,
        ),
        (Wire::OpenaiResponses, r#"{"type":["function"]}"#, true),
        (Wire::Gemini, r#"{"functionDeclarations":[]}"#, false),
        (Wire::Gemini, r#"{"googleSearch":{}}"#, true),
        (
            Wire::Gemini,
            r#"{"function_declarations":[],"urlContext":{}}"#,
            true,
        ),
    ];
    for (wire, tool, expected) in lines {
        let facts = read(wire, &format!(r#"{{"tools":[{tool}, {tool}]}}"#));
        assert_eq!(facts.server_tools, expected, "{wire:?} {tool}");
        assert_eq!(facts.tools, 2, "{wire:?} {tool}");
    }
    for (body, expected) in [
        (r#"{"mcp_servers":[{"url":"https://a"}]}"#, true),
        (r#"{"container":"c"}"#, true),
        (r#"{"mcp_servers":[],"container":null}"#, false),
    ] {
        assert_eq!(anthropic(body).server_tools, expected, "{body}");
    }
    assert!(chat(r#"{"web_search_options":{"user_location":null}}"#).server_tools);
}

#[test]
fn a_call_in_the_background_is_seen() {
    assert!(responses(r#"{"background":true}"#).background);
    assert!(responses(r#"{"background":true,"background":false}"#).background);
    assert!(!responses(r#"{"background":false}"#).background);
    assert!(!chat(r#"{"background":true}"#).background);
}

#[test]
fn media_in_the_body_are_counted_apart_from_text() {
    let blob = "A".repeat(4000);
    let lines = [
        (
            Wire::AnthropicMessages,
            format!(r#"{{"messages":[{{"source":{{"type":"base64","data":"{blob}"}}}}]}}"#),
            1,
            4000,
        ),
        (
            Wire::OpenaiChat,
            format!(r#"{{"m":[{{"image_url":{{"url":"data:image/png;base64,{blob}"}}}}]}}"#),
            1,
            4022,
        ),
        (
            Wire::Gemini,
            format!(r#"{{"contents":[{{"inlineData":{{"data":"{blob}"}}}},{{"data":"{blob}"}}]}}"#),
            2,
            8000,
        ),
        (
            Wire::AnthropicMessages,
            format!(r#"{{"messages":[{{"data":"some words {blob}"}}]}}"#),
            0,
            0,
        ),
        (
            Wire::OpenaiChat,
            format!(r#"{{"messages":[{{"content":"data: {blob}"}}]}}"#),
            0,
            0,
        ),
        (
            Wire::AnthropicMessages,
            format!(r#"{{"messages":[{{"data":7,"text":"{blob}"}}]}}"#),
            0,
            0,
        ),
    ];
    for (wire, body, media, media_bytes) in lines {
        let facts = read(wire, &body);
        assert_eq!(
            (facts.media, facts.media_bytes),
            (media, media_bytes),
            "{body}"
        );
        assert!(facts.text_bytes + facts.media_bytes < facts.body_bytes);
        assert!(facts.text_bytes + facts.media_bytes > 4000);
        assert!(!facts.stored_input, "{body}");
    }
}

#[test]
fn the_size_of_the_input_has_each_byte_once_and_what_cannot_be_read_as_text() {
    let image = "A".repeat(400);
    let body = format!(
        r#"{{"model":"claude","tools":[{{"name":"Bash","input_schema":{{}}}}],"messages":[
            {{"source":{{"type":"base64","data":"{image}"}}}}], "n": 12345}}"#
    );
    let facts = anthropic(&body);
    let input = facts.input();
    assert_eq!(input.body_bytes(), facts.body_bytes);
    assert_eq!((input.media, input.media_bytes), (1, 400));
    assert_eq!(input.text_bytes, facts.text_bytes);
    assert!(input.structure_bytes > 80, "{input:?}");
    assert!(input.has_tools && !input.elsewhere);

    let torn = anthropic(&body[..body.len() - 1]).input();
    let counted = (torn.text_bytes, torn.structure_bytes, torn.media_bytes);
    assert_eq!(counted, (facts.body_bytes - 401, 0, 400));

    for body in [
        r#"{"previous_response_id":"resp_1"}"#,
        r#"{"tools":[{"type":"web_search"}]}"#,
    ] {
        assert!(responses(body).input().elsewhere, "{body}");
    }
}
