//! Calls that fit only without those that are open: they wait, in order, and not for ever.

use std::time::{Duration, Instant};

use anyhow::Result;
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use bb_tests::harness::{Bottle, Streamed, System};
use bb_tests::provider::{Provider, Script};

use super::budgets::{SPENT, assert_refused, spend};
use super::charges::{budget, charges, shown};
use super::ways::{CHAT, MESSAGES, MESSAGES_WHOLE, Way, within};

/// Room for one call of about a thousand tokens, and not for two.
const ROOM: u64 = 1_500;

/// Calls of which only one fits at a time: nothing was learned of any of their models.
const ONE_EACH: [Way; 4] = [
    of_model(
        r#"{"model":"one","max_tokens":64000,"messages":[{"role":"user","content":"say hi"}]}"#,
    ),
    of_model(
        r#"{"model":"two","max_tokens":64000,"messages":[{"role":"user","content":"say hi"}]}"#,
    ),
    of_model(
        r#"{"model":"three","max_tokens":64000,"messages":[{"role":"user","content":"say hi"}]}"#,
    ),
    of_model(
        r#"{"model":"four","max_tokens":64000,"messages":[{"role":"user","content":"say hi"}]}"#,
    ),
];

const fn of_model(body: &'static str) -> Way {
    Way {
        body,
        ..MESSAGES_WHOLE
    }
}

async fn system(more: &str) -> Result<(System, Bottle)> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, more).await?;
    let web = system
        .bottle_with("web", &[("claude", ROOM)], |_| {})
        .await?;
    Ok((system, web))
}

/// Opens a stream that goes on for longer than any test, and costs so much in the end.
async fn open(system: &System, bottle: &Bottle) -> Result<Streamed> {
    system
        .provider
        .enqueue(Script::slow(100_000, Duration::from_millis(20)));
    let mut answer = MESSAGES.open(system, bottle).await?;
    within(answer.read_until("text_delta")).await??;
    Ok(answer)
}

async fn wait_for_waiting(system: &System, bottle: &Bottle, count: u64) -> Result<()> {
    let what = format!("{count} calls wait");
    let holds = async || Ok(shown(system, bottle).await?.waiting == count);
    system.wait_until(&what, holds).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_the_one_before_it_and_then_goes() -> Result<()> {
    let (system, web) = system("").await?;
    system.provider.enqueue(Script {
        delay: Duration::from_millis(30),
        ..Script::costing(200, 100)
    });
    system.provider.enqueue(Script::costing(300, 50));
    let mut first = MESSAGES.open(&system, &web).await?;
    within(first.read_until("text_delta")).await??;
    let ((), second) = tokio::join!(
        async {
            wait_for_waiting(&system, &web, 1).await.expect("it waits");
            assert_eq!(system.provider.totals().calls, 1);
            let (rest, is_whole) = first.rest().await;
            assert!(is_whole && rest.contains("message_stop"), "{rest}");
        },
        MESSAGES_WHOLE.ask(&system, &web)
    );
    assert_eq!(second?.status, 200);
    let calls = system.provider.calls();
    assert!(calls[1].request.at >= calls[0].answer.ended_at.expect("its end"));
    let launch = budget(&system, &format!("launch:{}", web.registered.run), "claude").await?;
    assert_eq!((launch.used.0, launch.pending.0), (650, 0));
    super::charges::assert_exact(&system, &web, "both").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_in_a_refusal_that_says_so() -> Result<()> {
    let (system, web) = system("wait: 1s\n").await?;
    let first = open(&system, &web).await?;
    let start = Instant::now();
    let answer = MESSAGES.ask(&system, &web).await?;
    let waited = start.elapsed();
    let (least, most) = (Duration::from_millis(950), Duration::from_secs(4));
    assert!((least..most).contains(&waited), "{waited:?}");
    assert_refused(&answer, MESSAGES.wire, Reason::NoRoom.sentence());
    assert_eq!(answer.header("x-bot-bottle-reason"), Some("no_room"));
    assert_eq!(answer.header("x-bot-bottle-limit"), Some("1500"));
    assert_eq!(answer.header("x-bot-bottle-used"), Some("0"));
    // It is no reason to close anything: another provider's call goes, and so does the first.
    assert_eq!(CHAT.ask(&system, &web).await?.status, 200);
    assert_eq!(shown(&system, &web).await?.in_flight, 1);
    drop(first);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wait_at_all_is_refused_at_once() -> Result<()> {
    let (system, web) = system("wait: 0s\n").await?;
    let _first = open(&system, &web).await?;
    let start = Instant::now();
    let answer = MESSAGES.ask(&system, &web).await?;
    assert_refused(&answer, MESSAGES.wire, Reason::NoRoom.sentence());
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_waits_frees_its_place() -> Result<()> {
    let (system, web) = system("").await?;
    let first = open(&system, &web).await?;
    let mut left = Box::pin(MESSAGES.open(&system, &web));
    tokio::select! {
        answer = &mut left => panic!("{answer:?}"),
        waits = wait_for_waiting(&system, &web, 1) => waits?,
    }
    let waits = shown(&system, &web).await?;
    let (since, until) = (waits.waiting_since, waits.waits_until);
    let may_wait = until.zip(since).map(|(until, since)| until.since(since).0);
    assert_eq!(may_wait, Some(30_000), "{waits:?}");
    drop(left);
    wait_for_waiting(&system, &web, 0).await?;
    assert_eq!(shown(&system, &web).await?.waiting_since, None);
    assert_eq!(system.provider.totals().calls, 1);
    // The next is the first in the queue, and goes when the open one is over.
    system.provider.enqueue(Script::costing(10, 10));
    let (next, ()) = tokio::join!(MESSAGES_WHOLE.ask(&system, &web), async {
        wait_for_waiting(&system, &web, 1).await.expect("it waits");
        drop(first);
        system.provider.set_script(Script::default());
    });
    assert_eq!(next?.status, 200);
    let ledger = charges(&system, &web).await?;
    assert_eq!(ledger.len(), 2, "{ledger:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_go_in_the_order_they_came() -> Result<()> {
    let (system, web) = system("drain: 0s\n").await?;
    let first = open(&system, &web).await?;
    // Of so large ones there is never room for two: what is admitted at once may arrive in any order.
    let slow = Script {
        first_byte_delay: Duration::from_millis(20),
        ..Script::costing(20, 480)
    };
    system.provider.set_script(slow);
    let ask = |n: usize| {
        let (system, web) = (&system, &web);
        async move {
            wait_for_waiting(system, web, n as u64).await?;
            ONE_EACH[n].ask(system, web).await
        }
    };
    let (a, b, c, ended) = tokio::join!(ask(0), ask(1), ask(2), async {
        wait_for_waiting(&system, &web, 3).await?;
        drop(first);
        anyhow::Ok(())
    });
    ended?;
    for answer in [a, b, c] {
        assert_eq!(answer?.status, 200);
    }
    let calls = system.provider.calls();
    let order: Vec<&str> = calls.iter().map(|it| it.request.model.as_str()).collect();
    assert_eq!(order[1..], ["one", "two", "three"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_what_is_then_spent_is_refused() -> Result<()> {
    let (system, web) = system("").await?;
    system.provider.enqueue(Script {
        delay: Duration::from_millis(30),
        ..Script::costing(200, 2_000)
    });
    let mut first = MESSAGES.open(&system, &web).await?;
    within(first.read_until("text_delta")).await??;
    let start = Instant::now();
    let second = MESSAGES.ask(&system, &web).await?;
    assert_refused(&second, MESSAGES.wire, SPENT);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let (rest, _) = first.rest().await;
    assert!(
        rest.contains("message_stop"),
        "it was charged and not cut: {rest}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_lets_those_go_that_wait() -> Result<()> {
    let (system, web) = system("").await?;
    let _first = open(&system, &web).await?;
    let (second, raised) = tokio::join!(MESSAGES_WHOLE.ask(&system, &web), async {
        wait_for_waiting(&system, &web, 1).await?;
        let raise = bb_proto::request::BudgetRaise {
            for_ms: None,
            once: false,
            expect: None,
            budget: super::charges::launch_key(&web, "claude")?,
            by: bb_proto::units::Tokens(10_000),
            why: None,
            request_id: None,
            dry_run: false,
        };
        anyhow::Ok(system.call(raise).await?)
    });
    raised?;
    assert_eq!(second?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_off_lets_calls_go_while_anything_is_left() -> Result<()> {
    let (system, web) = system("gate: off\n").await?;
    let _first = open(&system, &web).await?;
    spend(&system, &web, &MESSAGES_WHOLE, 1_000).await?;
    spend(&system, &web, &MESSAGES_WHOLE, 900).await?;
    assert_refused(&MESSAGES.ask(&system, &web).await?, MESSAGES.wire, SPENT);
    let ledger = charges(&system, &web).await?;
    let charged: Vec<_> = ledger
        .iter()
        .filter(|it| it.ending == Ending::Complete)
        .collect();
    assert_eq!(charged.len(), 2, "{ledger:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bottles_that_wait_for_a_pool_each_gets_its_turn() -> Result<()> {
    let more = "drain: 0s\nbudget:\n  claude: 1500\n";
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, more).await?;
    let (web, api) = (system.bottle("web").await?, system.bottle("api").await?);
    let first = open(&system, &web).await?;
    let slow = Script {
        first_byte_delay: Duration::from_millis(20),
        ..Script::costing(20, 20)
    };
    system.provider.set_script(slow);
    let ask = |bottle: &Bottle, before: u64, way: usize| {
        let (system, bottle) = (&system, bottle.clone());
        async move {
            wait_for_waiting(system, &bottle, before).await?;
            ONE_EACH[way].ask(system, &bottle).await
        }
    };
    let (a, b, c, d, ended) = tokio::join!(
        ask(&web, 0, 0),
        ask(&web, 1, 1),
        ask(&web, 2, 2),
        ask(&api, 0, 3),
        async {
            wait_for_waiting(&system, &web, 3).await?;
            wait_for_waiting(&system, &api, 1).await?;
            drop(first);
            anyhow::Ok(())
        }
    );
    ended?;
    for answer in [a, b, c, d] {
        assert_eq!(answer?.status, 200);
    }
    let calls = system.provider.calls();
    let order: Vec<&str> = calls.iter().map(|it| it.request.model.as_str()).collect();
    let place = order[1..].iter().position(|model| *model == "four");
    assert!(place <= Some(1), "{order:?}");
    Ok(())
}
