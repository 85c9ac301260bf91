//! Killed while sidecars meter calls: what was admitted is charged once, whoever tells it later.

use anyhow::Result;
use bb_tests::provider::{Provider, Script};
use serde_json::{Value, json};

use super::load::File;
use crate::home::Place;
use crate::socket::raw::Raw;

const ADMITTED: &str = "019aa0b2-6f00-7000-8000-0000000000c1";
const FLOWED: &str = "019aa0b2-6f00-7000-8000-0000000000c2";
const SETTLED: &str = "019aa0b2-6f00-7000-8000-0000000000c3";
const OUTSIDE: &str = "019aa0b2-6f00-7000-8000-0000000000c9";

fn reserve(call: &str) -> Value {
    json!({"call": call, "bottle": "web", "provider": "claude", "input_tokens": 40, "output_max": 10})
}

fn settle(call: &str) -> Value {
    json!({"call": call, "usage": {"input": 1, "output": 1}})
}

fn outside() -> Value {
    json!({"id": OUTSIDE, "bottle": "web", "provider": "claude", "tokens": 7})
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_it_is_settled_a_sidecars_call_is_charged_by_estimate_and_only_once()
-> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let place = Place::before(&provider, "budget:\n  claude: 1000\n")?;
    let daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    raw.result("bottle.register", json!({"name": "web"}))
        .await?;
    for call in [ADMITTED, FLOWED, SETTLED] {
        let admitted = raw.result("call.reserve", reserve(call)).await?;
        assert_eq!(admitted["admitted"]["reserved"], 50, "{admitted}");
    }
    let flowed = json!({"call": FLOWED, "usage": {"input": 40, "output": 60}});
    raw.result("call.flowed", flowed).await?;
    raw.result("call.settle", settle(SETTLED)).await?;
    raw.result("budget.charge", outside()).await?;
    daemon.kill()?;

    let _daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    for (call, charge, ending) in [
        (ADMITTED, 50, "crash"),
        // Its last word was written down.
        (FLOWED, 100, "crash"),
        (SETTLED, 2, "complete"),
    ] {
        let settled = raw.result("call.settle", settle(call)).await?;
        assert_eq!(
            (&settled["already"], &settled["charge"], &settled["ending"]),
            (&json!(true), &json!(charge), &json!(ending)),
            "{settled}"
        );
        assert_eq!(settled["estimated"], ending == "crash");
        let again = raw.result("call.reserve", reserve(call)).await?;
        assert_eq!(again["resolved"]["charge"], charge, "{again}");
        let (word, _) = raw.refused("call.void", json!({"call": call})).await?;
        assert_eq!(word, "wrong_state");
        let (word, _) = raw.refused("call.flowed", json!({"call": call})).await?;
        assert_eq!(word, "not_found");
    }
    let again = raw.result("budget.charge", outside()).await?;
    assert_eq!(again["already"], true);
    let file = File::open(&place)?;
    assert_eq!(file.number("SELECT count(*) FROM entries")?, 4);
    assert_eq!(file.number("SELECT sum(charge) FROM entries")?, 159);
    let posted = "SELECT posted FROM balances WHERE account = 'host'";
    assert_eq!(file.number(posted)?, 159);
    assert_eq!(file.number("SELECT count(*) FROM open_calls")?, 0);
    Ok(())
}
