//! Each dialect, streamed and not: metered to the token, passed on unchanged and at once.

use anyhow::{Context as _, Result};
use bb_proto::usage::{Usage, Wire};
use bb_tests::harness::{REAL_KEY, System, send};
use bb_tests::provider::{Chunking, Kind, Provider, Script, Tool};
use http::Method;
use serde_json::{Value, json};

use super::charges::{assert_exact, charges, only_call, only_charge};
use super::raw::{SSE, Scene, read_bytes};
use super::spoken::{Ended, read};
use super::ways::{
    self, CHAT, CHAT_UNASKED, CHAT_WHOLE, COUNTED, Form, GEMINI, MESSAGES, RESPONSES, STREAMS, Way,
    within, without_ids,
};

const CUTS: [Chunking; 4] = [
    Chunking::Events,
    Chunking::Together(4),
    Chunking::Split(7),
    Chunking::Split(1),
];

/// An answer with everything in it: thoughts, text, a tool call, counts of every kind that the
/// dialect can state.
fn rich(wire: Wire) -> Script {
    Script {
        thinking: Some("First I look at the file, then at the cat; naïve, 猫.".to_owned()),
        text: "A \"quoted\" line,\nanother \\ one, and 猫 at the end. ".repeat(5),
        tool: Some(Tool::Named {
            name: "Bash".to_owned(),
            input: r#"{"command":"true \"$x\""}"#.to_owned(),
        }),
        ..Script::stating(Usage {
            input: Some(1_201),
            cache_read: Some(30_720),
            cache_write: (wire != Wire::Gemini).then_some(411),
            output: Some(777),
            reasoning: Some(222),
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wire_is_metered_to_the_token_however_its_bytes_are_cut() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for way in ways::all().chain([CHAT_UNASKED]) {
        for chunking in CUTS {
            for script in [Script::default(), rich(way.wire)] {
                system.provider.enqueue(Script { chunking, ..script });
                let answer = way.ask(&system, &web).await?;
                assert!(answer.is_whole && answer.status == 200, "{answer:?}");
            }
        }
    }
    assert_exact(&system, &web, "all of them").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_passes_as_the_provider_sent_it() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for way in ways::all() {
        system.provider.enqueue(rich(way.wire));
        let direct = way.ask_directly(&system).await?;
        assert_eq!(direct.status, 200, "{}", way.name);
        for chunking in CUTS {
            let name = way.name;
            let script = rich(way.wire);
            system.provider.enqueue(Script { chunking, ..script });
            let passed = way.ask(&system, &web).await?;
            let same = without_ids(&passed.text()) == without_ids(&direct.text());
            assert!(
                same,
                "{name} {chunking:?}: {} for {}",
                passed.text(),
                direct.text()
            );
            assert_eq!(
                passed.header("content-type"),
                direct.header("content-type"),
                "{name}"
            );
            let id = passed.header("request-id").expect("the provider's own id");
            assert!(id.starts_with("req_"), "{name}");
            if way.form != Form::Document {
                assert_eq!(read(&way, &passed.text()).ended, Ended::Normally, "{name}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_each_event_before_the_provider_sends_the_next() -> Result<()> {
    let scene = Scene::start("").await?;
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        let whole = way.ask_directly(&scene.system).await?;
        let pieces = way.pieces(&whole.text());
        assert!(pieces.len() > 10, "{}: {pieces:?}", way.name);
        let head = match way.form {
            Form::Array => SSE.replace("text/event-stream", "application/json; charset=UTF-8"),
            Form::Events | Form::Document => SSE.to_owned(),
        };
        let (answer, talk) = tokio::join!(scene.open(&way, &[]), async {
            let (mut talk, _) = scene.raw.next().await?;
            talk.say(head.as_bytes()).await?;
            anyhow::Ok(talk)
        });
        // The head is there before anything of the body was sent.
        let (mut answer, mut talk) = (answer.context(way.name)?, talk?);
        for piece in &pieces {
            talk.chunk(piece).await?;
            let seen = read_bytes(&mut answer, piece.len()).await?;
            assert!(seen == *piece, "{}", way.name);
        }
        talk.last_chunk().await?;
        let (rest, is_whole) = within(answer.rest()).await?;
        assert_eq!((rest.as_str(), is_whole), ("", true), "{}", way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_provider_as_its_client_sent_it() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let more = [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "one,two"),
        ("user-agent", "an agent/1.0"),
        ("x-custom", "kept"),
        ("accept-encoding", "gzip, br"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "for the proxy only"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic Zm9v"),
    ];
    for way in ways::all() {
        way.ask_with(&system, &web, &more).await?;
        let call = system.provider.calls().pop().expect("a call");
        let (request, name) = (&call.request, way.name);
        assert_eq!(request.body, way.body.as_bytes(), "{name}");
        let target = match request.query.as_str() {
            "" => request.path.clone(),
            query => format!("{}?{query}", request.path),
        };
        assert_eq!(target, way.path, "{name}");
        for (header, value) in [
            ("anthropic-version", Some("2023-06-01")),
            ("anthropic-beta", Some("one,two")),
            ("user-agent", Some("an agent/1.0")),
            ("x-custom", Some("kept")),
            ("content-type", Some("application/json")),
            ("accept-encoding", Some("identity")),
            ("host", Some(system.provider.address().to_string().as_str())),
            ("content-length", Some(way.body.len().to_string().as_str())),
            ("x-hop", None),
            ("keep-alive", None),
            ("proxy-authorization", None),
            ("connection", None),
        ] {
            assert_eq!(request.header(header), value, "{name}: {header}");
        }
        let (key, value) = way.key_header(REAL_KEY);
        assert_eq!(request.header(key), Some(value.as_str()), "{name}");
    }
    Ok(())
}

/// The events of a chat stream that are no usage chunk.
fn without_usage_chunk(text: &str) -> String {
    let is_usage = |event: &&str| event.contains(r#""choices":[],"usage":{"#);
    text.split_inclusive("\n\n")
        .filter(|event| !is_usage(event))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_no_chat_client_asked_for_is_asked_for_and_taken_out_again() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let declined = Way {
        name: "chat, usage declined",
        body: r#"{"model":"gpt-5","stream":true,"stream_options":{"include_usage":false,"x":1},"messages":[{"role":"user","content":"say hi to everybody in the house"}]}"#,
        ..CHAT_UNASKED
    };
    let with_usage = CHAT.ask_directly(&system).await?.text();
    let wanted = without_usage_chunk(&with_usage);
    assert!(wanted.len() < with_usage.len(), "{with_usage}");
    for way in [CHAT_UNASKED, declined] {
        for chunking in CUTS {
            let script = Script {
                chunking,
                ..Script::default()
            };
            system.provider.enqueue(script);
            let answer = way.ask(&system, &web).await?;
            let text = answer.text();
            assert_eq!(
                without_ids(&text),
                without_ids(&wanted),
                "{} {chunking:?}",
                way.name
            );
            let call = system.provider.calls().pop().expect("a call");
            let sent: Value = serde_json::from_slice(&call.request.body)?;
            let mut asked: Value = serde_json::from_str(way.body)?;
            asked["stream_options"]["include_usage"] = json!(true);
            assert_eq!(sent, asked, "{}", way.name);
        }
    }
    let ledger = charges(&system, &web).await?;
    let calls = &system.provider.calls()[1..];
    assert_eq!(ledger.len(), calls.len());
    for (charge, call) in ledger.iter().zip(calls) {
        super::charges::assert_exact_one(charge, call, "asked for by us");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_a_chat_client_asked_for_stays() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for chunking in CUTS {
        let script = Script {
            chunking,
            ..Script::default()
        };
        system.provider.enqueue(script);
        let answer = CHAT.ask(&system, &web).await?;
        assert!(answer.text().contains(CHAT.held), "{}", answer.text());
        let call = system.provider.calls().pop().expect("a call");
        assert_eq!(call.request.body, CHAT.body.as_bytes());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_whose_row_forbids_it_is_not_asked_for_usage() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let url = provider.url();
    let rows =
        format!("  plain:\n    copies: codex\n    upstream: {url}\n    include_usage: false\n");
    let system = System::start(&provider, &rows).await?;
    let web = system.bottle("web").await?;
    let path = format!("/b/{}/plain/v1/chat/completions", web.token);
    let sent = send(&system.egress, Method::POST, &path, &[], CHAT_UNASKED.body);
    let answer = within(sent).await??;
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"));
    let call = only_call(&provider);
    assert_eq!(call.request.body, CHAT_UNASKED.body.as_bytes());
    // Nothing was stated, so what flowed is charged, and flagged.
    let charge = only_charge(&system, &web).await?;
    assert!(charge.is_estimated, "{charge:?}");
    let said = read(&CHAT_UNASKED, &answer.text()).text();
    assert_eq!(charge.usage.output, Some(said.len().div_ceil(4) as u64));
    assert!(charge.usage.input > Some(0), "{charge:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_calls_to_every_provider_that_speaks_it_are_metered() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for (provider, path) in [
        ("claude", "/v1/chat/completions"),
        ("gemini", "/v1beta/openai/chat/completions"),
        ("codex", "/chat/completions"),
    ] {
        for way in [CHAT, CHAT_UNASKED, CHAT_WHOLE] {
            let target = format!("/{provider}{path}");
            let token = format!("Bearer {}", web.token);
            let headers = [("authorization", token.as_str())];
            let sent = send(&system.egress, Method::POST, &target, &headers, way.body);
            let answer = within(sent).await??;
            assert_eq!(answer.status, 200, "{target}: {answer:?}");
        }
    }
    assert_exact(&system, &web, "all of them").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_choice_of_a_chat_call_is_metered() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for body in [
        r#"{"model":"gpt-5","n":3,"stream":true,"messages":[{"role":"user","content":"say hi"}]}"#,
        r#"{"model":"gpt-5","n":3,"messages":[{"role":"user","content":"say hi"}]}"#,
    ] {
        let way = Way { body, ..CHAT };
        let answer = way.ask(&system, &web).await?;
        assert!(answer.is_whole && answer.text().contains(r#""index":2"#));
    }
    assert_exact(&system, &web, "three choices").await
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_tokens_and_lists_of_models_pass_and_leave_no_row() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    // A budget that is spent at once does not hold up what costs nothing.
    let system = System::start(&provider, "").await?;
    let web = system.bottle_with("web", &[("all", 1)], |_| {}).await?;
    let asked = [
        (
            Method::POST,
            MESSAGES,
            "/v1/messages/count_tokens",
            COUNTED,
            "input_tokens",
        ),
        (
            Method::POST,
            RESPONSES,
            "/v1/responses/input_tokens",
            RESPONSES.body,
            "input_tokens",
        ),
        (
            Method::POST,
            GEMINI,
            "/v1beta/models/gemini-2.5-flash:countTokens",
            GEMINI.body,
            "totalTokens",
        ),
        (Method::GET, MESSAGES, "/v1/models", "", "claude-opus"),
        (Method::GET, RESPONSES, "/v1/models", "", "gpt-5"),
        (
            Method::GET,
            GEMINI,
            "/v1beta/models",
            "",
            "gemini-2.5-flash",
        ),
    ];
    for (method, way, path, body, wanted) in asked.clone() {
        let (name, value) = way.key_header(&web.token);
        let mut headers = vec![(name, value.as_str())];
        if way.wire == Wire::AnthropicMessages {
            headers.push(("anthropic-version", "2023-06-01"));
        }
        let target = format!("/{}{path}", way.provider);
        let sent = send(&system.egress, method, &target, &headers, body);
        let answer = within(sent).await??;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(answer.text().contains(wanted), "{target}: {answer:?}");
        let request = system.provider.requests().pop().expect("a request").request;
        let (key, value) = way.key_header(REAL_KEY);
        assert_eq!(request.header(key), Some(value.as_str()), "{target}");
    }
    let totals = system.provider.totals();
    assert_eq!((totals.calls, totals.side_requests), (0, 6));
    assert!(
        system
            .provider
            .requests()
            .iter()
            .all(|it| matches!(it.request.kind, Kind::CountTokens | Kind::Models))
    );
    system.settled().await?;
    assert_eq!(charges(&system, &web).await?, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_model_used_for_an_answer_is_charged_as_a_call_of_its_own() -> Result<()> {
    let scene = super::raw::Scene::start("").await?;
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[],"stop_reason":"end_turn","usage":{"input_tokens":100,"output_tokens":20,"iterations":[{"type":"message","input_tokens":100,"output_tokens":20},{"type":"advisor_message","model":"claude-opus-4-8","input_tokens":800,"output_tokens":50}]}}"#;
    let said = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let way = super::ways::MESSAGES_WHOLE;
    let answer = scene.ask_and_answer(&way, &[], said.as_bytes()).await?;
    assert_eq!(answer.text(), body);
    let charged = charges(&scene.system, &scene.web).await?;
    let of: Vec<_> = charged
        .iter()
        .map(|charge| (charge.model.as_str(), charge.tokens, charge.is_estimated))
        .collect();
    assert_eq!(
        of,
        [
            ("claude-opus-4-8", 120, false),
            ("claude-opus-4-8", 850, false)
        ],
        "the model asked for, and the one that it asked"
    );
    Ok(())
}
