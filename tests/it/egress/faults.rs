//! Providers that fail and clients that leave: each call is resolved once, and never for nothing
//! where it may have been billed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use bb_tests::harness::{Bottle, System, send};
use bb_tests::provider::{Ending as Ended, Fault, Provider, Script};
use http::Method;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};

use super::charges::{Charge, budget, charges, only_charge};
use super::http::with_egress;
use super::ways::{
    self, CHAT, CHAT_UNASKED, DOCUMENTS, Form, GEMINI_ARRAY, MESSAGES, MESSAGES_WHOLE, STREAMS,
    Way, together, within,
};

pub(super) async fn system(more: &str) -> Result<(System, Bottle)> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, more).await?;
    let web = system.bottle("web").await?;
    Ok((system, web))
}

/// Asserts that a call is charged by an estimate of all that was said, and by nothing less.
pub(super) fn assert_estimated(charge: &Charge, ending: Ending, what: &str) {
    assert!(charge.is_estimated, "{what}: {charge:?}");
    assert_eq!(charge.ending, ending, "{what}: {charge:?}");
    let input = [
        charge.usage.input,
        charge.usage.cache_read,
        charge.usage.cache_write,
    ];
    let input: u64 = input.into_iter().flatten().sum();
    assert!(input > 0, "{what}: {charge:?}");
    assert_eq!(charge.tokens, charge.usage.total(), "{what}: {charge:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_refuses_passes_and_is_taken_back() -> Result<()> {
    let (system, web) = system("budget:\n  all: 1M\n").await?;
    let mut made = 0;
    for way in ways::all() {
        for status in [400, 401, 402, 403, 404, 413, 422, 429, 500, 501, 503, 529] {
            system.provider.enqueue(Script::failing(Fault::Status {
                status,
                body: Some(format!("{{\"why\":\"{status}\"}}")),
                headers: vec![
                    ("retry-after".to_owned(), "7".to_owned()),
                    ("x-should-retry".to_owned(), "true".to_owned()),
                ],
            }));
            let answer = way.ask(&system, &web).await?;
            let name = way.name;
            assert_eq!(answer.status.as_u16(), status, "{name}");
            assert_eq!(answer.text(), format!("{{\"why\":\"{status}\"}}"), "{name}");
            assert_eq!(answer.header("retry-after"), Some("7"), "{name}");
            assert_eq!(answer.header("x-should-retry"), Some("true"), "{name}");
            assert_eq!(answer.header("x-bot-bottle-reason"), None, "{name}");
            system.settled().await?;
            let charge = charges(&system, &web).await?.pop().context("a call")?;
            assert_eq!(
                (charge.ending, charge.tokens),
                (Ending::Voided, 0),
                "{name} {status}"
            );
            assert_eq!(charge.status, Some(status), "{name}");
            made += 1;
        }
    }
    assert_eq!(system.provider.totals().refused, made);
    let host = budget(&system, "host", "all").await?;
    assert_eq!((host.used.0, host.pending.0), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_answers_is_charged_by_estimate() -> Result<()> {
    let (system, web) = system("").await?;
    for way in ways::all() {
        for status in [408, 502, 504, 520, 524] {
            system.provider.enqueue(Script::refusing(status));
            let answer = way.ask(&system, &web).await?;
            assert_eq!(answer.status.as_u16(), status, "{}", way.name);
            assert_eq!(answer.header("x-bot-bottle-reason"), None, "{}", way.name);
            system.settled().await?;
            let charge = charges(&system, &web).await?.pop().context("a call")?;
            assert!(charge.is_estimated, "{} {status}: {charge:?}", way.name);
            assert!(
                charge.usage.input >= Some(5),
                "{} {status}: {charge:?}",
                way.name
            );
            assert_eq!(charge.status, Some(status), "{}", way.name);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_provider_that_is_down_is_refused_and_taken_back() -> Result<()> {
    let (system, web) = system("budget:\n  all: 1M\n").await?;
    // Also where a connection is kept from before.
    MESSAGES_WHOLE.ask(&system, &web).await?;
    let used = budget(&system, "host", "all").await?.used;
    system.provider.stop().await;
    for way in ways::all() {
        let answer = way.ask(&system, &web).await?;
        assert_eq!(answer.status, 502, "{}", way.name);
        let body: Value = serde_json::from_slice(&answer.body)?;
        assert_eq!(
            body["error"]["message"],
            Reason::UpstreamUnreachable.sentence()
        );
        assert_eq!(
            answer.header("x-bot-bottle-reason"),
            Some("upstream_unreachable")
        );
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_eq!(
            (charge.ending, charge.tokens),
            (Ending::Voided, 0),
            "{}",
            way.name
        );
    }
    let host = budget(&system, "host", "all").await?;
    assert_eq!((host.used, host.pending.0), (used, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_answered_in_time_is_ended_and_charged_by_estimate() -> Result<()> {
    let provider = Provider::start(Script {
        first_byte_delay: Duration::from_mins(10),
        ..Script::default()
    });
    let provider = provider.await?;
    let system = with_egress(&provider, "  response_timeout: 100ms\n", "").await?;
    let web = system.bottle("web").await?;
    for way in [MESSAGES, MESSAGES_WHOLE, CHAT, GEMINI_ARRAY] {
        let answer = way.ask(&system, &web).await?;
        assert_eq!(answer.status, 504, "{}", way.name);
        let body: Value = serde_json::from_slice(&answer.body)?;
        assert_eq!(body["error"]["message"], Reason::UpstreamTimeout.sentence());
        assert_eq!(answer.header("x-bot-bottle-reason"), Some("upstream_slow"));
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_estimated(&charge, Ending::UpstreamGone, way.name);
    }
    let aborted = |calls: &[bb_tests::provider::Call]| {
        calls.len() == 4
            && calls
                .iter()
                .all(|it| it.answer.ending == Some(Ended::Aborted))
    };
    provider.wait_for(aborted).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_takes_no_connection_in_time_was_not_asked() -> Result<()> {
    // Nobody accepts, and there is no room for another that waits to be accepted.
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let listener = socket.listen(1)?;
    let address = listener.local_addr()?;
    let mut waiting = Vec::new();
    let full = async || {
        match tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            Ok(connected) => waiting.push(connected?),
            Err(_) => return Ok(true),
        }
        Ok(false)
    };
    let provider = Provider::start(Script::default()).await?;
    let row = format!("  full:\n    copies: claude\n    upstream: http://{address}\n");
    let system = with_egress(&provider, "  connect_timeout: 150ms\n", &row).await?;
    system.wait_until("no connection is taken", full).await?;
    let web = system.bottle("web").await?;
    let target = format!("/b/{}/full/v1/messages", web.token);
    let sent = send(&system.egress, Method::POST, &target, &[], MESSAGES.body);
    let answer = within(sent).await??;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_eq!(answer.header("x-bot-bottle-reason"), Some("upstream_slow"));
    let charge = only_charge(&system, &web).await?;
    assert_eq!((charge.ending, charge.tokens), (Ending::Voided, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_before_its_headers_is_charged_and_not_sent_again() -> Result<()> {
    let (system, web) = system("").await?;
    for way in ways::all() {
        for is_kept in [false, true] {
            if is_kept {
                // Leaves a connection behind, on which the next is sent.
                way.ask(&system, &web).await?;
            }
            let before = system.provider.calls().len();
            system
                .provider
                .enqueue(Script::failing(Fault::DropBeforeHeaders));
            let answer = way.ask(&system, &web).await?;
            assert_eq!(answer.status, 502, "{}", way.name);
            assert_eq!(
                answer.header("x-bot-bottle-reason"),
                Some("upstream_unreachable")
            );
            assert_eq!(system.provider.calls().len(), before + 1, "{}", way.name);
            system.settled().await?;
            let charge = charges(&system, &web).await?.pop().context("a call")?;
            assert_estimated(&charge, Ending::UpstreamGone, way.name);
            assert!(
                charge.usage.input >= Some(way.body.len() as u64 / 8),
                "{charge:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_is_charged_by_what_was_said() -> Result<()> {
    let (system, web) = system("").await?;
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        for (fault, ending) in [
            (Fault::Drop { after: 9 }, Ending::UpstreamGone),
            (Fault::Truncate { after: 9 }, Ending::UpstreamGone),
            (Fault::Truncate { after: 99 }, Ending::UpstreamGone),
            (Fault::ErrorEvent { after: 9 }, Ending::ProviderError),
            (Fault::ErrorEvent { after: 0 }, Ending::ProviderError),
        ] {
            let what = format!("{} {fault:?}", way.name);
            let is_whole = !matches!(fault, Fault::Drop { .. });
            system.provider.enqueue(Script::failing(fault.clone()));
            let answer = way.ask(&system, &web).await?;
            assert_eq!(
                (answer.status.as_u16(), answer.is_whole),
                (200, is_whole),
                "{what}"
            );
            system.settled().await?;
            let charge = charges(&system, &web).await?.pop().context("a call")?;
            let call = system.provider.calls().pop().context("a call")?;
            // A usage chunk that only the proxy asked for is taken out.
            if way.body != CHAT_UNASKED.body {
                let bytes = answer.body.len() as u64;
                assert_eq!(bytes, call.answer.bytes, "{what}: bytes are lost");
            }
            // The provider may have said all that counts before it broke off.
            let (said, billed) = (charge.usage, call.answer.billed);
            if !charge.is_estimated {
                assert_eq!(said, call.answer.stated, "{what}");
                continue;
            }
            assert_estimated(&charge, ending, &what);
            let input = |usage: bb_proto::usage::Usage| usage.total() - usage.output.unwrap_or(0);
            if call.answer.stated.is_stated() {
                assert_eq!(input(said), input(billed), "{what}");
            }
            // A token has 3.5 or 4 bytes where nothing was learned; this provider counts 4.
            let (said, billed) = (said.output.unwrap_or(0), billed.output.unwrap_or(0));
            assert!(
                said.abs_diff(billed) <= billed / 4 + 4,
                "{what}: {said} for {billed}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_breaks_off_is_never_shown_in_part() -> Result<()> {
    let (system, web) = system("").await?;
    for way in DOCUMENTS {
        system
            .provider
            .enqueue(Script::failing(Fault::Drop { after: 1 }));
        let answer = way.ask(&system, &web).await?;
        assert_eq!(answer.status, 502, "{}: {answer:?}", way.name);
        let body: Value = serde_json::from_slice(&answer.body)?;
        assert_eq!(
            body["error"]["message"],
            Reason::UpstreamUnreachable.sentence()
        );
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_estimated(&charge, Ending::UpstreamGone, way.name);
        // One that ends well is the client's to judge, whatever it is.
        system
            .provider
            .enqueue(Script::failing(Fault::Truncate { after: 1 }));
        let answer = way.ask(&system, &web).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.is_whole),
            (200, true),
            "{}",
            way.name
        );
        assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_estimated(&charge, Ending::UpstreamGone, way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_usage_is_charged_by_what_was_said() -> Result<()> {
    let script = Script {
        usage_stated: false,
        ..Script::default()
    };
    let provider = Provider::start(script).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for way in ways::all().chain([CHAT_UNASKED]) {
        let answer = way.ask(&system, &web).await?;
        assert!(answer.is_whole && answer.status == 200, "{}", way.name);
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_estimated(&charge, Ending::Complete, way.name);
        let call = system.provider.calls().pop().context("a call")?;
        let (said, billed) = (charge.usage.output, call.answer.billed.output);
        let (said, billed) = (said.unwrap_or(0), billed.unwrap_or(0));
        // A token has 3.5 or 4 bytes where nothing was learned; this provider counts 4.
        assert!(
            said.abs_diff(billed) <= billed / 6 + 1,
            "{}: {said} for {billed}",
            way.name
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_falls_silent_is_left() -> Result<()> {
    let provider = Provider::start(Script::failing(Fault::Stall { after: 6 })).await?;
    let system = with_egress(&provider, "  idle_timeout: 150ms\n", "").await?;
    let web = system.bottle("web").await?;
    for way in [MESSAGES, CHAT, GEMINI_ARRAY, MESSAGES_WHOLE] {
        let answer = way.ask(&system, &web).await?;
        if way.form == Form::Document {
            assert_eq!(answer.status, 504, "{}", way.name);
        } else {
            assert_eq!(
                (answer.status.as_u16(), answer.is_whole),
                (200, false),
                "{}",
                way.name
            );
        }
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_estimated(&charge, Ending::UpstreamGone, way.name);
    }
    let aborted = |calls: &[bb_tests::provider::Call]| {
        calls.len() == 4
            && calls
                .iter()
                .all(|it| it.answer.ending == Some(Ended::Aborted))
    };
    provider.wait_for(aborted).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stream_that_goes_on_is_not_taken_for_a_silent_one() -> Result<()> {
    let provider = Provider::start(Script::slow(12, Duration::from_millis(120))).await?;
    let system = with_egress(&provider, "  idle_timeout: 1s\n", "").await?;
    let web = system.bottle("web").await?;
    let answer = MESSAGES.ask(&system, &web).await?;
    assert!(answer.is_whole && answer.text().contains("message_stop"));
    super::charges::assert_exact(&system, &web, "a slow one").await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_at_once_on_one_bottle_are_charged_each_as_its_own() -> Result<()> {
    let (system, web) = system("").await?;
    for n in 0..8_u64 {
        system.provider.enqueue(Script {
            delay: Duration::from_millis(5),
            ..Script::costing(1_000 + n, 100 + n)
        });
    }
    let ways: Vec<Way> = [MESSAGES, CHAT, GEMINI_ARRAY, MESSAGES_WHOLE].repeat(2);
    let asked = ways.iter().map(|way| way.ask(&system, &web));
    for answer in together(asked).await {
        assert!(answer?.is_whole);
    }
    let mut charged: Vec<u64> = charges(&system, &web)
        .await?
        .iter()
        .map(|it| it.tokens)
        .collect();
    charged.sort_unstable();
    let wanted: Vec<u64> = (0..8).map(|n| 1_100 + 2 * n).collect();
    assert_eq!(charged, wanted);
    Ok(())
}
