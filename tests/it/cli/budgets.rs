//! Budgets: set, raised, spent.

use anyhow::Result;
use insta::assert_snapshot;

use super::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_set_raised_and_taken_back() -> Result<()> {
    let mut session = Session::begin("budget:\n  claude: 5M\n").await?;
    session.ctl("budget list")?;
    session.ctl("budget set web claude 200k --why 'for a day'")?;
    session.ctl("budget set host/claude/total 6M")?;
    session.ctl("budget set web all 1G --soft --dry-run")?;
    session.ctl("budget set web/claude 300k --window run")?;
    session.ctl("budget raise web/claude +1M")?;
    session.ctl("budget raise web/claude/total +1M")?;
    session.ctl("budget list")?;
    session.ctl("budget list --bottle nobody")?;
    session.ctl("budget unset host/claude")?;
    session.ctl("budget unset host/claude")?;
    session.ctl("budget unset web/claude/run")?;
    session.ctl("budget unset web/claude")?;
    session.ctl("budget unset web/claude")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl budget list
    BUDGET             USED/LIMIT   %  CAP   PENDING  /MIN  LEFT  FROM
    host/claude/total        0/5M  0%  hard        0     0     -  settings line 14
    $ bb-ctl budget set web claude 200k --why 'for a day'
    set bottle:web/claude/total to 200k: 0/200k used, 0%
    $ bb-ctl budget set host/claude/total 6M
    set host/claude/total to 6M: 0/6M used, 0% (the limit was 5M)
    $ bb-ctl budget set web all 1G --soft --dry-run
    would set bottle:web/all/total to 1G
    $ bb-ctl budget set web/claude 300k --window run
    set bottle:web/claude/run to 300k: 0/300k used, 0%
    $ bb-ctl budget raise web/claude +1M
    ! error: web/claude could be any of 2 budgets
    ! hint: say which: bottle:web/claude/total, bottle:web/claude/run
    [1]
    $ bb-ctl budget raise web/claude/total +1M
    raised bottle:web/claude/total by 1M: 0/1.2M used, 0% (the limit was 200k)
    $ bb-ctl budget list
    BUDGET                   USED/LIMIT   %  CAP   PENDING  /MIN  LEFT  FROM            HIDES
    bottle:web/claude/total      0/1.2M  0%  hard        0     0     -  command, uid UID
    bottle:web/claude/run        0/300k  0%  hard        0     0     -  command, uid UID
    host/claude/total              0/6M  0%  hard        0     0     -  command, uid UID  settings line 14
    $ bb-ctl budget list --bottle nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl budget unset host/claude
    unset host/claude/total, that of settings line 14 holds again, 5M: 0/5M used, 0% (the limit was 6M)
    $ bb-ctl budget unset host/claude
    ! error: host claude (total) was not set by command
    ! hint: it stands in settings.yml, line 14
    [1]
    $ bb-ctl budget unset web/claude/run
    unset bottle:web/claude/run, none of that key is left (the limit was 300k)
    $ bb-ctl budget unset web/claude
    unset bottle:web/claude/total, none of that key is left (the limit was 1.2M)
    $ bb-ctl budget unset web/claude
    ! error: web/claude is no budget
    ! hint: bb-ctl budget list shows them all; bb-ctl budget set makes one
    [1]
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bottles_budgets_are_explained() -> Result<()> {
    let mut session = Session::begin("budget:\n  claude: 5M\n  all: 20M\n").await?;
    session.run("bb-ctl register web --budget claude=200 && bb-ctl register api")?;
    session.run("bb-ctl budget set bottle:web/claude/total 1M --soft")?;
    session.ctl("budget explain web")?;
    assert_eq!(session.message("web").await?, 200);
    session.ctl("budget explain web --provider claude")?;
    assert_eq!(session.message("web").await?, 200);
    session.ctl("budget explain web --provider claude")?;
    session.ctl("budget explain api --provider codex")?;
    session.run("bb-ctl cutoff api")?;
    session.ctl("budget explain api --provider codex")?;
    session.run("bb-ctl stop api --yes")?;
    session.ctl("budget explain api --provider codex")?;
    session.ctl("budget explain api --provider unknown")?;
    session.ctl("budget explain nobody")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl budget explain web
    claude: a call passes if it fits into the 200 that are left of launch:RUN/claude/run
       BUDGET                                                  ROLE     USED/LIMIT  LEFT  PENDING  CACHE  FROM
    1  launch:RUN/claude/run  binds         0/200   200        0      -  launch of web
       bottle:web/claude/total                                 warns          0/1M    1M        0      -  command, uid UID
    2  host/all/total                                          counted       0/20M   20M        0      -  settings line 15
       host/claude/total                                       counted        0/5M    5M        0      -  settings line 14
    $ bb-ctl budget explain web --provider claude
    claude: a call passes if it fits into the 100 that are left of launch:RUN/claude/run
       BUDGET                                                  ROLE     USED/LIMIT   LEFT  PENDING  CACHE  FROM
    1  launch:RUN/claude/run  binds       100/200    100        0     0%  launch of web
       bottle:web/claude/total                                 warns        100/1M   999k        0     0%  command, uid UID
    2  host/all/total                                          counted     100/20M  19.9M        0     0%  settings line 15
       host/claude/total                                       counted      100/5M  4.99M        0     0%  settings line 14
    $ bb-ctl budget explain web --provider claude
    claude: cut off, launch:RUN/claude/run is spent: bb-ctl budget raise launch:RUN/claude/run +TOKENS
       BUDGET                                                  ROLE     USED/LIMIT   LEFT  PENDING  CACHE  FROM
    1  launch:RUN/claude/run  binds       200/200      0        0     0%  launch of web
       bottle:web/claude/total                                 warns        200/1M   999k        0     0%  command, uid UID
    2  host/all/total                                          counted     200/20M  19.9M        0     0%  settings line 15
       host/claude/total                                       counted      200/5M  4.99M        0     0%  settings line 14
    $ bb-ctl budget explain api --provider codex
    codex: a call passes if it fits into the 19.9M that are left of host/all/total
       BUDGET          ROLE   USED/LIMIT   LEFT  PENDING  CACHE  FROM
    1  host/all/total  binds     200/20M  19.9M        0     0%  settings line 15
    $ bb-ctl budget explain api --provider codex
    codex: cut off by the operator: bb-ctl restore api
       BUDGET          ROLE   USED/LIMIT   LEFT  PENDING  CACHE  FROM
    1  host/all/total  binds     200/20M  19.9M        0     0%  settings line 15
    $ bb-ctl budget explain api --provider codex
    codex: no call passes: api has ended
       BUDGET          ROLE   USED/LIMIT   LEFT  PENDING  CACHE  FROM
    1  host/all/total  binds     200/20M  19.9M        0     0%  settings line 15
    $ bb-ctl budget explain api --provider unknown
    ! error: there is no provider unknown
    ! hint: the providers are cerebras, claude, codex, deepseek, gemini, groq, mistral, openrouter, together, vercel, vertex, xai
    [1]
    $ bb-ctl budget explain nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_asked_for_before_it_is_made() -> Result<()> {
    let mut session = Session::begin("budget:\n  claude: 5M\n").await?;
    session.run("bb-ctl register web --budget claude=200")?;
    session.ctl("budget check web claude 200")?;
    session.ctl("budget check web claude 201")?;
    session.ctl("budget check web codex 1G")?;
    assert_eq!(session.message("web").await?, 200);
    session.ctl("budget check web claude 150")?;
    session.ctl("budget check web claude 100")?;
    session.run("bb-ctl cutoff web")?;
    session.ctl("budget check web claude 1")?;
    session.ctl("budget check web claude 0")?;
    session.ctl("budget check nobody claude 1")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl budget check web claude 200
    it would go
    $ bb-ctl budget check web claude 201
    it would be over budget: launch:RUN/claude/run has 0/200
    [3]
    $ bb-ctl budget check web codex 1G
    it would go
    $ bb-ctl budget check web claude 150
    it would be over budget: launch:RUN/claude/run has 100/200
    [3]
    $ bb-ctl budget check web claude 100
    it would go
    $ bb-ctl budget check web claude 1
    it would be refused: the operator has cut the bottle off
    [3]
    $ bb-ctl budget check web claude 0
    ! error: a call costs at least one token
    [1]
    $ bb-ctl budget check nobody claude 1
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_outside_the_proxy_is_charged_once() -> Result<()> {
    let mut session =
        Session::begin("budget:\n  claude: 5M\n  codex: 1k\nbottles:\n  base:\n    agent: a\n")
            .await?;
    session.run("bb-ctl register web")?;
    let id = "019aa0b2-6f00-7000-8000-0000000000c9";
    session.ctl("budget charge web claude 40k --dry-run")?;
    session.ctl(&format!(
        "budget charge web claude 40k --id {id} --why 'a night without the proxy'"
    ))?;
    session.ctl(&format!("budget charge web claude 40k --id {id}"))?;
    session.ctl(&format!("budget charge web codex 40k --id {id}"))?;
    session.ctl(
        "budget charge web claude --input 400 --cache-read 30k --output 900 --reasoning 200",
    )?;
    session.ctl("budget charge web codex 1k")?;
    session.ctl("budget check web codex 1")?;
    for line in [
        "budget charge web claude",
        "budget charge web claude 5 --input 5",
        "budget charge web claude 0",
        "budget charge web claude -5",
        "budget charge web claude 9007199254740993",
        "budget charge web claude --output 5 --reasoning 6",
        "budget charge nobody claude 5",
        "budget charge base claude 5",
        "budget charge web unknown 5",
        "budget charge web claude 5 --id x",
    ] {
        session.ctl(line)?;
    }
    session.ctl("audit --match charged")?;
    session.ctl("verify")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl budget charge web claude 40k --dry-run
    would charge 40k to web at claude
    $ bb-ctl budget charge web claude 40k --id RUN --why 'a night without the proxy'
    charged 40k to web at claude
    $ bb-ctl budget charge web claude 40k --id RUN
    40k were charged to web at claude before, by the same id
    $ bb-ctl budget charge web codex 40k --id RUN
    ! error: the id RUN came before with something else
    ! hint: make a new id for every charge
    [1]
    $ bb-ctl budget charge web claude --input 400 --cache-read 30k --output 900 --reasoning 200
    charged 31.3k to web at claude
    $ bb-ctl budget charge web codex 1k
    charged 1k to web at codex
    $ bb-ctl budget check web codex 1
    it would be over budget: host/codex/total has 1k/1k
    [3]
    $ bb-ctl budget charge web claude
    ! error: the following required arguments were not provided: <TOKENS>
    ! hint: usage: bb-ctl budget charge <BOTTLE> <PROVIDER> <TOKENS>
    [2]
    $ bb-ctl budget charge web claude 5 --input 5
    ! error: the argument '[TOKENS]' cannot be used with '--input <TOKENS>'
    ! hint: usage: bb-ctl budget charge <BOTTLE> <PROVIDER> <TOKENS>
    [2]
    $ bb-ctl budget charge web claude 0
    ! error: these tokens cost nothing
    ! hint: give at least one token; the provider's weights make usage a charge
    [1]
    $ bb-ctl budget charge web claude -5
    ! error: unexpected argument '-5' found
    ! hint: to pass '-5' as a value, use '-- -5'
    [2]
    $ bb-ctl budget charge web claude 9007199254740993
    ! error: invalid value '9007199254740993' for '[TOKENS]': 9007199254740993 is more tokens than a budget can hold (2^53)
    [2]
    $ bb-ctl budget charge web claude --output 5 --reasoning 6
    ! error: `reasoning` is a part of `output`, and cannot be more
    ! hint: add the tokens of reasoning to output
    [1]
    $ bb-ctl budget charge nobody claude 5
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles; bb-ctl register makes one
    [1]
    $ bb-ctl budget charge base claude 5
    ! error: there is no bottle named base
    ! hint: bb-ctl list shows all bottles; bb-ctl register makes one
    [1]
    $ bb-ctl budget charge web unknown 5
    ! error: there is no provider unknown
    ! hint: the providers are cerebras, claude, codex, deepseek, gemini, groq, mistral, openrouter, together, vercel, vertex, xai
    [1]
    $ bb-ctl budget charge web claude 5 --id x
    ! error: invalid value 'x' for '--id <UUID>': invalid character: found `x` at 0
    [2]
    $ bb-ctl audit --match charged
    WHEN  operator UID     web: 40000 tokens charged that were spent outside the proxy at claude: a night without the proxy
    WHEN  operator UID     web: 31300 tokens charged that were spent outside the proxy at claude
    WHEN  operator UID     web: 1000 tokens charged that were spent outside the proxy at codex
    $ bb-ctl verify
    the ledger agrees: 3 entries and 8 balances looked at in SPAN
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_cannot_be_is_refused_in_words() -> Result<()> {
    let mut session = Session::begin("").await?;
    for line in [
        "budget set host claude 0",
        "budget set host claude -5",
        "budget set host claude 1.5",
        "budget set host claude 9007199254740993",
        "budget set host claude lots",
        "budget set host unknown 5M",
        "budget set host claude 5M --window run",
        "budget set host claude 5M --window day",
        "budget set host claude 5M --soft --ceiling",
        "budget set host 5M",
        "budget raise host/claude 5",
        "register web --budget 0",
        "register web --budget unknown=5",
        "register web --budget claude=1 --budget claude=2",
    ] {
        session.ctl(line)?;
    }
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl budget set host claude 0
    ! error: a budget of zero lets nothing pass
    ! hint: give at least one token; to close a bottle: bb-ctl cutoff NAME
    [1]
    $ bb-ctl budget set host claude -5
    ! error: "-5" is no number of tokens; write a whole number or one like 200k, 1.5M, 2G
    [2]
    $ bb-ctl budget set host claude 1.5
    ! error: 1.5 is not a whole number of tokens
    [2]
    $ bb-ctl budget set host claude 9007199254740993
    ! error: 9007199254740993 is more tokens than a budget can hold (2^53)
    [2]
    $ bb-ctl budget set host claude lots
    ! error: "lots" is no number of tokens; write a whole number or one like 200k, 1.5M, 2G
    [2]
    $ bb-ctl budget set host unknown 5M
    ! error: there is no provider unknown
    ! hint: the providers are cerebras, claude, codex, deepseek, gemini, groq, mistral, openrouter, together, vercel, vertex, xai
    [1]
    $ bb-ctl budget set host claude 5M --window run
    ! error: the window run is for launches and bottles only, not for host
    [2]
    $ bb-ctl budget set host claude 5M --window day
    set host/claude/day to 5M: 0/5M used, 0%
    $ bb-ctl budget set host claude 5M --soft --ceiling
    ! error: a soft budget blocks nothing, so it cannot be a ceiling
    [1]
    $ bb-ctl budget set host 5M
    ! error: host names no provider
    ! hint: bb-ctl budget set host all 5M
    [2]
    $ bb-ctl budget raise host/claude 5
    raised host/claude/day by 5: 0/5M used, 0% (the limit was 5M)
    $ bb-ctl register web --budget 0
    ! error: invalid value '0' for '--budget <[PROVIDER=]TOKENS>': a budget has at least one token
    [2]
    $ bb-ctl register web --budget unknown=5
    ! error: there is no provider unknown
    ! hint: the providers are cerebras, claude, codex, deepseek, gemini, groq, mistral, openrouter, together, vercel, vertex, xai
    [1]
    $ bb-ctl register web --budget claude=1 --budget claude=2
    ! error: two budgets for claude
    ! hint: give one budget a provider
    [1]
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_cuts_off_says_so_and_opens_with_a_raise() -> Result<()> {
    let mut session = Session::begin("").await?;
    session.run("bb-ctl register web --budget claude=180 && bb-ctl register other")?;
    assert_eq!(session.message("web").await?, 200);
    assert_eq!(session.message("web").await?, 200);
    assert_eq!(session.message("web").await?, 400);
    assert_eq!(session.message("other").await?, 200);
    session.ctl("list")?;
    session.ctl("show web")?;
    session.ctl("restore web")?;
    session.ctl("budget raise web/claude 1k --dry-run")?;
    session.ctl("budget raise web/claude 1k")?;
    assert_eq!(session.message("web").await?, 200);
    session.ctl("usage")?;
    session.ctl("usage --by model")?;
    session.ctl("usage --by call --bottle web --limit 2")?;
    session.ctl("usage --bottle nobody")?;
    session.ctl("audit --bottle web")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl list
    BOTTLE  STATE           PROVIDER  USED/LIMIT     %  BY      /MIN   LEFT  CALLS  ENFORCED
    other   running         claude           100     -  -        100      -      0  keyed
    web     cutoff(claude)  claude       200/180  111%  launch   200  spent      0  keyed
    $ bb-ctl show web
    web: cutoff(claude), warned, keyed
      run       RUN, began AGO
      used      200 in this run, 200 ever, 200 in the last minute; newest model claude-opus-4-8
      refused   1 call
      closed    claude by the budget launch:RUN/claude/run, AGO
      binds     claude: launch:RUN/claude/run

    BUDGET                                                  ROLE   USED/LIMIT     %  PENDING  /MIN   LEFT  FROM
    launch:RUN/claude/run  binds     200/180  111%        0   200  spent  launch of web
    $ bb-ctl restore web
    ! error: web is cut off because the run budget for claude is spent
    ! hint: bb-ctl budget raise launch:RUN/claude/run +1M
    [3]
    $ bb-ctl budget raise web/claude 1k --dry-run
    would raise launch:RUN/claude/run by 1k: now 200/180 used, 111%
    would open: web
    $ bb-ctl budget raise web/claude 1k
    raised launch:RUN/claude/run by 1k: 200/1.18k used, 16% (the limit was 180)
    opened: web
    $ bb-ctl usage
    BOTTLE  PROVIDER  CALLS  INPUT  CACHE_R  CACHE_W  OUTPUT  CHARGE  ESTIMATED
    web     claude        3    180        0        0     120     300          0
    other   claude        1     60        0        0      40     100          0
    total                 4    240        0        0     160     400          0
    $ bb-ctl usage --by model
    PROVIDER  MODEL            CALLS  INPUT  CACHE_R  CACHE_W  OUTPUT  CHARGE  ESTIMATED
    claude    claude-opus-4-8      4    240        0        0     160     400          0
    total                          4    240        0        0     160     400          0
    $ bb-ctl usage --by call --bottle web --limit 2
    STARTED               BOTTLE   PROVIDER  MODEL            INPUT  CACHE_R  CACHE_W  OUTPUT  REASONING  CHARGE  TOOK  ENDING
    WHEN  web      claude    claude-opus-4-8     60        -        -      40          -     100    0s  complete
    WHEN  web      claude    claude-opus-4-8     60        -        -      40          -     100    0s  complete
    total                 3 calls                               180        0        0     120          0     300
    $ bb-ctl usage --bottle nobody
    no calls
    $ bb-ctl audit --bottle web
    WHEN  operator UID     web registered
    WHEN  budget         the run budget for claude is at 50% of 180
    WHEN  budget         the run budget for claude is at 95% of 180
    WHEN  budget         the run budget for claude is spent: 200 of 180
    WHEN  budget         web cut off from claude: the run budget for claude is spent; 0 streams in flight
    WHEN  system         web: a call was refused
    WHEN  budget         web open again to claude: the run budget for claude has room
    "#);
    Ok(())
}
