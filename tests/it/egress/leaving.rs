//! Clients that leave: what they asked for is charged all the same.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::reply::Ending;
use bb_tests::provider::{Ending as Ended, Script};

use super::charges::{assert_exact_one, charges, only_call, only_charge};
use super::faults::{assert_estimated, system};
use super::raw::{NOTHING, SSE, Scene, read_bytes};
use super::ways::{self, CHAT_UNASKED, MESSAGES, MESSAGES_WHOLE, STREAMS, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_client_left_is_read_on_for_its_usage() -> Result<()> {
    let (system, web) = system("").await?;
    let script = Script::slow(12, Duration::from_millis(20));
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        system.provider.enqueue(script.clone());
        let mut answer = way.open(&system, &web).await?;
        within(answer.next()).await??.context("the first bytes")?;
        drop(answer);
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        let call = system.provider.calls().pop().context("a call")?;
        assert_eq!(call.answer.ending, Some(Ended::Finished), "{}", way.name);
        assert_exact_one(&charge, &call, way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_client_left_is_aborted_when_its_time_is_over() -> Result<()> {
    let (system, web) = system("drain: 200ms\n").await?;
    let script = Script::slow(1_000, Duration::from_millis(20));
    for way in STREAMS {
        system.provider.enqueue(script.clone());
        let mut answer = way.open(&system, &web).await?;
        within(answer.next()).await??.context("the first bytes")?;
        let left = Instant::now();
        drop(answer);
        system.settled().await?;
        assert!(
            left.elapsed() < Duration::from_secs(3),
            "{:?}",
            left.elapsed()
        );
        let over = |calls: &[bb_tests::provider::Call]| {
            calls.last().is_some_and(|it| it.answer.ending.is_some())
        };
        let call = system
            .provider
            .wait_for(over)
            .await?
            .pop()
            .context("a call")?;
        assert_eq!(call.answer.ending, Some(Ended::Aborted), "{}", way.name);
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_estimated(&charge, Ending::ClientGone, way.name);
        // Charged is what came in that time, not only what the client saw.
        let (said, billed) = (charge.usage.output, call.answer.billed.output);
        assert!(
            said >= billed.map(|it| it / 2),
            "{}: {said:?} for {billed:?}",
            way.name
        );
        assert!(said > Some(5), "{}: {said:?}", way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_client_left_before_the_answer_is_read_on_too() -> Result<()> {
    let (system, web) = system("").await?;
    for way in ways::all() {
        system.provider.enqueue(Script {
            first_byte_delay: Duration::from_millis(80),
            ..Script::default()
        });
        let made = system.provider.calls().len();
        let asked = way.open(&system, &web);
        let called = system.provider.wait_for(|calls| calls.len() > made);
        tokio::select! {
            answer = asked => panic!("answered by {answer:?}"),
            called = called => called?,
        };
        // The client is gone now, its request dropped.
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        let call = system.provider.calls().pop().context("a call")?;
        assert_exact_one(&charge, &call, way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_answered_to_a_client_that_left_is_aborted() -> Result<()> {
    let (system, web) = system("drain: 150ms\n").await?;
    system.provider.enqueue(Script {
        first_byte_delay: Duration::from_mins(10),
        ..Script::default()
    });
    let asked = MESSAGES.open(&system, &web);
    let called = system.provider.wait_for(|calls| !calls.is_empty());
    tokio::select! {
        answer = asked => panic!("answered by {answer:?}"),
        called = called => called?,
    };
    let charge = only_charge(&system, &web).await?;
    assert_estimated(&charge, Ending::ClientGone, "left before the headers");
    let over = |calls: &[bb_tests::provider::Call]| calls[0].answer.ending.is_some();
    system.provider.wait_for(over).await?;
    assert_eq!(
        only_call(&system.provider).answer.ending,
        Some(Ended::Aborted)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_left_during_a_document_is_charged_for_it() -> Result<()> {
    let scene = Scene::start("").await?;
    let whole = MESSAGES_WHOLE.ask_directly(&scene.system).await?;
    let stated = only_call(&scene.system.provider).answer.stated;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        whole.body.len()
    );
    let (first, rest) = whole.body.split_at(40);
    let mut asked = Box::pin(scene.open(&MESSAGES_WHOLE, &[]));
    let mut talk = tokio::select! {
        answer = &mut asked => panic!("answered by {answer:?}"),
        talk = async {
            let (mut talk, _) = scene.raw.next().await?;
            talk.say(head.as_bytes()).await?;
            talk.say(first).await?;
            anyhow::Ok(talk)
        } => talk?,
    };
    let shown = tokio::time::timeout(NOTHING, &mut asked).await;
    assert!(shown.is_err(), "{shown:?}");
    drop(asked);
    // The provider is not left because its client did.
    let left = tokio::time::timeout(NOTHING, talk.left()).await;
    assert!(left.is_err(), "{left:?}");
    talk.say(rest).await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert_eq!((charge.usage, charge.is_estimated), (stated, false));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_within_an_event_loses_nothing_of_the_charge() -> Result<()> {
    let scene = Scene::start("").await?;
    let whole = MESSAGES.ask_directly(&scene.system).await?;
    let stated = only_call(&scene.system.provider).answer.stated;
    let (first, rest) = whole.body.split_at(whole.body.len() / 2 + 3);
    let (answer, talk) = tokio::join!(scene.open(&MESSAGES, &[]), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(SSE.as_bytes()).await?;
        talk.chunk(first).await?;
        anyhow::Ok(talk)
    });
    let (mut answer, mut talk) = (answer?, talk?);
    read_bytes(&mut answer, first.len()).await?;
    drop(answer);
    talk.chunk(rest).await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert_eq!((charge.usage, charge.is_estimated), (stated, false));
    // The provider need not end the body for that.
    talk.left().await
}
