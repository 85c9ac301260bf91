//! What is only asked: tables, pages, lines; for people and for programs.

use std::process::Command;

use bb_proto::request::{BottleEnv, Call};
use insta::assert_snapshot;
use serde_json::Value;

use crate::controller::{Controller, answer};
use crate::fixture;
use crate::session::Session;

fn session() -> (Session, Controller) {
    let session = Session::new();
    let controller = Controller::start(&session.home(), fixture::read);
    (session, controller)
}

fn at_width(session: &Session, width: &str, arguments: &[&str]) -> String {
    let output = session
        .command()
        .env("COLUMNS", width)
        .args(arguments)
        .output()
        .expect("bb-ctl can be run");
    session.transcript(&output)
}

#[test]
fn the_list_shows_each_bottle_with_the_budget_that_binds_it_first() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["list"]), @r"
    BOTTLE                 STATE          PROVIDER  USED/LIMIT  BY       /MIN   LEFT
    base                   declared       -                  0  -           0      -
    ci                     failed(2)      -              4.01k  -           0      -
    nightly                cutoff(codex)  codex      203k/200k  launch      0  spent
    translate-…前のボトル  running        -                900  -           0      -
    web                    running        claude       610k/1M  bottle  31.2k    12m
    exit: 0
    ");
    assert_snapshot!(at_width(&session, "120", &["list"]), @r"
    BOTTLE                        STATE          AGENT     PROVIDER  USED/LIMIT     %  BY       /MIN   LEFT  CALLS  ENFORCED
    base                          declared                 -                  0     -  -           0      -      0  advisory
    ci                            failed(2)                -              4.01k     -  -           0      -      0  keyed
    nightly                       cutoff(codex)  upgrader  codex      203k/200k  101%  launch      0  spent      0  keyed
    translate-日本…名前のボトル   running        tran…tor  -                900     -  -           0      -      0  advisory
    web                           running        impl…ter  claude       610k/1M   61%  bottle  31.2k    12m    4+2  keyed
    exit: 0
    ");
    assert_snapshot!(at_width(&session, "40", &["list", "--running"]), @r"
    BOTTLE         STATE          USED/LIMIT
    nightly        cutoff(codex)   203k/200k
    transl…ボトル  running               900
    web            running           610k/1M
    exit: 0
    ");
}

#[test]
fn the_list_is_one_bottle_a_line_for_programs_and_comes_whole_from_its_parts() {
    let (session, _controller) = session();
    let output = session.output(&["list", "--json"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let names: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object"))
        .map(|bottle| bottle["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "base",
            "ci",
            "nightly",
            "translate-日本語の長い名前のボトル",
            "web"
        ]
    );
    assert!(!text.contains('\u{202e}'), "hidden characters are escaped");
    assert!(output.stderr.is_empty());
}

#[test]
fn a_bottle_is_shown_with_its_budgets_and_what_is_closed() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["show", "web"]), @r"
    web: running, warned, keyed, 4 calls in flight, 2 waiting
      run       018f4b2e-6f00-7000-8000-000000000000, began 3h12m ago, pid 4242
      command   claude -p 'fix the ␦tests'
      agent     implementer
      parents   base
      used      610k in this run, 1.24M ever, 31.2k in the last minute; newest model claude-opus␛[31m
      binds     claude: bottle:web/claude/total, then host/claude/total

    BUDGET                   ROLE     USED/LIMIT    %  PENDING   /MIN  LEFT
    host/claude/total        ceiling    3.41M/5M  68%    4.01k  64.7k   27m
    bottle:web/claude/total  binds       610k/1M  61%        0  31.2k   12m
    bottle:web/claude/run    warns       1k/800k   0%        0      0     -
    exit: 0
    ");
    assert_snapshot!(session.run(&["show", "nightly"]), @r"
    nightly: cutoff(codex), keyed
      run       018f4b2e-6f00-7000-8000-000000000000, began 3h12m ago
      agent     upgrader
      used      203k in this run, 203k ever, 0 in the last minute
      refused   41 calls
      closed    codex by the budget launch:018f4b2e-6f00-7000-8000-000000000000/codex/run, 5m30s ago
      binds     codex: launch:018f4b2e-6f00-7000-8000-000000000000/codex/run

    BUDGET                                      ROLE   USED/LIMIT     %  /MIN   LEFT
    launch:018f4b2e-6f00-…0000000000/codex/run  binds   203k/200k  101%     0  spent
    exit: 0
    ");
}

#[test]
fn budgets_are_listed_with_where_they_come_from_and_what_they_hide() {
    let (session, _controller) = session();
    assert_snapshot!(at_width(&session, "120", &["budget", "list"]), @r"
    BUDGET                                               USED/LIMIT     %  CAP      PENDING   /MIN   LEFT  FROM
    host/claude/total                                      3.41M/5M   68%  ceiling    4.01k  64.7k    27m  settings line 2
    bottle:web/claude/total                                 610k/1M   61%  hard           0  31.2k    12m  command, uid 1000
    bottle:web/claude/run                                   1k/800k    0%  soft           0      0      -  settings line 18
    launch:018f4b2e-6f00-7000…00-000000000000/codex/run   203k/200k  101%  hard           0      0  spent  launch of nightly
    exit: 0
    ");
    assert_snapshot!(session.run(&["budget", "list"]), @r"
    BUDGET                                USED/LIMIT     %   LEFT  FROM
    host/claude/total                       3.41M/5M   68%    27m  settings line 2
    bottle:web/claude/total                  610k/1M   61%    12m  command, uid 1000
    bottle:web/claude/run                    1k/800k    0%      -  settings line 18
    launch:018f4b2e-6f…0000000/codex/run   203k/200k  101%  spent  launch of nightly
    exit: 0
    ");
}

#[test]
fn usage_has_a_row_of_totals() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["usage"]), @r"
    BOTTLE                  PROVIDER  CALLS  INPUT  CACHE_R  CACHE_W  OUTPUT  CHARGE
    web                     claude       34  61.2k     500k       9k   40.1k    610k
    translate-…前のボトル   gemini        1    900        0        0      12     912
    total                                35  62.1k     500k       9k   40.1k    611k
    exit: 0
    ");
    assert_snapshot!(at_width(&session, "140", &["usage", "--by", "call"]), @r"
    STARTED               BOTTLE    PROVIDER  MODEL            INPUT  CACHE_R  CACHE_W  OUTPUT  REASONING  CHARGE  TOOK  ENDING
    2026-11-20T14:01:03Z  web       claude    claude-opus-4-8    900        -        -      12          -    ~912   21s  cut
    total                 35 calls                             62.1k     500k       9k   40.1k        640    611k
    exit: 0
    ");
}

#[test]
fn usage_asks_for_what_the_flags_say() {
    let (session, controller) = session();
    session.output(&[
        "usage", "--by", "model", "--bottle", "web", "--since", "2h", "--limit", "5",
    ]);
    let calls = controller.calls();
    let [Call::UsageQuery(asked)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(
        asked.bottle.as_ref().map(ToString::to_string).as_deref(),
        Some("web")
    );
    assert_eq!(asked.by, bb_proto::request::UsageBy::Model);
    assert_eq!(asked.limit, Some(5));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time");
    let ago = i64::try_from(now.as_millis()).expect("a time") - asked.from.expect("a from").0;
    assert!((7_200_000..7_260_000).contains(&ago), "{ago}");
}

#[test]
fn the_audit_has_the_newest_last_and_says_how_to_read_on() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["audit", "--limit", "2"]), @r"
    2026-11-20T14:01:03Z  budget         host/codex/total is spent␛[2J
    2026-11-20T14:01:39Z  operator 1000  web was cut off: 3 streams ended: loops
    stderr: there are older entries: --before 11
    exit: 0
    ");
}

#[test]
fn events_are_followed_until_the_controller_ends() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["watch"]), @r"
    2026-11-20T14:01:03Z  budget         host/codex/total is spent␛[2J
    2026-11-20T14:01:39Z  operator 1000  web was cut off: 3 streams ended: loops
    stderr: error: the connection to the controller was lost: unexpected end of file
    stderr: hint: start one: bb-controller --home $DIR/home
    exit: 4
    ");
    assert_snapshot!(session.run(&["watch", "--bottle", "web", "--json"]), @r#"
    {"seq":12,"at":1795183299000,"kind":"cutoff","actor":"operator","bottle":"web","text":"web was cut off: 3 streams ended","uid":1000,"why":"loops"}
    stderr: {"error":{"code":"connection_lost","hint":"start one: bb-controller --home $DIR/home","message":"the connection to the controller was lost: unexpected end of file"}}
    exit: 4
    "#);
}

#[test]
fn the_status_says_where_everything_is() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["status"]), @r"
    controller  $VERSION, pid $PID, up 3h12m
    home        /home/of/controller
    socket      $DIR/home/run/controller.sock
    log         $DIR/home/log/controller.log
    settings    $DIR/home/settings.yml
    egress      127.0.0.1:7717
    ledger      takes charges
    bottles     4: 2 running, 1 cutoff, 1 failed; 1 order not carried out yet
    calls       4 in flight, 2 waiting, 64.7k tokens in the last minute
    exit: 0
    ");
    let output = session.output(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(status["egress"], "127.0.0.1:7717");
    assert_eq!(status["totals"]["by_state"]["running"], 2);
}

#[test]
fn an_environment_is_taken_in_by_a_shell_as_it_was_meant() {
    let session = Session::new();
    let _controller = Controller::start(&session.home(), |call| match call {
        Call::BottleEnv(asked) => {
            assert_eq!(asked.client, "codex");
            answer::<BottleEnv>(&bb_proto::reply::ClientEnv {
                client: "codex".to_owned(),
                env: [("OPENAI_API_KEY".to_owned(), "bb_x'y $(false) z".to_owned())].into(),
                env_remove: vec!["CODEX_API_KEY".to_owned()],
                args: vec!["-c".to_owned(), "model_provider=\"bottle\"".to_owned()],
            })
        }
        other => fixture::read(other),
    });
    assert_snapshot!(session.run(&["env", "web", "--client", "codex"]), @r#"
    unset CODEX_API_KEY
    export OPENAI_API_KEY='bb_x'\''y $(false) z'
    # arguments, right after the program: -c 'model_provider="bottle"'
    exit: 0
    "#);
    let script = format!(
        "CODEX_API_KEY=old; eval \"$({} env web --client codex)\"; \
         echo \"$OPENAI_API_KEY|${{CODEX_API_KEY-gone}}\"",
        crate::session::executable().display()
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("BB_HOME", session.home())
        .output()
        .expect("a shell");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "bb_x'y $(false) z|gone\n"
    );
}

#[test]
fn completions_are_what_the_shell_understands() {
    let session = Session::new();
    let output = session.output(&["completions", "bash"]);
    let script = String::from_utf8(output.stdout).expect("text");
    assert!(script.contains("cutoff") && !script.contains("__become"));
    let checked = Command::new("bash")
        .args(["-n", "-c", &script])
        .output()
        .expect("bash");
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn every_command_has_help_that_names_its_parts() {
    let session = Session::new();
    let help = session.output(&["--help"]);
    let help = String::from_utf8(help.stdout).expect("text");
    for command in [
        "run",
        "register",
        "list",
        "show",
        "env",
        "cutoff",
        "restore",
        "stop",
        "remove",
        "budget",
        "usage",
        "audit",
        "watch",
        "settings",
        "doctor",
        "status",
        "completions",
        "shutdown",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} in\n{help}"
        );
        let output = session.output(&[command, "--help"]);
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{command}");
        assert!(text.contains("--json") && text.contains("--home"), "{text}");
        let about = text.lines().next().unwrap_or_default();
        assert!(about.len() > 20, "{command} says what it does: {about:?}");
    }
    for nested in ["list", "set", "unset", "raise"] {
        let output = session.output(&["budget", nested, "--help"]);
        assert!(output.status.success(), "{nested}");
    }
}

#[test]
fn the_settings_in_force_are_shown_and_mistakes_have_their_place() {
    use bb_proto::reply::{Mistake, Settings, SettingsChecked};
    use bb_proto::request::{SettingsCheck, SettingsReload, SettingsShow};
    let session = Session::new();
    let checked = |mistakes: Vec<Mistake>, changes: &[&str]| SettingsChecked {
        path: "/h/settings.yml".to_owned(),
        applied: mistakes.is_empty(),
        mistakes,
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
    };
    let _controller = Controller::start(&session.home(), move |call| match call {
        Call::SettingsShow(_) => answer::<SettingsShow>(&Settings {
            path: "/h/settings.yml".to_owned(),
            exists: true,
            loaded_at: bb_proto::time::Timestamp(1_795_183_263_000),
            settings: serde_json::json!({"gate": "estimate"}),
        }),
        Call::SettingsCheck(_) => answer::<SettingsCheck>(&checked(
            vec![Mistake {
                line: 3,
                column: 5,
                text: "budgt is no setting".to_owned(),
                hint: Some("budget".to_owned()),
            }],
            &[],
        )),
        Call::SettingsReload(_) => answer::<SettingsReload>(&checked(
            Vec::new(),
            &["host/claude/total is 5M instead of 2M"],
        )),
        other => fixture::read(other),
    });
    assert_snapshot!(session.run(&["settings", "show"]), @r#"
    /h/settings.yml, taken 2026-11-20T14:01:03Z
    {
      "gate": "estimate"
    }
    exit: 0
    "#);
    assert_snapshot!(session.run(&["settings", "check"]), @r"
    /h/settings.yml:3:5: budgt is no setting
      hint: budget
    1 mistake; the settings in force stay
    exit: 1
    ");
    assert_snapshot!(session.run(&["settings", "reload"]), @r"
    /h/settings.yml was taken
      host/claude/total is 5M instead of 2M
    exit: 0
    ");
}

#[test]
fn the_doctor_tells_what_is_enforced_what_is_missing_and_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let (session, _controller) = session();
    session.script("bb-controller", "echo bb-controller 0.0.9");
    let private = |path: std::path::PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    private(session.home(), 0o700);
    private(session.home().join("run"), 0o755);
    private(session.home().join("run/controller.sock"), 0o600);
    // Elsewhere, since the controller may have been built beside this executable.
    let output = Command::new(session.copy())
        .env_clear()
        .env("PATH", session.search_path())
        .env("BB_HOME", session.home())
        .arg("doctor")
        .output()
        .expect("bb-ctl can be run");
    assert_snapshot!(session.transcript(&output), @r"
    warning  $DIR/bin/bb-controller says 0.0.9, bb-ctl is $VERSION
             hint: install both from one release
    ok       $DIR/home is for its owner alone
    error    $DIR/home/run has mode 0755: others can use it
             hint: chmod 0700 $DIR/home/run
    ok       $DIR/home/run/controller.sock is for its owner alone
    ok       the controller (pid $PID) answers, version $VERSION
    warning  claude has no credential
             hint: credential: env:ANTHROPIC_API_KEY
    ok       keyed, nothing to spend but through the proxy: web, nightly
    warning  advisory, with a login and a network of their own: translate-日本語の長い名前のボトル
             hint: give the provider a credential in the settings, so that a bottle has no key of its own
    ok       host/claude/total: 63% of it went to cache reads
    exit: 1
    ");
}

#[test]
fn the_doctor_without_a_controller_still_says_what_it_sees() {
    let session = Session::new();
    let output = session.output(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(report["ok"], false);
    let findings = report["findings"].as_array().expect("findings");
    assert!(
        findings.iter().any(|finding| finding["severity"] == "error"
            && finding["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("no controller"))),
        "{findings:?}"
    );
}
