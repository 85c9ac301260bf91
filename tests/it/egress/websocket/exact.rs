//! The gate `exact` on a WebSocket: each response is capped by itself.

use anyhow::{Context as _, Result, ensure};
use bb_core::refusal::Reason;
use bb_proto::request::LedgerTail;
use bb_tests::provider::Script;
use serde_json::Value;

use super::super::charges::assert_exact;
use super::client::{Socket, create, system};

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_capped_and_one_that_nothing_bounds_is_refused() -> Result<()> {
    let (system, _) = system("gate: exact\n").await?;
    let web = system
        .bottle_with("tight", &[("codex", 4_000)], |_| {})
        .await?;
    system.provider.set_script(Script::costing(20, 90_000));
    let mut socket = Socket::open(&system, &web).await?;
    let mut on = create("say hi");
    on["previous_response_id"] = "resp_1".into();
    socket.say(&on).await?;
    let refused = socket.response().await?;
    let refused = refused.last()?;
    ensure!(refused["type"] == "error", "{refused}");
    ensure!(
        refused.to_string().contains(Reason::Unbounded.sentence()),
        "{refused}"
    );
    ensure!(system.provider.totals().calls == 0);
    socket.say(&create("say hi")).await?;
    let answer = socket.response().await?;
    ensure!(answer.last()?["type"] == "response.incomplete");
    let call = system.provider.calls().pop().context("a call")?;
    let asked: Value = serde_json::from_slice(&call.request.body)?;
    let cap = asked["max_output_tokens"].as_u64().context("a cap")?;
    ensure!((3_000..4_000).contains(&cap), "{asked}");
    ensure!(asked["input"] == create("say hi")["input"], "{asked}");
    ensure!(system.provider.totals().billed.total() <= 4_000);
    system.settled().await?;
    let entries = system.call(LedgerTail::default()).await?.entries;
    let entry = entries.first().context("an entry")?;
    ensure!(
        (entry.capped, entry.overrun.0) == (Some(cap), 0),
        "{entry:?}"
    );
    assert_exact(&system, &web, "one").await
}
