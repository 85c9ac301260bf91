//! Ends of a WebSocket that do what is not let through.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::super::charges::{charges, only_charge};
use super::super::raw::{Connection, Scene};
use super::client::{Socket, create, system};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_known_or_can_be_read_in_two_ways_goes_nowhere() -> Result<()> {
    let (system, web) = system("").await?;
    let mut socket = Socket::open(&system, &web).await?;
    for text in [
        r#"{"type":"ping","type":"response.create","model":"gpt-5","input":"x"}"#,
        r#"{"type":["response.create"],"model":"gpt-5","input":"x"}"#,
        r#"[{"type":"response.create"}]"#,
        r#"{"type":"response.steer","input":"and another answer"}"#,
        r#"{"type":"response.append","input":"x"}"#,
        r#"{"type":"nonsense"}"#,
        "{",
        "",
    ] {
        socket.send(Message::text(text)).await?;
        let error = socket.next().await?;
        let sentence = Reason::BadRequest.sentence();
        ensure!(error["error"]["message"] == sentence, "{text}: {error}");
    }
    ensure!(system.provider.totals().calls == 0);
    // It is a call however its name is written.
    let text = r#"{"ty\u0070e":"response.cre\u0061te","model":"gpt-5","input":"x"}"#;
    socket.send(Message::text(text)).await?;
    socket.response().await?;
    ensure!(charges(&system, &web).await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_messages_of_a_client_end_it() -> Result<()> {
    let (system, web) = system("").await?;
    let mut socket = Socket::open(&system, &web).await?;
    let bytes = create("say hi").to_string().into_bytes();
    socket.send(Message::binary(bytes)).await?;
    ensure!(socket.left().await?);
    ensure!(socket.close_code == Some(1003), "{:?}", socket.close_code);
    ensure!(system.provider.totals().calls == 0);
    Ok(())
}

/// What a provider answers to an upgrade.
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// A text message of a server.
fn message(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short one");
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// A message about a response.
fn about(kind: &str, id: &str, usage: &Value) -> Value {
    json!({"type": kind, "response": {"id": id, "model": "gpt-5", "usage": usage}})
}

/// Usage of so many tokens of input and a tenth of output.
fn usage(input: u64) -> Value {
    json!({"input_tokens": input, "output_tokens": input / 10})
}

/// Has the provider say one message after another.
async fn say_all(talk: &mut Connection, messages: &[Value]) -> Result<()> {
    for said in messages {
        talk.say(&message(&said.to_string())).await?;
    }
    Ok(())
}

/// Opens a WebSocket to a provider that agrees, with these headers more.
async fn agreed(scene: &Scene, more: &str) -> Result<(Result<Socket>, Connection)> {
    let beginning = format!("b/{}/raw-codex", scene.web.token);
    let (opened, talk) = tokio::join!(Socket::open_at(&scene.system, &beginning, &[]), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(format!("{AGREED}{more}\r\n").as_bytes()).await?;
        anyhow::Ok(talk)
    });
    Ok((opened, talk?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_forces_an_extension_is_not_agreed_with() -> Result<()> {
    let scene = Scene::start("").await?;
    let (opened, _talk) =
        agreed(&scene, "sec-websocket-extensions: permessage-deflate\r\n").await?;
    let error = opened.err().context("an error")?;
    ensure!(format!("{error:#}").contains("426"), "{error:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_nobody_asked_for_ends_both() -> Result<()> {
    let scene = Scene::start("").await?;
    let (opened, mut talk) = agreed(&scene, "").await?;
    let mut socket = opened?;
    let known = json!({"type": "codex.rate_limits"}).to_string();
    talk.say(&message(&known)).await?;
    ensure!(socket.next().await?["type"] == "codex.rate_limits");
    let unasked = about("response.created", "resp_x", &Value::Null).to_string();
    talk.say(&message(&unasked)).await?;
    ensure!(socket.left().await?);
    ensure!(socket.close_code == Some(1003), "{:?}", socket.close_code);
    talk.left().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_about_another_message_ends_no_call() -> Result<()> {
    let scene = Scene::start("").await?;
    let (opened, mut talk) = agreed(&scene, "").await?;
    let mut socket = opened?;
    socket.say(&create("say hi")).await?;
    talk.frame().await?;
    let created = about("response.created", "resp_1", &Value::Null);
    say_all(&mut talk, &[created]).await?;
    socket.until("response.created").await?;
    socket
        .say(&json!({"type": "response.cancel", "response_id": "resp_none"}))
        .await?;
    let error = json!({"type": "error", "status": 400, "error": {"message": "no such response"}});
    let delta = json!({"type": "response.output_text.delta", "delta": "words"});
    let done = about("response.completed", "resp_1", &usage(10_000));
    talk.frame().await?;
    say_all(&mut talk, &[error, delta, done]).await?;
    while socket.next().await?["type"] != "response.completed" {}
    let charge = only_charge(&scene.system, &scene.web).await?;
    ensure!(
        (charge.tokens, charge.is_estimated) == (11_000, false),
        "{charge:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_said_twice_is_not_that_of_the_next_call() -> Result<()> {
    let scene = Scene::start("").await?;
    let (opened, mut talk) = agreed(&scene, "").await?;
    let mut socket = opened?;
    for _ in 0..2 {
        socket.say(&create("say hi")).await?;
    }
    talk.frame().await?;
    let error = json!({"type": "error", "error": {"message": "overloaded"}});
    let failed = about("response.failed", "resp_1", &Value::Null);
    let created = |id| about("response.created", id, &Value::Null);
    say_all(&mut talk, &[created("resp_1"), error]).await?;
    while socket.next().await?["type"] != "error" {}
    say_all(&mut talk, &[failed]).await?;
    while socket.next().await?["type"] != "response.failed" {}
    talk.frame().await?;
    let done = about("response.completed", "resp_2", &usage(500));
    say_all(&mut talk, &[created("resp_2"), done]).await?;
    while socket.next().await?["type"] != "response.completed" {}
    scene.system.settled().await?;
    let charged = charges(&scene.system, &scene.web).await?;
    let endings: Vec<_> = charged
        .iter()
        .map(|it| (it.ending, it.is_estimated))
        .collect();
    let expected = [(Ending::ProviderError, true), (Ending::Complete, false)];
    ensure!(endings == expected, "{charged:?}");
    ensure!(charged[1].tokens == 550);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_of_the_dialect_hides_no_usage() -> Result<()> {
    let scene = Scene::start("").await?;
    let (opened, mut talk) = agreed(&scene, "").await?;
    let mut socket = opened?;
    socket.say(&create("say hi")).await?;
    talk.frame().await?;
    talk.say(&message("{\"type\":\"resp")).await?;
    let done = about("response.done", "resp_1", &usage(700));
    say_all(&mut talk, &[done]).await?;
    let next = socket.next().await;
    ensure!(next.is_err(), "it was no JSON: {next:?}");
    ensure!(socket.next().await?["type"] == "response.done");
    let charge = only_charge(&scene.system, &scene.web).await?;
    ensure!(
        (charge.tokens, charge.ending) == (770, Ending::Complete),
        "{charge:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_refused_after_its_client_left_is_taken_back_too() -> Result<()> {
    let scene = Scene::start("").await?;
    let (opened, mut talk) = agreed(&scene, "").await?;
    let mut socket = opened?;
    socket.say(&create("say hi")).await?;
    talk.frame().await?;
    drop(socket);
    say_all(
        &mut talk,
        &[json!({"type": "error", "status": 429, "error": {}})],
    )
    .await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    ensure!(charge.ending == Ending::Voided, "{charge:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_more_than_may_wait_is_not_read_until_there_is_room() -> Result<()> {
    let (system, web) = system("").await?;
    system.provider.enqueue(bb_tests::provider::Script::slow(
        10,
        Duration::from_millis(20),
    ));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    // They say nothing, and are answered each, once it is their turn.
    for _ in 0..500 {
        socket.send(Message::text("")).await?;
    }
    let response = socket.response().await?;
    ensure!(
        response.last()?["type"] == "response.completed",
        "{response:?}"
    );
    for _ in 0..500 {
        ensure!(socket.next().await?["type"] == "error");
    }
    ensure!(system.provider.totals().calls == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compressed_though_nobody_agreed_to_it_ends_both() -> Result<()> {
    let scene = Scene::start("").await?;
    let (opened, mut talk) = agreed(&scene, "").await?;
    let mut socket = opened?;
    talk.say(&[0xC1, 0x01, 0x00]).await?;
    ensure!(socket.left().await?);
    Ok(())
}
