//! Ends of a WebSocket that do what is not let through.

use anyhow::{Context as _, Result, ensure};
use bb_core::refusal::Reason;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::super::charges::charges;
use super::super::raw::{Connection, Scene};
use super::client::{Socket, create, system};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_be_read_in_two_ways_goes_nowhere() -> Result<()> {
    let (system, web) = system("").await?;
    let mut socket = Socket::open(&system, &web).await?;
    for text in [
        r#"{"type":"ping","type":"response.create","model":"gpt-5","input":"x"}"#,
        r#"{"type":["response.create"],"model":"gpt-5","input":"x"}"#,
        r#"[{"type":"response.create"}]"#,
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

/// A text message of a server, short.
fn message(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short one");
    assert!(length < 126);
    let mut frame = vec![0x81, length];
    frame.extend_from_slice(text.as_bytes());
    frame
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
    let unasked = json!({"type": "response.created", "response": {}}).to_string();
    talk.say(&message(&unasked)).await?;
    ensure!(socket.left().await?);
    ensure!(socket.close_code == Some(1003), "{:?}", socket.close_code);
    talk.left().await?;
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
