//! Windows of time as agents and operators meet them: when they turn, reset, corrected, raised for
//! a while.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::request::{BudgetRaise, BudgetReset, LedgerCorrect, LedgerTail};
use bb_proto::time::Millis;
use bb_proto::units::Tokens;
use bb_tests::harness::{System, WAIT_LIMIT};
use bb_tests::provider::{Provider, Script};

use super::budgets::{SHARED_SPENT, assert_refused, spend};
use super::charges::budget;
use super::ways::MESSAGES;

async fn system(window: &str) -> Result<System> {
    let provider = Provider::start(Script::default()).await?;
    let settings = format!(
        "budget:\n  claude:\n    limit: 1000\n    window: {window}\ntimezone: Asia/Kathmandu\n"
    );
    System::start(&provider, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_when_the_window_turns_and_a_reset_opens_it() -> Result<()> {
    let system = system("day").await?;
    let web = system.bottle("web").await?;
    spend(&system, &web, &MESSAGES, 1_100).await?;
    let answer = MESSAGES.ask(&system, &web).await?;
    assert_refused(&answer, MESSAGES.wire, SHARED_SPENT);
    let spent = budget(&system, "host", "claude").await?;
    let turns = spent.resets_at.context("a time")?;
    // Midnight there, which is at a quarter past six in the evening.
    let turns = jiff::Timestamp::from_millisecond(turns.0)?.to_string();
    assert!(turns.ends_with("T18:15:00Z"), "{turns}");
    assert_eq!(
        answer.header("x-bot-bottle-resets-at"),
        Some(turns.as_str())
    );
    let reset = BudgetReset {
        budget: spent.id,
        why: Some("a test ran".to_owned()),
        expect: None,
        request_id: None,
        dry_run: false,
    };
    let changed = system.call(reset).await?;
    assert_eq!(changed.opened.len(), 1);
    assert_eq!(changed.budget.context("a row")?.used, Tokens::ZERO);
    spend(&system, &web, &MESSAGES, 200).await?;
    assert_eq!(budget(&system, "host", "claude").await?.used, Tokens(200));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_ends_by_itself_and_a_correction_opens_what_a_charge_closed() -> Result<()> {
    let system = system("rolling 5h").await?;
    let web = system.bottle("web").await?;
    let raise = BudgetRaise {
        budget: budget(&system, "host", "claude").await?.id,
        by: Tokens(5_000),
        for_ms: Some(Millis(300)),
        once: false,
        why: None,
        expect: None,
        request_id: None,
        dry_run: false,
    };
    spend(&system, &web, &MESSAGES, 900).await?;
    system.call(raise).await?;
    spend(&system, &web, &MESSAGES, 900).await?;
    // Nobody asks: it ends by its own time.
    let begun = Instant::now();
    loop {
        let budget = budget(&system, "host", "claude").await?;
        if budget.exhausted_since.is_some() && budget.raises.is_empty() {
            break;
        }
        assert!(begun.elapsed() < WAIT_LIMIT, "{budget:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = MESSAGES.ask(&system, &web).await?;
    assert_refused(&answer, MESSAGES.wire, SHARED_SPENT);
    assert_eq!(answer.header("x-bot-bottle-resets-at"), None);
    let tail = LedgerTail {
        after: None,
        bottle: None,
        limit: None,
        wait_ms: None,
    };
    let entries = system.call(tail).await?.entries;
    let last = entries.last().context("an entry")?;
    let correct = LedgerCorrect {
        call: last.call,
        input: None,
        cache_read: None,
        cache_write: None,
        output: Some(0),
        why: Some("the invoice says so".to_owned()),
        request_id: None,
        dry_run: false,
    };
    let corrected = system.call(correct).await?;
    assert!(corrected.after < corrected.before);
    let left = budget(&system, "host", "claude").await?;
    assert_eq!(left.used, Tokens(900 + corrected.after.0));
    spend(&system, &web, &MESSAGES, 30).await?;
    let verified = system.call(bb_proto::request::LedgerVerify {}).await?;
    assert!(verified.agrees, "{verified:?}");
    Ok(())
}
