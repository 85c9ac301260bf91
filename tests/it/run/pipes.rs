//! Behind pipes: what goes in comes out, and the exit code is the command's.

use anyhow::{Result, ensure};
use bb_proto::view::BottleState;
use bb_tests::clients::Client;
use bb_tests::provider::{Provider, Script};

use super::host::{Host, text, wait_until};
use crate::home::skipped;

const TEXT: &str = "Hello from the provider, said in quite a few words.";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_one_is_started_and_that_is_said_once() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let host = Host::before(&provider)?;
    let command = ["run", "--name", "web", "--", "sh", "-c", "cat; exit 7"];
    let output = host.run_with(&command, b"what goes in\n").await?;
    let said = text(&output.stderr);
    ensure!(output.status.code() == Some(7), "{output:?}");
    ensure!(text(&output.stdout) == "what goes in\n", "{output:?}");
    let log = host.home.log().display().to_string();
    ensure!(
        said.starts_with("started bb-controller (pid ") && said.trim_end().ends_with(&log),
        "{said}"
    );
    let output = host.run(&["run", "--name", "api", "--", "true"]).await?;
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let web = host.bottle("web").await?;
    ensure!(web.state == BottleState::Failed && web.exit_code == Some(7));
    let api = host.bottle("api").await?;
    ensure!(api.state == BottleState::Stopped && api.exit_code == Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_commands_own_failure_is_125_to_127() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let host = Host::before(&provider)?;
    let _controller = host.controller()?;
    std::fs::write(host.work().join("text"), "no program")?;
    let cases: [(&[&str], i32, &str); 5] = [
        (&["no-such-command"], 127, "no such command"),
        (&["./text"], 126, "cannot be executed"),
        (&["sh", "-c", "kill -KILL $$"], 137, "was ended by SIGKILL"),
        (&["sh", "-c", "exit 125"], 125, ""),
        (&["--budget", "0", "true"], 125, "at least one token"),
    ];
    for (command, code, said) in cases {
        let output = host.run(&[&["run"][..], command].concat()).await?;
        ensure!(output.status.code() == Some(code), "{command:?} {output:?}");
        ensure!(
            text(&output.stderr).contains(said),
            "{command:?} {output:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_cannot_start_runs_nothing_and_says_why() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let host = Host::before(&provider)?;
    std::fs::write(host.home.settings(), "budgett:\n  claude: 5M\n")?;
    let output = host.run(&["run", "--", "touch", "ran"]).await?;
    ensure!(output.status.code() == Some(125), "{output:?}");
    ensure!(text(&output.stderr).contains("budgett"), "{output:?}");
    ensure!(!host.work().join("ran").exists(), "it ran");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_runs_is_not_taken_twice() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let host = Host::before(&provider)?;
    let _controller = host.controller()?;
    let mut first = host.ctl(&["run", "--name", "web", "--", "cat"]);
    let mut first = first.stdin(std::process::Stdio::piped()).spawn()?;
    wait_until("it runs", async || Ok(host.bottle("web").await.is_ok())).await?;
    let output = host.run(&["run", "--name", "web", "--", "true"]).await?;
    ensure!(output.status.code() == Some(125), "{output:?}");
    ensure!(text(&output.stderr).contains("web"), "{output:?}");
    drop(first.stdin.take());
    ensure!(first.wait().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_says_its_answer_and_nothing_else_and_is_metered() -> Result<()> {
    if let Err(missing) = Client::ClaudeCode.program() {
        skipped(&missing.reason());
        return Ok(());
    }
    let provider = Provider::start(Script::saying(TEXT)).await?;
    let host = Host::before(&provider)?;
    let _controller = host.controller()?;
    let claude = ["--", "claude", "-p", "say hi"];
    let run = [&["run", "--name", "web", "--budget", "200k"][..], &claude].concat();
    let output = host.run(&run).await?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(text(&output.stdout) == format!("{TEXT}\n"), "{output:?}");
    ensure!(output.stderr.is_empty(), "{output:?}");
    let totals = provider.totals();
    ensure!(totals.calls == 1 && totals.finished == 1, "{totals:?}");
    let stated = totals.stated;
    let kinds = [
        stated.input,
        stated.cache_read,
        stated.cache_write,
        stated.output,
    ];
    let spent: u64 = kinds.into_iter().flatten().sum();
    ensure!(host.bottle("web").await?.used_run.0 == spent, "{totals:?}");

    // The prompt alone is more than this.
    let run = [&["run", "--name", "web", "--budget", "5k"][..], &claude].concat();
    let output = host.run(&run).await?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let sentence = "this bottle has spent its token budget; ask the operator to raise it";
    ensure!(
        text(&output.stdout) == format!("API Error: 400 {sentence}\n"),
        "{output:?}"
    );
    ensure!(provider.totals().calls == 1 && host.bottle("web").await?.refusals == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_gets_its_arguments_and_the_sentence_reaches_its_person() -> Result<()> {
    if let Err(missing) = Client::Codex.program() {
        skipped(&missing.reason());
        return Ok(());
    }
    let provider = Provider::start(Script::saying(TEXT)).await?;
    let host = Host::before(&provider)?;
    let _controller = host.controller()?;
    let codex = ["--", "codex", "exec", "--skip-git-repo-check", "say hi"];
    let output = host.run(&[&["run"][..], &codex].concat()).await?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(text(&output.stdout) == format!("{TEXT}\n"), "{output:?}");
    ensure!(provider.totals().finished == 1, "{output:?}");

    let run = [&["run", "--budget", "codex=2k"][..], &codex].concat();
    let output = host.run(&run).await?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let sentence = "ERROR: this bottle has spent its token budget; ask the operator to raise it";
    ensure!(text(&output.stderr).contains(sentence), "{output:?}");
    ensure!(provider.totals().calls == 1 && host.bottle("codex").await?.refusals == 1);
    Ok(())
}
