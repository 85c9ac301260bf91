//! The egress proxy with a real provider behind it.

use anyhow::Result;
use bb_tests::harness::{REAL_KEY, System, send};
use bb_tests::provider::{Provider, Script};
use http::Method;

const HI: &str = r#"{"model":"claude-opus-4-8","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"say hi"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_call_is_metered_to_the_token_and_the_key_is_exchanged() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let headers = [
        ("x-api-key", web.token.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = send(
        &system.egress,
        Method::POST,
        "/claude/v1/messages",
        &headers,
        HI,
    )
    .await?;
    assert!(answer.is_whole && answer.status == 200, "{answer:?}");
    assert!(answer.text().contains("message_stop"));

    let calls = provider.calls();
    let [call] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(
        call.request.headers.get("x-api-key").map(|v| v.as_bytes()),
        Some(REAL_KEY.as_bytes())
    );
    let ledger = system.calls_of(&web).await?;
    let [row] = ledger.rows.as_slice() else {
        panic!("{ledger:?}")
    };
    let seen = row.call.as_ref().expect("a call");
    assert!(!seen.estimated);
    assert_eq!(seen.usage, call.answer.stated);
    Ok(())
}
