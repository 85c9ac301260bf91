//! A bottle, from its registration until it is forgotten.

use anyhow::Result;
use insta::assert_snapshot;

use super::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn a_bottle_is_registered_looked_at_and_pointed_at_the_proxy() -> Result<()> {
    let mut session = Session::begin("budget:\n  claude: 5M\n").await?;
    session.ctl("list")?;
    session.ctl("register web --agent reviewer --parent base --budget claude=200k")?;
    session.ctl("register web")?;
    session.ctl("register web --renew")?;
    session.ctl("register late --dry-run")?;
    session.ctl("list")?;
    session.ctl("show web")?;
    session.ctl("show base")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl list
    no bottles
    $ bb-ctl register web --agent reviewer --parent base --budget claude=200k
    registered web, run RUN
    token     TOKEN
    base url  http://127.0.0.1:PORT
    $ bb-ctl register web
    ! error: a bottle named web is running
    ! hint: choose another name, or end it first: bb-ctl stop web
    [1]
    $ bb-ctl register web --renew
    registered web, run RUN
    token     TOKEN
    base url  http://127.0.0.1:PORT
    $ bb-ctl register late --dry-run
    would register late
    $ bb-ctl list
    BOTTLE  STATE     AGENT     PROVIDER  USED/LIMIT   %  BY      /MIN  LEFT  CALLS  ENFORCED
    base    declared            claude          0/5M  0%  host       0     -      0  advisory
    web     running   reviewer  claude        0/200k  0%  launch     0     -      0  advisory
    $ bb-ctl show web
    web: running, advisory
      run       RUN, began AGO
      agent     reviewer
      parents   base
      used      0 in this run, 0 ever, 0 in the last minute
      binds     claude: launch:RUN/claude/run, then host/claude/total

    BUDGET                                                  ROLE     USED/LIMIT   %  PENDING  /MIN  LEFT  FROM
    launch:RUN/claude/run  binds        0/200k  0%        0     0     -  launch of web
    host/claude/total                                       counted        0/5M  0%        0     0     -  settings line 14
    $ bb-ctl show base
    base: declared, advisory
      children  web
      used      0 in this run, 0 ever, 0 in the last minute
      binds     claude: host/claude/total

    BUDGET             ROLE   USED/LIMIT   %  PENDING  /MIN  LEFT  FROM
    host/claude/total  binds        0/5M  0%        0     0     -  settings line 14
    "#);
    session.ctl("env web --client claude")?;
    session.ctl("env web --client codex")?;
    session.ctl("env web")?;
    session.ctl("env web --client emacs")?;
    session.ctl("register api --client claude --provider claude")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl env web --client claude
    unset ANTHROPIC_API_KEY
    unset CLAUDE_CODE_OAUTH_TOKEN
    unset CLAUDE_CODE_USE_BEDROCK
    unset CLAUDE_CODE_USE_VERTEX
    export ANTHROPIC_AUTH_TOKEN='TOKEN'
    export ANTHROPIC_BASE_URL='http://127.0.0.1:PORT/claude'
    export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC='1'
    $ bb-ctl env web --client codex
    unset CODEX_API_KEY
    export OPENAI_API_KEY='TOKEN'
    # arguments, right after the program: -c 'model_provider="bottle"' -c 'model_providers.bottle.name="bottle"' -c 'model_providers.bottle.base_url="http://127.0.0.1:PORT/codex/v1"' -c 'model_providers.bottle.env_key="OPENAI_API_KEY"' -c 'model_providers.bottle.wire_api="responses"' -c features.plugins=false -c analytics.enabled=false -c check_for_update_on_startup=false
    $ bb-ctl env web
    unset ANTHROPIC_AUTH_TOKEN
    unset GOOGLE_API_KEY
    unset GOOGLE_GENAI_USE_VERTEXAI
    export ANTHROPIC_API_KEY='TOKEN'
    export ANTHROPIC_BASE_URL='http://127.0.0.1:PORT/claude'
    export GEMINI_API_KEY='TOKEN'
    export GOOGLE_GEMINI_BASE_URL='http://127.0.0.1:PORT/gemini'
    export OPENAI_API_KEY='TOKEN'
    export OPENAI_BASE_URL='http://127.0.0.1:PORT/codex/v1'
    $ bb-ctl env web --client emacs
    ! error: there is no recipe for the client "emacs"
    ! hint: the clients are claude, codex, gemini, opencode, sdk
    [1]
    $ bb-ctl register api --client claude --provider claude
    # registered api, run RUN
    unset ANTHROPIC_API_KEY
    unset CLAUDE_CODE_OAUTH_TOKEN
    unset CLAUDE_CODE_USE_BEDROCK
    unset CLAUDE_CODE_USE_VERTEX
    export ANTHROPIC_AUTH_TOKEN='TOKEN'
    export ANTHROPIC_BASE_URL='http://127.0.0.1:PORT/claude'
    export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC='1'
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cutoff_is_one_line_and_done_when_it_already_is() -> Result<()> {
    let mut session = Session::begin("").await?;
    session.run("bb-ctl register web && bb-ctl register nightly")?;
    session.ctl("cutoff web --why 'runs away' --dry-run")?;
    session.ctl("cutoff web --why 'runs away'")?;
    session.ctl("cutoff web")?;
    session.ctl("show web")?;
    session.ctl("cutoff web nightly")?;
    session.ctl("cutoff nobody web")?;
    session.ctl("restore web")?;
    session.ctl("restore web nightly")?;
    assert_eq!(session.message("web").await?, 200);
    session.ctl("stop web --dry-run")?;
    session.ctl("remove web")?;
    session.ctl("stop web")?;
    session.ctl("stop web")?;
    session.ctl("cutoff web")?;
    session.ctl("remove web")?;
    session.ctl("remove web")?;
    session.ctl("list --running")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl cutoff web --why 'runs away' --dry-run
    would cut off web: 0 streams would end, new calls would be refused
    $ bb-ctl cutoff web --why 'runs away'
    cut off web: 0 streams ended in SPAN, new calls refused
    $ bb-ctl cutoff web
    web is cut off already
    $ bb-ctl show web
    web: cutoff, advisory
      run       RUN, began AGO
      used      0 in this run, 0 ever, 0 in the last minute
      closed    all by the operator, AGO: runs away

    no budget is on its path: nothing limits it
    $ bb-ctl cutoff web nightly
    web is cut off already
    cut off nightly: 0 streams ended in SPAN, new calls refused
    $ bb-ctl cutoff nobody web
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl restore web
    restored web: new calls admitted
    $ bb-ctl restore web nightly
    web is not cut off
    restored nightly: new calls admitted
    $ bb-ctl stop web --dry-run
    would stop web: 0 streams would end
    $ bb-ctl remove web
    ! error: web is running
    ! hint: bb-ctl stop web, then bb-ctl remove web
    [1]
    $ bb-ctl stop web
    stopped web: 0 streams ended in SPAN; web has no process of ours: its token is no longer valid
    $ bb-ctl stop web
    web has ended already
    $ bb-ctl cutoff web
    ! error: web has ended: it has no egress
    [1]
    $ bb-ctl remove web
    removed web; the ledger keeps its calls
    $ bb-ctl remove web
    ! error: there is no bottle named web
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl list --running
    BOTTLE   STATE    PROVIDER  USED/LIMIT  %  BY  /MIN  LEFT  CALLS  ENFORCED
    nightly  running  -                  0  -  -      0     -      0  advisory
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_says_who_did_what_and_why() -> Result<()> {
    let mut session = Session::begin("").await?;
    session.run("bb-ctl register web && bb-ctl cutoff web --why 'it is late'")?;
    session.run("bb-ctl restore web && bb-ctl budget set web claude 5k --why 'for today'")?;
    session.ctl("audit")?;
    session.ctl("audit --bottle web --match CUT")?;
    session.ctl("audit --limit 1")?;
    session.ctl("audit --match nothing-like-it")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl audit
    WHEN  system         the controller started, version 0.1.0
    WHEN  operator UID     web registered
    WHEN  operator UID     web cut off; 0 streams ended: it is late
    WHEN  operator UID     web restored
    WHEN  operator UID     bottle:web claude (total) set to 5000: for today
    $ bb-ctl audit --bottle web --match CUT
    WHEN  operator UID     web cut off; 0 streams ended: it is late
    $ bb-ctl audit --limit 1
    WHEN  operator UID     bottle:web claude (total) set to 5000: for today
    ! there are older entries: --before 5
    $ bb-ctl audit --match nothing-like-it
    no entries
    "#);
    Ok(())
}
