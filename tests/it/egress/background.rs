//! Calls that go on at the provider after their request has ended, and the looks at them.

use anyhow::{Context as _, Result, ensure};
use bb_proto::reply::Ending;
use bb_tests::harness::{Answer, send};
use http::Method;
use serde_json::{Value, json};

use super::charges::{charges, only_charge};
use super::raw::Scene;
use super::ways::within;

const ID: &str = "resp_0123456789";

/// The answer as the provider shows it while it goes on, and at its end.
fn response(status: &str, usage: &Value) -> Value {
    json!({
        "id": ID,
        "object": "response",
        "background": true,
        "model": "gpt-5",
        "status": status,
        "output": [],
        "usage": usage,
    })
}

/// Asks the provider, which answers so; returns the answer.
async fn ask(
    scene: &Scene,
    method: Method,
    path: &str,
    body: &'static str,
    kind: &str,
    said: &str,
) -> Result<Answer> {
    let target = format!("/b/{}/raw-codex{path}", scene.web.token);
    let (answer, talk) = tokio::join!(
        within(send(&scene.system.egress, method, &target, &[], body)),
        async {
            let (mut talk, _) = scene.raw.next().await?;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
                said.len()
            );
            talk.say(head.as_bytes()).await?;
            anyhow::Ok(talk)
        }
    );
    talk?;
    answer?
}

async fn poll(scene: &Scene, id: &str, said: &Value) -> Result<Answer> {
    let path = format!("/v1/responses/{id}");
    let kind = "application/json";
    ask(scene, Method::GET, &path, "", kind, &said.to_string()).await
}

const CREATE: &str = r#"{"model":"gpt-5","background":true,"input":"think for an hour"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_looked_at_ten_times_is_charged_once() -> Result<()> {
    let scene = Scene::start("").await?;
    let queued = response("queued", &Value::Null);
    let kind = "application/json";
    let path = "/v1/responses";
    let answer = ask(
        &scene,
        Method::POST,
        path,
        CREATE,
        kind,
        &queued.to_string(),
    )
    .await?;
    ensure!(answer.status == 200, "{answer:?}");
    let charge = only_charge(&scene.system, &scene.web).await?;
    ensure!(
        charge.is_estimated && charge.ending == Ending::Background,
        "{charge:?}"
    );
    // More than its prompt: most of it is still to come.
    ensure!(charge.usage.output >= Some(500), "{charge:?}");
    let going = response("in_progress", &Value::Null);
    poll(&scene, ID, &going).await?;
    ensure!(only_charge(&scene.system, &scene.web).await? == charge);
    let usage = json!({"input_tokens": 1_500, "output_tokens": 40_000,
        "input_tokens_details": {"cached_tokens": 500},
        "output_tokens_details": {"reasoning_tokens": 39_000}});
    let done = response("completed", &usage);
    for _ in 0..10 {
        let answer = poll(&scene, ID, &done).await?;
        ensure!(answer.text() == done.to_string());
    }
    let is_told = async || {
        let charge = charges(&scene.system, &scene.web).await?.pop();
        Ok(charge.context("a call")?.ending == Ending::Complete)
    };
    scene.system.wait_until("it is corrected", is_told).await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    ensure!(!charge.is_estimated, "{charge:?}");
    ensure!(
        (charge.tokens, charge.status) == (41_500, Some(200)),
        "{charge:?}"
    );
    ensure!(charge.usage.cache_read == Some(500) && charge.usage.reasoning == Some(39_000));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_that_is_read_again_is_charged_once() -> Result<()> {
    let scene = Scene::start("").await?;
    let usage = json!({"input_tokens": 15, "output_tokens": 9});
    let done = json!({"type": "response.completed", "response": response("completed", &usage)});
    let stream = format!("event: response.completed\ndata: {done}\n\n");
    let kind = "text/event-stream";
    let body = r#"{"model":"gpt-5","background":true,"stream":true,"input":"x"}"#;
    ask(&scene, Method::POST, "/v1/responses", body, kind, &stream).await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    ensure!(
        (charge.tokens, charge.ending) == (24, Ending::Complete),
        "{charge:?}"
    );
    let path = format!("/v1/responses/{ID}?stream=true&starting_after=3");
    ask(&scene, Method::GET, &path, "", kind, &stream).await?;
    poll(&scene, ID, &response("completed", &usage)).await?;
    ensure!(only_charge(&scene.system, &scene.web).await? == charge);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_somebody_else_asked_for_is_nobodys_charge() -> Result<()> {
    let scene = Scene::start("").await?;
    let usage = json!({"input_tokens": 15, "output_tokens": 9});
    poll(&scene, "resp_elsewhere", &response("completed", &usage)).await?;
    ensure!(charges(&scene.system, &scene.web).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_left_goes_on_and_is_charged_by_a_later_look() -> Result<()> {
    let scene = Scene::start("").await?;
    let created = json!({"type": "response.created",
        "response": response("in_progress", &Value::Null)});
    let stream = format!("event: response.created\ndata: {created}\n\n");
    let kind = "text/event-stream";
    let body = r#"{"model":"gpt-5","background":true,"stream":true,"input":"x"}"#;
    ask(&scene, Method::POST, "/v1/responses", body, kind, &stream).await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    ensure!(charge.ending == Ending::Background, "{charge:?}");
    let usage = json!({"input_tokens": 15, "output_tokens": 9});
    poll(&scene, ID, &response("incomplete", &usage)).await?;
    let is_told = async || {
        let charge = charges(&scene.system, &scene.web).await?.pop();
        Ok(charge.context("a call")?.tokens == 24)
    };
    scene.system.wait_until("it is corrected", is_told).await
}
