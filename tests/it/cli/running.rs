//! Commands as bottles.

use anyhow::{Context as _, Result};
use insta::assert_snapshot;

use super::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_as_a_bottle_and_its_exit_code_is_ours() -> Result<()> {
    let mut session = Session::begin("").await?;
    session.ctl("run -- sh -c 'echo said; echo wrong >&2; exit 7'")?;
    session.ctl("run --name job --budget 200k --agent a --parent base -- true")?;
    session.ctl("run --name job -- sh -c 'kill -TERM $$'")?;
    session.ctl("run -- no-such-command")?;
    session.ctl("run -- /etc/passwd")?;
    session.ctl("run")?;
    session.ctl("run --name 'a b' -- true")?;
    session.ctl("run --budget lots -- true")?;
    session.ctl("run --provider unknown -- true")?;
    session.ctl("run --client emacs -- true")?;
    session.ctl("list")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl run -- sh -c 'echo said; echo wrong >&2; exit 7'
    said
    ! bottle sh, named after the command; --name gives it another
    ! wrong
    [7]
    $ bb-ctl run --name job --budget 200k --agent a --parent base -- true
    $ bb-ctl run --name job -- sh -c 'kill -TERM $$'
    ! bottle job was ended by SIGTERM
    [143]
    $ bb-ctl run -- no-such-command
    ! error: no-such-command: no such command
    [127]
    $ bb-ctl run -- /etc/passwd
    ! error: /etc/passwd cannot be executed
    [126]
    $ bb-ctl run
    ! error: the following required arguments were not provided: <CMD>...
    ! hint: usage: bb-ctl run <CMD>...
    [125]
    $ bb-ctl run --name 'a b' -- true
    ! error: invalid value 'a b' for '--name <BOTTLE>': ' ' is not allowed in a name; a name begins with a letter or digit and goes on with letters, digits, '.', '_' and '-'
    [125]
    $ bb-ctl run --budget lots -- true
    ! error: invalid value 'lots' for '--budget <[PROVIDER=]TOKENS>': "lots" is no number of tokens; write a whole number or one like 200k, 1.5M, 2G
    [125]
    $ bb-ctl run --provider unknown -- true
    ! error: there is no provider unknown
    ! hint: the providers are cerebras, claude, codex, deepseek, gemini, groq, mistral, openrouter, together, vercel, vertex, xai
    [125]
    $ bb-ctl run --client emacs -- true
    ! error: there is no recipe for the client "emacs"
    ! hint: the clients are claude, codex, gemini, opencode, sdk
    [125]
    $ bb-ctl list
    BOTTLE  STATE        PROVIDER  USED/LIMIT  %  BY  /MIN  LEFT  CALLS  ENFORCED
    job     failed(143)  -                  0  -  -      0     -      0  advisory
    sh      failed(7)    -                  0  -  -      0     -      0  advisory
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_finds_itself_pointed_at_the_proxy_and_is_metered() -> Result<()> {
    let mut session = Session::begin("").await?;
    let asks = r#"curl -s -o /dev/null -w "%{http_code}" -H "x-api-key: $ANTHROPIC_API_KEY" -d "{\"model\":\"claude-opus-4-8\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}" "$ANTHROPIC_BASE_URL/v1/messages""#;
    if session.run("curl --version")?.status.code() != Some(0) {
        crate::home::skipped("there is no curl");
        return Ok(());
    }
    let output = session.run(&format!("bb-ctl run --name asks -- sh -c '{asks}'"))?;
    assert_eq!(String::from_utf8(output.stdout)?, "200");
    session.ctl("usage")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl usage
    BOTTLE  PROVIDER  CALLS  INPUT  CACHE_R  CACHE_W  OUTPUT  CHARGE  ESTIMATED
    asks    claude        1     60        0        0       9      69          0
    total                 1     60        0        0       9      69          0
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_one_is_started_and_found_by_the_next() -> Result<()> {
    let mut session = Session::without_controller("").await?;
    session.ctl("run --name first -- true")?;
    session.ctl("run --name second -- true")?;
    session.ctl("list")?;
    let hello = session.json("status")?;
    let pid = hello[0]["pid"].as_u64().context("a pid")?;
    session.ctl("shutdown --yes")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl run --name first -- true
    ! started bb-controller (pid PID), log: ~/home/log/controller.log
    $ bb-ctl run --name second -- true
    $ bb-ctl list
    BOTTLE  STATE    PROVIDER  USED/LIMIT  %  BY  /MIN  LEFT  CALLS  ENFORCED
    first   stopped  -                  0  -  -      0     -      0  advisory
    second  stopped  -                  0  -  -      0     -      0  advisory
    $ bb-ctl shutdown --yes
    the controller (pid PID) has ended
    "#);
    // It is nobody's child here: it has ended when its process is gone.
    let begun = std::time::Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}/exe")).exists() {
        assert!(begun.elapsed() < bb_tests::harness::WAIT_LIMIT);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // A controller that cannot start says why.
    std::fs::write(session.place.home.settings(), "budget:\n  claud: 5M\n")?;
    session.ctl("run -- true")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl run -- true
    ! error: the controller ended as it started: one mistake in the settings ~/home/settings.yml; ~/home/settings.yml:2:3: unknown provider "claud"; hint: did you mean "claude"? There are claude, codex, gemini, openrouter, xai, deepseek, mistral, groq, vercel, vertex, together, cerebras
    ! hint: its log: ~/home/log/controller.log
    [125]
    "#);
    Ok(())
}
