//! Responses over a WebSocket: each is a call, admitted, metered, charged and cut as over POST.

mod client;
mod cuts;
mod exact;
mod hostile;
mod waits;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bb_proto::reply::Ending;
use bb_tests::provider::{Ending as Ended, Fault, Kind, Script};
use serde_json::json;

use super::charges::{assert_exact, charges, only_charge, shown};
use super::faults::assert_estimated;
use client::{Socket, create, system, warm_up};

#[tokio::test(flavor = "multi_thread")]
async fn each_response_is_a_call_metered_to_the_token() -> Result<()> {
    let (system, web) = system("").await?;
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&warm_up()).await?;
    let warm = socket.response().await?;
    ensure!(warm.last()?["type"] == "response.completed", "{warm:?}");
    for script in [Script::default(), Script::costing(1_200, 70)] {
        system.provider.enqueue(script);
        socket.say(&create("say hi")).await?;
        let response = socket.response().await?;
        ensure!(response.last()?["type"] == "response.completed");
        ensure!(response.text().starts_with("I have read"), "{response:?}");
    }
    assert_exact(&system, &web, "three calls").await?;
    let charged = charges(&system, &web).await?;
    ensure!(charged.len() == 3, "{charged:?}");
    // The warm-up was read, and nothing was generated.
    ensure!(charged[0].usage.output == Some(0) && charged[0].usage.input > Some(0));
    ensure!(
        charged
            .iter()
            .all(|charge| charge.ending == Ending::Complete)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_takes_the_key_and_offers_no_extension() -> Result<()> {
    let (system, web) = system("").await?;
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.response().await?;
    let requests = system.provider.requests();
    let [upgrade, call] = requests.as_slice() else {
        anyhow::bail!("{requests:?}");
    };
    let (upgrade, call) = (&upgrade.request, &call.request);
    ensure!((upgrade.kind, call.kind) == (Kind::Upgrade, Kind::Call));
    ensure!(upgrade.path == "/v1/responses");
    ensure!(upgrade.header("sec-websocket-extensions").is_none());
    ensure!(upgrade.header("openai-beta") == Some("responses_websockets=2026-02-06"));
    let key = format!("Bearer {}", bb_tests::harness::REAL_KEY);
    ensure!(upgrade.header("authorization") == Some(key.as_str()));
    ensure!(!format!("{:?}", upgrade.headers).contains(&web.token));
    // And none is agreed to towards the client, who did offer some.
    ensure!(
        !socket
            .opened
            .headers()
            .contains_key("sec-websocket-extensions")
    );
    ensure!(call.body == create("say hi").to_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_websockets_is_said_to_want_post() -> Result<()> {
    let (system, web) = super::http::system().await?;
    let error = Socket::open(&system, &web)
        .await
        .err()
        .context("an error")?;
    ensure!(format!("{error:#}").contains("426"), "{error:#}");
    ensure!(shown(&system, &web).await?.in_flight == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_left_is_charged_for_what_the_provider_then_states() -> Result<()> {
    let (system, web) = system("").await?;
    system
        .provider
        .enqueue(Script::slow(12, Duration::from_millis(20)));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.until("response.output_text.delta").await?;
    drop(socket);
    system.settled().await?;
    assert_exact(&system, &web, "left").await?;
    let call = super::charges::only_call(&system.provider);
    ensure!(call.answer.ending == Some(Ended::Finished), "{call:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_left_is_read_on_for_no_longer_than_is_allowed() -> Result<()> {
    let (system, web) = system("drain: 200ms\n").await?;
    system
        .provider
        .enqueue(Script::slow(1_000, Duration::from_millis(20)));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.until("response.output_text.delta").await?;
    drop(socket);
    system.settled().await?;
    let charge = only_charge(&system, &web).await?;
    assert_estimated(&charge, Ending::ClientGone, "left");
    let over = |calls: &[bb_tests::provider::Call]| calls[0].answer.ending.is_some();
    let calls = system.provider.wait_for(over).await?;
    ensure!(calls[0].answer.ending == Some(Ended::Aborted), "{calls:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_breaks_off_is_charged_by_estimate_and_the_client_sees_it() -> Result<()> {
    let (system, web) = system("").await?;
    system
        .provider
        .enqueue(Script::failing(Fault::Drop { after: 6 }));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.until("response.output_text.delta").await?;
    ensure!(socket.left().await?, "the client was not left");
    let charge = only_charge(&system, &web).await?;
    assert_estimated(&charge, Ending::UpstreamGone, "dropped");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_provider_refused_is_taken_back_and_the_next_one_goes() -> Result<()> {
    let (system, web) = system("").await?;
    system.provider.enqueue(Script::refusing(400));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    let error = socket.next().await?;
    ensure!(
        error["type"] == "error" && error["status"] == 400,
        "{error}"
    );
    socket.say(&create("say hi")).await?;
    socket.response().await?;
    system.settled().await?;
    let charged = charges(&system, &web).await?;
    let endings: Vec<Ending> = charged.iter().map(|charge| charge.ending).collect();
    ensure!(endings == [Ending::Voided, Ending::Complete], "{charged:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_within_a_response_is_charged_and_told() -> Result<()> {
    let (system, web) = system("").await?;
    system
        .provider
        .enqueue(Script::failing(Fault::ErrorEvent { after: 6 }));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    let response = socket.response().await?;
    ensure!(
        response.last()?["type"] == "response.failed",
        "{response:?}"
    );
    let charge = only_charge(&system, &web).await?;
    assert_estimated(&charge, Ending::ProviderError, "failed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stops_lets_a_quiet_client_go() -> Result<()> {
    let (mut system, web) = system("").await?;
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.response().await?;
    let (stopped, left) = tokio::join!(system.stop(), socket.left());
    stopped?;
    ensure!(left?, "it was not let go");
    ensure!(socket.close_code == Some(1001), "{:?}", socket.close_code);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_break_its_response_off_and_is_charged_for_what_there_was() -> Result<()> {
    let (system, web) = system("").await?;
    system
        .provider
        .enqueue(Script::slow(20, Duration::from_millis(20)));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.until("response.output_text.delta").await?;
    // This provider goes on, as one that does not know the word; what it then says ends no call.
    socket.say(&json!({"type": "response.cancel"})).await?;
    let response = socket.response().await?;
    ensure!(
        response.last()?["type"] == "response.completed",
        "{response:?}"
    );
    assert_exact(&system, &web, "cancelled").await?;
    let error = socket.next().await?;
    ensure!(error["error"]["message"] == "unknown message", "{error}");
    // Nothing is there to be broken off now, and nothing goes to the provider.
    socket.say(&json!({"type": "response.cancel"})).await?;
    socket.say(&json!({"type": "response.processed"})).await?;
    ensure!(socket.is_silent().await);
    Ok(())
}
