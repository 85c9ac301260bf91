//! The real clients against the scripted provider, with nothing between.

mod connect;

use std::time::Duration;

use self::connect::Relay;
use super::{Client, Prompt, Way};
use crate::provider::{Ending, Kind, Provider, Script, Totals};

const KEY: &str = "dummy-key";
const TEXT: &str = "Hello from the provider, said in quite a few words.";

/// Calls `test` with each client that is installed; says which ones are not.
async fn each<F>(clients: &[Client], test: impl Fn(Client) -> F)
where
    F: Future<Output = ()>,
{
    for client in clients {
        match client.program() {
            Ok(_) => test(*client).await,
            Err(missing) => println!("{missing}"),
        }
    }
}

#[tokio::test]
async fn every_client_prints_the_providers_text_after_one_call_and_exits_0() {
    each(&Client::ALL, |client| async move {
        let provider = Provider::start(Script::saying(TEXT)).await.unwrap();
        for streamed in [true, false] {
            let prompt = Prompt {
                streamed,
                ..Prompt::new(client, provider.url(), KEY)
            };
            let run = prompt.run().await.unwrap();
            assert_eq!(run.code(), 0, "{run:?}");
            assert_eq!(run.said().text.as_deref(), Some(TEXT), "{run:?}");
            let call = provider.calls().pop().unwrap();
            assert_eq!(call.request.wire, client.wire());
            assert_eq!(call.answer.ending, Some(Ending::Finished));
            let agent = matches!(client, Client::ClaudeCode | Client::Codex);
            assert_eq!(call.request.streamed, streamed || agent);
            let given = ["authorization", "x-api-key", "x-goog-api-key"];
            let mut given = given.iter().filter_map(|name| call.request.header(name));
            assert!(
                given.any(|value| value.ends_with(KEY)),
                "{:?}",
                call.request.headers
            );
        }
        assert_eq!(provider.totals().calls, 2, "{client} asks once a prompt");
    })
    .await;
}

#[tokio::test]
async fn every_client_takes_the_proxy_and_the_ca_it_is_given_and_says_who_it_is() {
    each(&Client::ALL, |client| async move {
        let hosts = Client::ALL.map(Client::host);
        let provider = Provider::start_tls(Script::saying(TEXT), &hosts)
            .await
            .unwrap();
        let relay = Relay::start(client.host(), provider.address()).await;
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        std::fs::write(&ca_file, provider.ca_pem().unwrap()).unwrap();
        let url = format!("http://demo:token@{}", relay.address);
        let way = Way::Proxy { url, ca_file };
        let prompt = Prompt {
            way,
            ..Prompt::new(client, "", KEY)
        };
        let run = prompt.run().await.unwrap();
        assert_eq!(
            (run.code(), run.said().text.as_deref()),
            (0, Some(TEXT)),
            "{run:?}"
        );
        assert_eq!(provider.totals().calls, 1);
        let seen = relay.seen();
        let known: Vec<_> = seen
            .iter()
            .filter(|ask| ask.host == client.host())
            .collect();
        assert!(!known.is_empty());
        let basic = Some("Basic ZGVtbzp0b2tlbg==".to_owned());
        assert!(
            known.iter().all(|ask| ask.authorization == basic),
            "{seen:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn codex_goes_on_over_http_when_its_websocket_is_refused_with_426() {
    each(&[Client::Codex], |client| async move {
        let provider = Provider::start(Script::default()).await.unwrap();
        Prompt::new(client, provider.url(), KEY)
            .run()
            .await
            .unwrap();
        let requests = provider.requests();
        let kinds: Vec<Kind> = requests.iter().map(|call| call.request.kind).collect();
        assert_eq!(kinds, [Kind::Upgrade, Kind::Call]);
        let keys: Vec<Option<&str>> = requests
            .iter()
            .map(|call| call.request.header("authorization"))
            .collect();
        assert_eq!(keys, [Some("Bearer dummy-key"); 2], "both carry the key");
    })
    .await;
}

#[tokio::test]
async fn a_neutral_400_is_one_call_and_an_error_for_every_client() {
    const SENTENCE: &str = "this bottle has spent its token budget";
    each(&Client::ALL, |client| async move {
        let body = format!(
            r#"{{"type":"error","error":{{"type":"invalid_request_error","code":"invalid_prompt","status":"INVALID_ARGUMENT","param":null,"message":"{SENTENCE}"}}}}"#
        );
        let fault = crate::provider::Fault::Status {
            status: 400,
            body: Some(body),
            headers: vec![("x-should-retry".to_owned(), "false".to_owned())],
        };
        let provider = Provider::start(Script::failing(fault)).await.unwrap();
        let run = Prompt::new(client, provider.url(), KEY).run().await.unwrap();
        assert_eq!(run.code(), 1, "{run:?}");
        let error = run.said().error.unwrap_or_default();
        assert!(error.contains(SENTENCE), "{run:?}");
        assert_eq!(provider.totals().calls, 1, "{client}");
    })
    .await;
}

#[tokio::test]
async fn a_runaway_agent_goes_on_until_its_process_group_is_killed() {
    let agents = [Client::ClaudeCode, Client::Codex, Client::AnthropicSdk];
    each(&agents, |client| async move {
        let provider = Provider::start(Script::runaway()).await.unwrap();
        let mut prompt = Prompt::new(client, provider.url(), KEY);
        prompt.arguments = match client {
            Client::AnthropicSdk => vec!["--agent".to_owned()],
            _ => Vec::new(),
        };
        let running = prompt.start().unwrap();
        provider
            .wait_for_totals(|totals| totals.finished >= 5)
            .await
            .unwrap();
        running.signal(rustix::process::Signal::KILL).unwrap();
        let run = running.finish().await.unwrap();
        assert_eq!((run.code(), run.timed_out), (128 + 9, false), "{run:?}");
        provider
            .wait_for_totals(|totals| totals.open == 0)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_too_long_is_ended_with_all_its_processes() {
    each(&[Client::Codex, Client::GeminiSdk], |client| async move {
        let script = Script {
            first_byte_delay: Duration::from_hours(1),
            ..Script::default()
        };
        let provider = Provider::start(script).await.unwrap();
        let mut prompt = Prompt::new(client, provider.url(), KEY);
        prompt.limit = Duration::from_secs(2);
        let running = prompt.start().unwrap();
        let group = rustix::process::Pid::from_raw(running.pid()).unwrap();
        let run = running.finish().await.unwrap();
        assert!(run.timed_out);
        assert_eq!(run.code(), 128 + 9);
        gone(group).await;
        let seen = |totals: &Totals| totals.calls == 0 || totals.aborted == totals.calls;
        provider.wait_for_totals(seen).await.unwrap();
    })
    .await;
}

/// Waits until nothing is left of a process group; orphans are reaped by somebody else.
async fn gone(group: rustix::process::Pid) {
    let empty = async {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while rustix::process::test_kill_process_group(group) != Err(rustix::io::Errno::SRCH) {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), empty)
        .await
        .expect("the group ends");
}

#[test]
fn a_client_that_is_not_installed_is_skipped_in_words() {
    let missing = super::Missing {
        client: Client::Codex,
    };
    assert_eq!(
        missing.to_string(),
        "skipped: codex is not there; scripts/clients installs it"
    );
}

#[tokio::test]
async fn codex_asks_over_a_websocket_where_there_is_one() {
    each(&[Client::Codex], |client| async move {
        let provider = Provider::start_with(crate::provider::Options {
            websockets: true,
            ..crate::provider::Options::default()
        })
        .await
        .unwrap();
        let run = Prompt::new(client, provider.url(), KEY)
            .run()
            .await
            .unwrap();
        let requests = provider.requests();
        let kinds: Vec<Kind> = requests.iter().map(|call| call.request.kind).collect();
        // The warm-up has a connection of its own here.
        let each = [Kind::Upgrade, Kind::Call];
        assert_eq!(kinds, [each, each].concat(), "{run:?}");
        assert_eq!(run.code(), 0, "{run:?}");
    })
    .await;
}
