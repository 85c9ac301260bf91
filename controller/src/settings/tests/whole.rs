//! What a whole file comes to, how it is shown, and what is said of a change.

use serde_json::json;

use super::*;
use bb_core::hooks::KINDS;
use bb_proto::event::EventKind;
use bb_proto::units::Thousandths;

fn everything() -> Settings {
    taken(&std::fs::read_to_string(data("valid/everything.yml")).unwrap())
}

fn bottle(name: &str) -> BottleName {
    BottleName::new(name).unwrap()
}

fn provider(key: &str) -> ProviderKey {
    ProviderKey::new(key).unwrap()
}

#[test]
fn an_empty_file_and_none_are_the_same() {
    for text in ["", "# nothing\n", "---\n", "~\n", "{}\n"] {
        assert_eq!(taken(text), Settings::default(), "{text:?}");
    }
}

#[test]
fn each_budget_is_read_with_its_options_and_its_line() {
    let line = |it: &BudgetSetting| {
        let BudgetSetting {
            key,
            limit,
            per_call,
            cap,
            ceiling,
            warn,
            policy,
            gate,
            unbounded,
            line,
        } = it;
        let per_call = per_call.map_or(0, |most| most.0);
        format!(
            "{line} {key} {limit} {per_call} {cap:?} {ceiling} {warn:?} {policy:?} {gate:?} \
             {unbounded:?}"
        )
    };
    let budgets: Vec<String> = everything().budgets.iter().map(line).collect();
    assert_eq!(
        budgets,
        [
            "3 host/claude/total 5000000 0 Hard false [75] None None None",
            "4 host/codex/total 2000000 0 Hard true [10, 90] Some(Cutoff) Some(Off) None",
            "13 host/all/total 1500000000 0 Soft false [] None None None",
            "39 bottle:web/claude/total 1000000 0 Hard false [75] None None None",
            "40 bottle:web/claude/run 200000 0 Hard false [75] None None None",
            "41 bottle:web/local/run 300000 0 Hard false [75] None None Some(Refuse)",
            "55 agent:reviewer/claude/week sun 09:00 300000 60000 Hard false [75] None None None",
        ]
    );
}

#[test]
fn everything_else_is_read_as_it_was_written() {
    let Settings {
        budgets: _,
        shutdown,
        gate,
        unbounded,
        floor,
        wait,
        drain,
        keep_calls,
        in_flight,
        warn,
        time_zone,
        on_event,
        bottles,
        agents,
        providers,
        egress,
    } = everything();
    assert_eq!((shutdown, gate), (Policy::Cutoff, Gate::Estimate));
    assert_eq!((unbounded, floor), (Unbounded::Estimate, 2_000));
    assert_eq!((wait, drain), (Duration::from_secs(90), Duration::ZERO));
    assert_eq!(keep_calls, Duration::from_hours(400 * 24 + 12));
    assert_eq!((in_flight, warn), (InFlight::Finish, vec![75]));
    assert_eq!(time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(
        on_event,
        Some(HookSetting {
            program: "/bin/sh".to_owned(),
            arguments: vec!["-c".to_owned(), "cat > events".to_owned()],
            timeout: Duration::from_millis(1_500),
            events: vec![EventKind::Exhausted, EventKind::Ledger],
            line: 26,
        })
    );

    let names: Vec<&str> = bottles.keys().map(BottleName::as_str).collect();
    assert_eq!(names, ["api", "base", "web"]);
    assert_eq!(
        bottles[&bottle("web")],
        BottleSetting {
            parents: vec![bottle("base")],
            agent: Some(AgentName::new("reviewer").unwrap()),
            provider: Some(provider("claude")),
            shutdown: Some(Policy::Cutoff),
            gate: None,
            unbounded: None,
            line: 32,
        }
    );
    assert_eq!(
        bottles[&bottle("api")].parents,
        [bottle("web"), bottle("elsewhere")]
    );
    assert_eq!(bottles[&bottle("base")].parents, []);
    let agents: Vec<_> = agents
        .iter()
        .map(|(name, it)| (name.as_str(), it.line))
        .collect();
    assert_eq!(agents, [("reviewer", 52)]);

    let claude = &providers[&provider("claude")];
    let key = Credential::Env("ANTHROPIC_API_KEY".to_owned());
    assert_eq!((&claude.credential, &claude.upstream), (&Some(key), &None));
    assert_eq!(
        claude.weights,
        Weights {
            input: Thousandths(1000),
            cache_read: Thousandths(100),
            cache_write: Thousandths(1250),
            output: Thousandths(5000),
        }
    );
    let codex = &providers[&provider("codex")];
    assert_eq!(
        codex.upstream,
        Upstream::parse("https://gateway.example.com:8443/openai").ok()
    );
    assert_eq!(
        codex.credential,
        Some(Credential::File("/etc/keys/openai".into()))
    );
    assert_eq!(
        (codex.include_usage, codex.websocket, codex.count_tokens),
        (Some(false), Some(false), true)
    );
    let local = &providers[&provider("local")];
    assert_eq!(
        (&local.copies, &local.credential),
        (&Some(provider("groq")), &None)
    );

    assert_eq!(
        egress,
        EgressSetting {
            listen: "0.0.0.0:7718".parse().unwrap(),
            body_max: 64 * 1024 * 1024,
            grace: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_hours(1),
            idle_timeout: Duration::from_mins(2),
        }
    );
}

#[test]
fn a_bottle_says_how_its_calls_are_admitted() {
    let api = everything().bottles[&bottle("api")].clone();
    let said = (api.gate, api.unbounded);
    assert_eq!(said, (Some(Gate::Exact), Some(Unbounded::Refuse)));
}

#[test]
fn what_is_shown_has_every_part_and_of_a_key_only_where_it_comes_from() {
    let shown = everything().to_json();
    assert_eq!(
        shown["budgets"][1],
        json!({
            "budget": "host/codex/total", "limit": 2_000_000,
            "per_call": null, "cap": "hard", "ceiling": true,
            "warn": [10, 90], "shutdown": "cutoff", "gate": "off", "unbounded": null, "line": 4,
        })
    );
    assert_eq!(
        shown["providers"]["claude"],
        json!({
            "copies": null, "upstream": null, "credential": "env:ANTHROPIC_API_KEY",
            "weights_thousandths":
                {"input": 1000, "cache_read": 100, "cache_write": 1250, "output": 5000},
            "include_usage": null, "websocket": null, "count_tokens": false, "line": 61,
        })
    );
    assert_eq!(
        shown["providers"]["local"]["upstream"],
        "http://127.0.0.1:11434"
    );
    assert_eq!(
        shown["bottles"]["api"]["parents"],
        json!(["web", "elsewhere"])
    );
    assert_eq!(shown["egress"]["body_max_bytes"], 64 * 1024 * 1024);
    assert_eq!(
        shown["on_event"],
        json!({
            "command": ["/bin/sh", "-c", "cat > events"], "timeout_ms": 1_500,
            "events": ["exhausted", "ledger"], "line": 26,
        })
    );
    assert_eq!(
        (&shown["wait_ms"], &shown["in_flight"]),
        (&json!(90_000), &json!("finish"))
    );
    assert_eq!(
        Settings::default().to_json(),
        json!({
            "budgets": [], "shutdown": "cutoff", "gate": "estimate", "unbounded": "refuse",
            "floor": 1_024, "wait_ms": 30_000, "drain_ms": 10_000,
            "keep_calls_ms": 7_776_000_000_u64, "in_flight": "cut", "warn": [50, 80, 95],
            "timezone": null,
            "on_event": null,
            "bottles": {}, "agents": {}, "providers": {},
            "egress": {
                "listen": "127.0.0.1:7717", "body_max_bytes": 34_603_008, "grace_ms": 10_000,
                "connect_timeout_ms": 10_000, "response_timeout_ms": 600_000,
                "idle_timeout_ms": 300_000,
            },
        })
    );
}

#[test]
fn budgets_are_in_the_order_of_the_file_whatever_part_they_stand_in() {
    let settings = taken(concat!(
        "agents:\n  a:\n    budget:\n      all: 1\n",
        "bottles:\n  b:\n    budget:\n      codex: 2\n      claude: 3\n",
        "budget:\n  all: 4\n",
    ));
    let limits: Vec<u64> = settings
        .budgets
        .iter()
        .map(|budget| budget.limit.0)
        .collect();
    assert_eq!(limits, [1, 2, 3, 4]);
}

#[test]
fn a_bottle_has_as_many_ancestors_as_it_may_and_no_more() {
    let descent = |ancestors: usize, first: &str| {
        let line = |text: String, n| text + &format!("  b{n}:\n    parent: b{}\n", n + 1);
        let text = (0..ancestors).fold(String::from("bottles:\n"), line);
        parse(&format!("{text}  b{ancestors}:\n{first}"), &known())
    };
    assert!(descent(ANCESTORS_MAX, "").is_ok());
    let mistakes = descent(ANCESTORS_MAX + 1, "").unwrap_err();
    assert_eq!(told(&mistakes).lines().count(), 1, "{}", told(&mistakes));
    assert!(told(&mistakes).starts_with("2:3 \"b0\" has more than 32 ancestors"));

    // In a loop each bottle has all others above it, and the loop is the one mistake.
    let mistakes = descent(ANCESTORS_MAX + 1, "    parent: b0\n").unwrap_err();
    assert_eq!(told(&mistakes).lines().count(), 1, "{}", told(&mistakes));
    assert!(told(&mistakes).contains("cannot extend itself: b0 -> b1 -> "));
}

#[test]
fn an_upstream_that_is_the_proxy_itself_is_a_mistake_and_its_neighbour_is_none() {
    let listens_to = |listen: &str, upstream: &str| {
        let public = if listen.starts_with("127") {
            ""
        } else {
            "  public: true\n"
        };
        let text = format!(
            "providers:\n  claude:\n    upstream: http://{upstream}\n\
             egress:\n  listen: \"{listen}\"\n{public}"
        );
        match parse(&text, &known()) {
            Ok(_) => false,
            Err(mistakes) => {
                assert!(
                    told(&mistakes).contains("the proxy's own address"),
                    "{}",
                    told(&mistakes)
                );
                true
            }
        }
    };
    for (listen, upstream, own) in [
        ("127.0.0.1:7717", "127.0.0.1:7717", true),
        ("127.0.0.1:7717", "localhost:7717/claude", true),
        ("127.0.0.1:7717", "0.0.0.0:7717", true),
        ("127.0.0.1:80", "localhost", true),
        ("0.0.0.0:7717", "127.0.0.9:7717", true),
        ("[::]:7717", "[::1]:7717", true),
        ("172.17.0.1:7717", "172.17.0.1:7717", true),
        ("127.0.0.1:7717", "127.0.0.1:7718", false),
        ("127.0.0.1:7717", "127.0.0.2:7717", false),
        ("127.0.0.1:7717", "localhost:11434", false),
        ("172.17.0.1:7717", "127.0.0.1:7717", false),
        ("172.17.0.1:7717", "localhost:7717", false),
        ("0.0.0.0:7717", "10.0.0.1:7717", false),
        ("127.0.0.1:7717", "example.com:7717", false),
    ] {
        assert_eq!(listens_to(listen, upstream), own, "{listen} {upstream}");
    }
}

#[test]
fn a_file_whose_lines_only_moved_changes_nothing() {
    let text = std::fs::read_to_string(data("valid/everything.yml")).unwrap();
    let moved = taken(&format!("# one more line\n\n{text}"));
    assert_ne!(moved, everything());
    assert_eq!(everything().changes(&moved), Vec::<String>::new());
}

#[test]
fn every_change_is_a_sentence() {
    let old = taken(concat!(
        "budget:\n  claude: 5M\n  codex: 1234567\n",
        "bottles:\n  web:\n    parents: [a, b]\n  old:\n    agent: x\n",
        "providers:\n  claude:\n    credential: env:KEY\n",
    ));
    let new = taken(concat!(
        "budget:\n  claude:\n    limit: 6.25M\n    ceiling: true\n  all: 200k\n",
        "warn: [90]\ntimezone: UTC\nin_flight: finish\nwait: 1m\n",
        "bottles:\n  web:\n    parents: [b, base]\n    agent: reviewer\n",
        "agents:\n  reviewer:\n    budget:\n      all: 1\n",
        "providers:\n  claude:\n    weights:\n      cache_read: 0.25\n",
        "  mine:\n    copies: claude\n    upstream: https://proxy.example.com\n",
        "egress:\n  listen: 127.0.0.1:1234\n  body_max: 64M\n",
    ));
    assert_eq!(
        old.changes(&new),
        [
            "budget agent:reviewer/all/total added",
            "budget agent:reviewer/all/total: limit none -> 1",
            "budget host/all/total added",
            "budget host/all/total: limit none -> 200k",
            "budget host/claude/total: limit 5M -> 6.25M",
            "budget host/claude/total: ceiling false -> true",
            "budget host/claude/total: warn [50, 80, 95] -> [90]",
            "budget host/codex/total removed",
            "wait 30s -> 1m",
            "in_flight cut -> finish",
            "warn [50, 80, 95] -> [90]",
            "timezone none -> UTC",
            "bottle old removed",
            "bottle web: parent base added",
            "bottle web: parent a removed",
            "bottle web: agent none -> reviewer",
            "agent reviewer added",
            "provider claude: credential env:KEY -> passthrough",
            "provider claude: weight of cache_read 1 -> 0.25",
            "provider mine added",
            "provider mine: copies none -> claude",
            "provider mine: upstream the known one -> https://proxy.example.com",
            "egress: listen 127.0.0.1:7717 -> 127.0.0.1:1234",
            "egress: body_max 33M -> 64M",
        ]
    );
    let turned = taken("bottles:\n  web:\n    parents: [b, a]\n");
    let back = taken("bottles:\n  web:\n    parents: [a, b]\n");
    assert_eq!(
        turned.changes(&back),
        ["bottle web: parents now in the order a, b"]
    );
}

#[test]
fn a_command_is_a_path_that_is_not_split_and_is_run_at_all_its_events_within_ten_seconds() {
    let hook = taken("on_event:\n  command: ~/my scripts/on budget\n").on_event;
    let hook = hook.expect("a command");
    assert_eq!(hook.program, "~/my scripts/on budget");
    assert_eq!(hook.arguments, [""; 0]);
    assert_eq!(hook.timeout, Duration::from_secs(10));
    let all: Vec<EventKind> = KINDS.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(hook.events, all);
    assert_eq!(
        hook.path(Some("/home/me".into())),
        Ok("/home/me/my scripts/on budget".into())
    );
    assert!(hook.path(None).is_err() && hook.path(Some("".into())).is_err());
}

#[test]
fn a_command_that_is_no_program_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hook");
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    let text = format!("on_event:\n  command: {}\n", path.display());
    let mistakes = parse(&text, &known()).unwrap_err();
    assert!(told(&mistakes).starts_with("2:12 "), "{}", told(&mistakes));
    assert!(told(&mistakes).contains("is not executable [chmod +x "));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&path, mode).unwrap();
    assert!(taken(&text).on_event.is_some());
}

#[test]
fn a_change_of_the_command_is_told() {
    let none = taken("");
    let one = taken("on_event:\n  command: /bin/sh\n");
    let other = taken(concat!(
        "on_event:\n  command: [/bin/cat, -n]\n  timeout: 1m\n",
        "  events: [cutoff, warned]\n",
    ));
    assert_eq!(
        none.changes(&one),
        ["on_event: command none -> \"/bin/sh\""]
    );
    assert_eq!(
        one.changes(&other),
        [
            "on_event: command \"/bin/sh\" -> \"/bin/cat\" \"-n\"",
            "on_event: timeout 10s -> 1m",
            "on_event: events [warned, paced, exhausted, cutoff, restored, ledger, recovered] -> [warned, cutoff]",
        ]
    );
    assert_eq!(other.changes(&none), ["on_event removed"]);
}
