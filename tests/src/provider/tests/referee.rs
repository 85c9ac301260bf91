//! The referee's count is what happened, also when the client leaves.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    CHAT, CHAT_BODY, MESSAGES, MESSAGES_BODY, RESPONSES, RESPONSES_BODY, ask, open, try_open,
};
use crate::provider::{Ending, On, Options, Provider, Script};
use bb_proto::usage::{Usage, Wire};

/// Slow enough that the client always leaves first.
const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_client_that_leaves_in_mid_stream_is_seen_and_billed_for_what_flowed() {
    let provider = Provider::start(Script {
        delay: HOUR,
        ..Script::costing(100, 150)
    })
    .await
    .unwrap();
    let opened = open(&provider, MESSAGES, &[], MESSAGES_BODY).await;
    // message_start, content_block_start, ping, and the first of 15 deltas.
    provider
        .wait_for(|calls| calls[0].answer.events == 4)
        .await
        .unwrap();
    let left = Instant::now();
    opened.abandon();
    let calls = provider
        .wait_for(|calls| calls[0].answer.ending.is_some())
        .await
        .unwrap();
    let answer = &calls[0].answer;
    assert_eq!((answer.ending, answer.events), (Some(Ending::Aborted), 4));
    assert!(answer.ended_at.unwrap() >= left && answer.last_byte_at.unwrap() <= left);
    assert_eq!(
        answer.stated.output,
        Some(1),
        "the placeholder of the start"
    );
    assert_eq!(answer.billed.output, Some(10), "a fifteenth of the output");
    let totals = provider.totals();
    assert_eq!((totals.aborted, totals.open, totals.finished), (1, 0, 0));
    assert_eq!(totals.billed.total(), 110);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_headers_is_seen_and_not_billed() {
    let script = Script {
        first_byte_delay: HOUR,
        ..Script::default()
    };
    let provider = Provider::start(script).await.unwrap();
    {
        let mut asking = std::pin::pin!(try_open(&provider, MESSAGES, &[], MESSAGES_BODY));
        tokio::select! {
            answered = &mut asking => panic!("{answered:?}"),
            arrived = provider.wait_for_totals(|totals| totals.open == 1) => { arrived.unwrap(); }
        }
    }
    let totals = provider
        .wait_for_totals(|totals| totals.aborted == 1)
        .await
        .unwrap();
    assert_eq!(
        (totals.open, totals.events, totals.billed),
        (0, 0, Usage::default())
    );
}

#[tokio::test]
async fn a_request_is_kept_as_it_arrived() {
    let provider = Provider::start(Script::default()).await.unwrap();
    let headers = [("authorization", "Bearer secret"), ("x-mark", "7")];
    open(&provider, "/v1/messages?beta=true", &headers, MESSAGES_BODY)
        .await
        .read()
        .await;
    let call = &provider.calls()[0];
    let request = &call.request;
    assert_eq!(
        (request.path.as_str(), request.query.as_str()),
        (MESSAGES, "beta=true")
    );
    assert_eq!(request.wire, Wire::AnthropicMessages);
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    assert_eq!(request.header("x-mark"), Some("7"));
    assert_eq!(request.body, MESSAGES_BODY);
    assert_eq!(
        (request.model.as_str(), request.streamed),
        ("claude-opus-4-8", true)
    );
    assert_eq!(request.output_max, Some(64000));
    assert_eq!(call.answer.ending, Some(Ending::Finished));
}

#[tokio::test]
async fn totals_are_the_sums_of_the_calls() {
    let provider = Provider::start(Script::costing(100, 20)).await.unwrap();
    let mut bytes = 0;
    for (path, body) in [
        (MESSAGES, MESSAGES_BODY),
        (RESPONSES, RESPONSES_BODY),
        (CHAT, CHAT_BODY),
    ] {
        bytes += ask(&provider, path, body).await.bytes().len();
    }
    let totals = provider.totals();
    let calls = provider.calls();
    assert_eq!(
        (totals.calls, totals.finished, totals.open, totals.open_max),
        (3, 3, 0, 1)
    );
    assert_eq!(totals.bytes, u64::try_from(bytes).unwrap());
    assert_eq!(
        totals.events,
        calls.iter().map(|call| call.answer.events).sum::<u64>()
    );
    assert_eq!(
        totals.stated.total(),
        240,
        "the chat stream was not asked for usage"
    );
    assert_eq!(totals.billed.total(), 360);
}

#[tokio::test]
async fn the_queue_comes_before_overrides_and_those_before_the_default() {
    let provider = Provider::start(Script::costing(1, 1)).await.unwrap();
    provider.set_script_on(On::Wire(Wire::AnthropicMessages), Script::costing(2, 2));
    provider.set_script_on(
        On::Model("claude-opus-4-8".to_owned()),
        Script::costing(3, 3),
    );
    provider.set_script_on(On::Path(RESPONSES.to_owned()), Script::costing(4, 4));
    provider.enqueue(Script::costing(5, 5));
    let other = MESSAGES_BODY.replace("opus", "haiku");
    for (path, body) in [
        (MESSAGES, MESSAGES_BODY),
        (MESSAGES, MESSAGES_BODY),
        (MESSAGES, other.as_str()),
        (RESPONSES, RESPONSES_BODY),
        (CHAT, CHAT_BODY),
    ] {
        ask(&provider, path, body).await;
    }
    let inputs: Vec<Option<u64>> = provider
        .calls()
        .iter()
        .map(|call| call.answer.billed.input)
        .collect();
    assert_eq!(inputs, [Some(5), Some(3), Some(2), Some(4), Some(1)]);
}

#[tokio::test]
async fn only_the_right_key_is_served_where_one_is_set() {
    let options = Options {
        key: Some("right".to_owned()),
        ..Options::default()
    };
    let provider = Provider::start_with(options).await.unwrap();
    for (header, value, status) in [
        ("authorization", "Bearer right", 200),
        ("x-api-key", "right", 200),
        ("x-goog-api-key", "right", 200),
        ("x-api-key", "wrong", 401),
    ] {
        let reply = open(&provider, MESSAGES, &[(header, value)], MESSAGES_BODY)
            .await
            .read()
            .await;
        assert_eq!(reply.status, status, "{header}: {value}");
    }
    assert_eq!(ask(&provider, MESSAGES, MESSAGES_BODY).await.status, 401);
}

#[tokio::test]
async fn the_report_tells_another_process_the_same() {
    let provider = Provider::start(Script::costing(100, 20)).await.unwrap();
    let headers = [("x-api-key", "secret")];
    open(&provider, MESSAGES, &headers, MESSAGES_BODY)
        .await
        .read()
        .await;
    ask(&provider, MESSAGES, MESSAGES_BODY).await;
    let report = ask(&provider, "/_referee?calls=1", "").await.json();
    assert_eq!(
        report["totals"],
        serde_json::to_value(provider.totals()).unwrap()
    );
    assert_eq!(
        report["requests"].as_array().unwrap().len(),
        1,
        "as many as were asked for"
    );
    let report = ask(&provider, "/_referee", "").await.json();
    let first = &report["requests"][0];
    assert_eq!(first["headers"]["x-api-key"], "secret");
    assert_eq!(first["ending"], "finished");
    assert_eq!(first["stated"]["input"], 100);
    assert!(first.get("body").is_none_or(Value::is_null));
    assert_eq!(
        provider.totals().calls,
        2,
        "the report is no request of the provider's"
    );
}

#[tokio::test]
async fn only_so_many_requests_are_kept_while_the_totals_count_all() {
    let options = Options {
        calls_kept: 2,
        ..Options::default()
    };
    let provider = Provider::start_with(options).await.unwrap();
    for _ in 0..5 {
        ask(&provider, MESSAGES, MESSAGES_BODY).await;
    }
    let ids: Vec<u64> = provider
        .calls()
        .iter()
        .map(|call| call.request.id)
        .collect();
    assert_eq!(ids, [4, 5]);
    assert_eq!(provider.totals().finished, 5);
}

#[tokio::test]
async fn a_wait_that_is_in_vain_ends_and_says_what_there_is() {
    let provider = Provider::start(Script::default()).await.unwrap();
    ask(&provider, MESSAGES, MESSAGES_BODY).await;
    let limit = Duration::from_millis(20);
    let error = provider
        .wait_within(limit, |calls| calls.len() == 2)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("calls: 1"), "{error}");
}

#[tokio::test]
async fn a_stopped_provider_ends_its_streams_and_refuses_connections() {
    let provider = Provider::start(Script {
        delay: HOUR,
        ..Script::default()
    })
    .await
    .unwrap();
    let opened = open(&provider, MESSAGES, &[], MESSAGES_BODY).await;
    provider.stop().await;
    assert!(!opened.read().await.ended);
    let error = tokio::net::TcpStream::connect(provider.address())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
