//! Many calls at once, of many bottles: nothing is lost, nothing is counted twice.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use bb_proto::reply::Ending;
use bb_tests::harness::{Bottle, System};
use bb_tests::provider::{Chunking, Ending as Ended, Fault, On, Provider, Script};

use super::charges::{budget, charges};
use super::ways::{self, Way, together, within};

const BOTTLES: usize = 4;
const CLIENTS_EACH: usize = 4;
const CALLS_EACH: usize = 12;

/// Makes calls of every way one after the other; every third client leaves in the middle.
async fn client(system: &System, bottle: &Bottle, number: usize) -> Result<()> {
    let all: Vec<Way> = ways::all().collect();
    for call in 0..CALLS_EACH {
        let way = all[(number + call) % all.len()];
        let mut answer = way.open(system, bottle).await?;
        if (number + call).is_multiple_of(3) {
            within(answer.next()).await??;
        } else {
            within(answer.rest()).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_of_a_crowd_is_the_providers_own_count() -> Result<()> {
    let script = Script {
        chunking: Chunking::Split(300),
        ..Script::slow(15, Duration::from_millis(1))
    };
    let provider = Provider::start(script).await?;
    // The ones of one model break off.
    let broken = Script::failing(Fault::Drop { after: 8 });
    provider.set_script_on(On::Model("gemini-2.5-flash".to_owned()), broken);
    let system = System::start(&provider, "budget:\n  all: 100M\n").await?;
    let mut bottles = Vec::new();
    for number in 0..BOTTLES {
        bottles.push(system.bottle(&format!("b{number}")).await?);
    }
    let clients = bottles
        .iter()
        .flat_map(|it| std::iter::repeat_n(it, CLIENTS_EACH));
    let clients = clients
        .enumerate()
        .map(|(number, it)| client(&system, it, number));
    for done in together(clients).await {
        done?;
    }
    system.settled().await?;

    let mut sum = 0;
    let mut charged: BTreeMap<u64, i64> = BTreeMap::new();
    for bottle in &bottles {
        let ledger = charges(&system, bottle).await?;
        assert_eq!(ledger.len(), CLIENTS_EACH * CALLS_EACH);
        sum += ledger.iter().map(|it| it.tokens).sum::<u64>();
        for charge in ledger.iter().filter(|it| !it.is_estimated) {
            assert_eq!(charge.ending, Ending::Complete);
            *charged.entry(charge.tokens).or_default() += 1;
        }
        assert!(ledger.iter().all(|it| it.tokens > 0), "{ledger:?}");
    }
    let host = budget(&system, "host", "all").await?;
    assert_eq!((host.used.0, host.pending.0), (sum, 0));
    let calls = provider.calls();
    assert_eq!(calls.len(), BOTTLES * CLIENTS_EACH * CALLS_EACH);
    let finished = |it: &&bb_tests::provider::Call| it.answer.ending == Some(Ended::Finished);
    for call in calls.iter().filter(finished) {
        *charged.entry(call.answer.stated.total()).or_default() -= 1;
    }
    charged.retain(|_, count| *count != 0);
    assert_eq!(
        charged,
        BTreeMap::new(),
        "charges without a call, or calls without a charge"
    );
    let broken = calls
        .iter()
        .filter(|it| it.answer.ending == Some(Ended::Faulted));
    assert!(broken.count() > 20 && calls.iter().filter(finished).count() > 60);
    Ok(())
}
