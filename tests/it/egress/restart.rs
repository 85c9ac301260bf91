//! The end of a controller with calls open, and its next start.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use bb_tests::harness::{Bottle, Streamed, System};
use bb_tests::provider::{Ending as Ended, Provider, Script};

use super::budgets::{SPENT, assert_refused, spend};
use super::charges::{File, assert_exact_one, charges, shown};
use super::http::with_egress;
use super::spoken::{Ended as Last, read};
use super::ways::{self, CHAT_UNASKED, MESSAGES, STREAMS, Way, together, within};

const DRAINING: &str = "the controller is stopping and takes no new calls";

/// Starts a system that gives calls so long at its end.
async fn system(grace: &str, script: Script) -> Result<(System, Bottle)> {
    let provider = Provider::start(script).await?;
    let system = with_egress(&provider, &format!("  grace: {grace}\n"), "").await?;
    let web = system.bottle("web").await?;
    Ok((system, web))
}

/// Opens a call of each wire, and reads the first bytes of it.
async fn open_all(system: &System, bottle: &Bottle) -> Result<Vec<(Way, Streamed, String)>> {
    let mut open = Vec::new();
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        let mut answer = way.open(system, bottle).await?;
        let first = within(answer.next()).await??.context("the first bytes")?;
        open.push((way, answer, String::from_utf8(first.to_vec())?));
    }
    Ok(open)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_outlast_the_grace_period_are_ended_and_charged() -> Result<()> {
    let (mut system, web) =
        system("500ms", Script::slow(100_000, Duration::from_millis(20))).await?;
    let open = open_all(&system, &web).await?;
    let start = Instant::now();
    let (stopped, ended) = tokio::join!(
        system.stop(),
        together(open.into_iter().map(|(way, answer, first)| async move {
            let (rest, is_whole) = within(answer.rest()).await?;
            anyhow::Ok((way, first + &rest, is_whole))
        }))
    );
    stopped?;
    let took = start.elapsed();
    let (least, most) = (Duration::from_millis(450), Duration::from_secs(6));
    assert!((least..most).contains(&took), "{took:?}");
    for ended in ended {
        let (way, text, is_whole) = ended?;
        assert!(is_whole, "{}: {text}", way.name);
        let spoken = read(&way, &text);
        assert_eq!(
            spoken.ended,
            Last::Saying(DRAINING.to_owned()),
            "{}: {text}",
            way.name
        );
    }
    let aborted = |it: &bb_tests::provider::Call| it.answer.ending == Some(Ended::Aborted);
    let calls = system
        .provider
        .wait_for(|calls| calls.iter().all(aborted))
        .await?;
    assert_eq!(calls.len(), 6);

    let system = system.restart().await?;
    assert_eq!(File::open(&system)?.open_calls()?, 0);
    let ledger = charges(&system, &web).await?;
    assert_eq!(ledger.len(), 6, "{ledger:?}");
    for (charge, call) in ledger.iter().zip(&calls) {
        let what = format!("{charge:?} for {:?}", call.answer);
        assert!(
            charge.ending == Ending::Cut && charge.is_estimated,
            "{what}"
        );
        let (said, billed) = (charge.usage.output.unwrap_or(0), call.answer.billed.output);
        let billed = billed.unwrap_or(0);
        assert!(said > 5 && said.abs_diff(billed) <= billed / 2, "{what}");
    }
    // The bottle's token is what it was, and its charges stay.
    system.provider.enqueue(Script::default());
    let before: u64 = ledger.iter().map(|it| it.tokens).sum();
    assert_eq!(shown(&system, &web).await?.used_total.0, before);
    assert_eq!(MESSAGES.ask(&system, &web).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_end_within_the_grace_period_end_as_they_would() -> Result<()> {
    let (mut system, web) = system("20s", Script::slow(12, Duration::from_millis(40))).await?;
    let open = open_all(&system, &web).await?;
    let start = Instant::now();
    let (stopped, ended) = tokio::join!(
        system.stop(),
        together(open.into_iter().map(|(way, answer, first)| async move {
            let (rest, is_whole) = within(answer.rest()).await?;
            anyhow::Ok((way, first + &rest, is_whole))
        }))
    );
    stopped?;
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    for ended in ended {
        let (way, text, is_whole) = ended?;
        assert!(is_whole, "{}: {text}", way.name);
        assert_eq!(
            read(&way, &text).ended,
            Last::Normally,
            "{}: {text}",
            way.name
        );
    }
    let calls = system.provider.calls();
    let system = system.restart().await?;
    let ledger = charges(&system, &web).await?;
    assert_eq!(ledger.len(), 6);
    for (charge, call) in ledger.iter().zip(&calls) {
        assert_exact_one(charge, call, "within the grace period");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_its_headers_at_the_end_is_refused_in_its_dialect() -> Result<()> {
    let script = Script {
        first_byte_delay: Duration::from_mins(10),
        ..Script::default()
    };
    let (mut system, web) = system("300ms", script).await?;
    let count = ways::all().count();
    let asked: Vec<_> = ways::all()
        .map(|way| {
            let (egress, web) = (system.egress.clone(), web.clone());
            async move {
                let (name, value) = way.key_header(&web.token);
                let headers = [(name, value.as_str())];
                let target = way.target();
                let sent = bb_tests::harness::send(
                    &egress,
                    http::Method::POST,
                    &target,
                    &headers,
                    way.body,
                );
                anyhow::Ok((way, within(sent).await??))
            }
        })
        .collect();
    let provider = system.provider.clone();
    let (answers, stopped) = tokio::join!(together(asked), async {
        provider.wait_for(|calls| calls.len() == count).await?;
        system.stop().await
    });
    stopped?;
    for answer in answers {
        let (way, answer) = answer?;
        assert_eq!(answer.status, 503, "{}: {answer:?}", way.name);
        assert_eq!(answer.header("x-bot-bottle-reason"), Some("draining"));
        assert!(
            answer.text().contains(Reason::Draining.sentence()),
            "{answer:?}"
        );
    }
    let system = system.restart().await?;
    let ledger = charges(&system, &web).await?;
    assert_eq!(ledger.len(), count);
    assert!(
        ledger
            .iter()
            .all(|it| it.ending == Ending::Cut && it.tokens > 0),
        "{ledger:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_stays_spent_over_a_restart() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system
        .bottle_with("web", &[("claude", 1_000)], |_| {})
        .await?;
    spend(&system, &web, &MESSAGES, 1_200).await?;
    let system = system.restart().await?;
    let answer = MESSAGES.ask(&system, &web).await?;
    assert_refused(&answer, MESSAGES.wire, SPENT);
    assert_eq!(answer.header("x-bot-bottle-used"), Some("1200"));
    assert_eq!(system.provider.totals().calls, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_written_down_before_it_is_forwarded() -> Result<()> {
    let provider = Provider::start(Script {
        first_byte_delay: Duration::from_millis(100),
        ..Script::default()
    })
    .await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let file = File::open(&system)?;
    for way in ways::all() {
        let made = provider.calls().len();
        let (answer, open) = tokio::join!(way.ask(&system, &web), async {
            provider.wait_for(|calls| calls.len() > made).await?;
            file.open_calls()
        });
        assert_eq!(open?, 1, "{}", way.name);
        assert_eq!(answer?.status, 200, "{}", way.name);
        assert_eq!(file.open_calls()?, 0, "{}", way.name);
    }
    // Nothing is forwarded that could not be written down.
    let (called, lock) = (provider.totals().calls, file.lock()?);
    let mut asked = Box::pin(MESSAGES.ask(&system, &web));
    let early = tokio::time::timeout(Duration::from_millis(150), &mut asked).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(provider.totals().calls, called);
    drop(lock);
    assert_eq!(asked.await?.status, 200);
    Ok(())
}
