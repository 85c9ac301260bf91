//! What is to go wrong does, where the script says, and is recorded as that.

use super::{
    GEMINI, GEMINI_BODY, MESSAGES, MESSAGES_BODY, MESSAGES_WHOLE, RESPONSES, RESPONSES_BODY,
    STREAMS, ask, open, try_open,
};
use crate::provider::{Ending, Fault, Provider, Script};
use bb_proto::usage::Usage;

#[tokio::test]
async fn a_refusal_has_the_status_and_the_dialects_own_error() {
    let provider = Provider::start(Script::refusing(429)).await.unwrap();
    let anthropic = ask(&provider, MESSAGES, MESSAGES_BODY).await;
    assert_eq!(anthropic.status, 429);
    assert_eq!(anthropic.json()["error"]["type"], "rate_limit_error");
    assert_eq!(
        ask(&provider, RESPONSES, RESPONSES_BODY).await.json()["error"]["type"],
        "rate_limit_exceeded"
    );
    assert_eq!(
        ask(&provider, GEMINI, GEMINI_BODY).await.json()["error"]["status"],
        "RESOURCE_EXHAUSTED"
    );
    let totals = provider.totals();
    assert_eq!((totals.refused, totals.billed.total()), (3, 0));
    assert_eq!(
        provider.calls()[0].answer.ending,
        Some(Ending::Refused(429))
    );
}

#[tokio::test]
async fn a_refusal_may_have_its_own_body_and_headers() {
    let fault = Fault::Status {
        status: 529,
        body: Some("{\"busy\":true}".to_owned()),
        headers: vec![("retry-after".to_owned(), "7".to_owned())],
    };
    let provider = Provider::start(Script::failing(fault)).await.unwrap();
    let reply = ask(&provider, MESSAGES, MESSAGES_BODY).await;
    assert_eq!(
        (reply.status.as_u16(), reply.text().as_str()),
        (529, "{\"busy\":true}")
    );
    assert_eq!(reply.headers["retry-after"], "7");
}

#[tokio::test]
async fn a_connection_dropped_before_the_headers_gives_no_answer() {
    let provider = Provider::start(Script::failing(Fault::DropBeforeHeaders))
        .await
        .unwrap();
    let error = try_open(&provider, MESSAGES, &[], MESSAGES_BODY)
        .await
        .unwrap_err();
    assert!(error.is_incomplete_message(), "{error:?}");
    assert_eq!(provider.calls()[0].answer.ending, Some(Ending::Faulted));
    assert_eq!(provider.totals().billed.total(), 0);
}

#[tokio::test]
async fn a_stream_dropped_after_some_events_has_exactly_those() {
    let provider = Provider::start(Script::failing(Fault::Drop { after: 4 }))
        .await
        .unwrap();
    for (path, body) in STREAMS {
        let reply = ask(&provider, path, body).await;
        assert!(!reply.ended, "{path} must not look finished");
        assert_eq!(reply.whole_events(), 4, "{path}");
    }
    for call in provider.calls() {
        assert_eq!(
            (call.answer.events, call.answer.ending),
            (4, Some(Ending::Faulted))
        );
    }
}

#[tokio::test]
async fn a_stall_stays_open_after_its_events_until_the_client_leaves() {
    let provider = Provider::start(Script::failing(Fault::Stall { after: 5 }))
        .await
        .unwrap();
    let opened = open(&provider, MESSAGES, &[], MESSAGES_BODY).await;
    let calls = provider
        .wait_for(|calls| calls[0].answer.events == 5)
        .await
        .unwrap();
    assert_eq!(calls[0].answer.ending, None);
    assert_eq!(provider.totals().open, 1);
    opened.abandon();
    let calls = provider
        .wait_for(|calls| calls[0].answer.ending.is_some())
        .await
        .unwrap();
    assert_eq!(calls[0].answer.ending, Some(Ending::Aborted));
}

#[tokio::test]
async fn an_error_event_ends_the_stream_properly_in_each_dialect() {
    let provider = Provider::start(Script::failing(Fault::ErrorEvent { after: 3 }))
        .await
        .unwrap();
    for (path, body) in STREAMS {
        let reply = ask(&provider, path, body).await;
        assert!(reply.ended, "{path}");
        assert_eq!(reply.whole_events(), 4, "{path}");
        let text = reply.text();
        if path == super::GEMINI_ARRAY {
            assert_eq!(reply.json()[3]["error"]["code"], 503);
            continue;
        }
        let last = super::events(&text).pop().unwrap();
        match path {
            MESSAGES => assert_eq!(
                (last.name.as_str(), &last.json()["error"]["type"]),
                ("error", &"overloaded_error".into())
            ),
            RESPONSES => {
                assert_eq!(last.name, "response.failed");
                assert_eq!(last.json()["sequence_number"], 3);
                assert_eq!(last.json()["response"]["status"], "failed");
            }
            _ => assert!(last.json()["error"]["message"].is_string()),
        }
    }
    let calls = provider.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.answer.ending == Some(Ending::Faulted))
    );
    assert_eq!(
        calls[2].answer.stated,
        Usage::default(),
        "a failed response states no usage"
    );
}

#[tokio::test]
async fn a_truncated_stream_ends_properly_without_its_terminal_event() {
    let provider = Provider::start(Script::default()).await.unwrap();
    for (path, body) in STREAMS {
        let whole = ask(&provider, path, body).await;
        provider.enqueue(Script::failing(Fault::Truncate { after: usize::MAX }));
        let cut = ask(&provider, path, body).await;
        assert!(cut.ended, "{path}");
        assert_eq!(cut.whole_events(), whole.whole_events() - 1, "{path}");
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_breaks_in_its_middle() {
    let provider = Provider::start(Script::failing(Fault::Drop { after: 0 }))
        .await
        .unwrap();
    let reply = ask(&provider, MESSAGES, MESSAGES_WHOLE).await;
    assert!(!reply.ended);
    assert!(!reply.bytes().is_empty());
    provider.set_script(Script::failing(Fault::Truncate { after: 0 }));
    let reply = ask(&provider, MESSAGES, MESSAGES_WHOLE).await;
    assert!(reply.ended);
    assert!(serde_json::from_slice::<serde_json::Value>(&reply.bytes()).is_err());
    let calls = provider.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.answer.stated == Usage::default())
    );
    assert!(
        calls
            .iter()
            .all(|call| call.answer.billed.output.is_some_and(|output| output > 0))
    );
}

#[tokio::test]
async fn an_answer_without_usage_says_none_in_any_dialect() {
    let script = Script {
        usage_stated: false,
        ..Script::default()
    };
    let provider = Provider::start(script).await.unwrap();
    for (path, body) in STREAMS {
        let text = ask(&provider, path, body).await.text();
        assert!(
            !text.contains("\"usage\":{") && !text.contains("TokenCount"),
            "{text}"
        );
    }
    assert_eq!(provider.totals().stated, Usage::default());
    assert!(provider.totals().billed.total() > 0);
}
