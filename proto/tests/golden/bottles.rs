//! Messages about bottles.

use std::collections::BTreeMap;

use bb_proto::budget::ProviderSelector;
use bb_proto::reply::{Acted, BottleDetail, Bottles, ClientEnv, Registered, Target};
use bb_proto::request::{
    BottleCutoff, BottleEnded, BottleEnv, BottleList, BottleRegister, BottleRemove, BottleRestore,
    BottleShow, BottleStop, LaunchBudget,
};
use bb_proto::units::Tokens;
use bb_proto::view::BottleState;

use crate::method;
use crate::sample::{
    agent_name, bare_budget, bottle, bottle_name, budget, claude, declared, expect, process, run,
};

fn client_env() -> ClientEnv {
    ClientEnv {
        client: "codex".to_owned(),
        env: BTreeMap::from([("OPENAI_API_KEY".to_owned(), "bb_0123456789".to_owned())]),
        env_remove: vec!["OPENAI_ORG_ID".to_owned()],
        args: vec![
            "-c".to_owned(),
            "model_providers.bottle.base_url=\"http://127.0.0.1:7717/codex/v1\"".to_owned(),
        ],
    }
}

fn bare_client_env() -> ClientEnv {
    ClientEnv {
        client: "sdk".to_owned(),
        env: BTreeMap::new(),
        env_remove: Vec::new(),
        args: Vec::new(),
    }
}

#[test]
fn registering() {
    let whole = BottleRegister {
        name: bottle_name("web"),
        agent: Some(agent_name("reviewer")),
        parents: Some(vec![bottle_name("base")]),
        provider: Some(claude()),
        budgets: vec![
            LaunchBudget {
                provider: ProviderSelector::All,
                limit: Tokens(500_000),
            },
            LaunchBudget {
                provider: ProviderSelector::One(claude()),
                limit: Tokens(200_000),
            },
        ],
        command: vec!["claude".to_owned(), "-p".to_owned(), "fix it".to_owned()],
        client: Some("claude".to_owned()),
        renew: true,
        process: Some(process()),
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = BottleRegister {
        name: bottle_name("web"),
        agent: None,
        parents: None,
        provider: None,
        budgets: Vec::new(),
        command: Vec::new(),
        client: None,
        renew: false,
        process: None,
        request_id: None,
        dry_run: false,
    };
    let answer = Registered {
        name: bottle_name("web"),
        run: run(),
        token: "bb_0123456789".to_owned(),
        base_url: "http://127.0.0.1:7717".to_owned(),
        client: Some(client_env()),
        warnings: vec!["its calls will be refused: there is no key".to_owned()],
    };
    let bare_answer = Registered {
        client: None,
        warnings: Vec::new(),
        ..answer.clone()
    };
    method([whole, bare], [answer, bare_answer]);
}

#[test]
fn looking() {
    let answers = [
        Bottles {
            revision: 1_795_168_800_000_042,
            bottles: vec![bottle(), declared()],
        },
        Bottles {
            revision: 1_795_168_800_000_000,
            bottles: Vec::new(),
        },
    ];
    method([BottleList {}, BottleList {}], answers);
    let shown = BottleShow {
        name: bottle_name("web"),
    };
    let detail = BottleDetail {
        revision: 1_795_168_800_000_042,
        bottle: bottle(),
        budgets: vec![budget(), bare_budget()],
        children: vec![bottle_name("nightly")],
    };
    let bare = BottleDetail {
        revision: 1_795_168_800_000_000,
        bottle: declared(),
        budgets: Vec::new(),
        children: Vec::new(),
    };
    method([shown.clone(), shown], [detail, bare]);
    let env = BottleEnv {
        name: bottle_name("web"),
        client: "codex".to_owned(),
    };
    method([env.clone(), env], [client_env(), bare_client_env()]);
}

fn acted() -> [Acted; 2] {
    let target = Target {
        name: bottle_name("web"),
        run: Some(run()),
        changed: true,
        streams_ended: 3,
        took_us: 2_100,
        observed: BottleState::Cutoff,
        note: Some("its budget is still spent".to_owned()),
    };
    let bare = Target {
        name: bottle_name("base"),
        run: None,
        changed: false,
        streams_ended: 0,
        took_us: 0,
        observed: BottleState::Declared,
        note: None,
    };
    [
        Acted {
            dry_run: true,
            targets: vec![target, bare],
        },
        Acted {
            dry_run: false,
            targets: Vec::new(),
        },
    ]
}

macro_rules! act {
    ($method:ident) => {
        let whole = $method {
            names: vec![bottle_name("web"), bottle_name("nightly")],
            why: Some("runs away".to_owned()),
            expect: Some(expect()),
            request_id: Some("1f".to_owned()),
            dry_run: true,
        };
        let bare = $method {
            names: vec![bottle_name("web")],
            why: None,
            expect: None,
            request_id: None,
            dry_run: false,
        };
        method([whole, bare], acted());
    };
}

#[test]
fn acting() {
    act!(BottleCutoff);
    act!(BottleRestore);
    act!(BottleStop);
    act!(BottleRemove);
    let ended = BottleEnded {
        name: bottle_name("web"),
        run: run(),
        exit_code: 130,
    };
    method([ended.clone(), ended], acted());
}
