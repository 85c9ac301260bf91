//! A socket that tells of two bottles, changes when it is told to, and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::home::Home;
use bb_proto::request::{Call, Method};
use bb_proto::view::{self, BottleState};
use bb_proto::{reply, request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The run of the bottle that runs out first.
pub(crate) const RUN: &str = "018f4b2e-6f00-7000-8000-000000000001";

type Answer = Result<Value, RpcError>;

/// What it knows and what it was asked.
struct Host {
    revision: u64,
    protocol: u32,
    started_at: i64,
    streams: u64,
    state: BottleState,
    asked: Vec<(Instant, Call)>,
    /// Polls that wait for a change right now.
    waiting: usize,
    streams_open: Vec<UnixStream>,
    ended: bool,
}

/// A scripted controller; it ends when it is dropped.
pub(crate) struct Controller {
    host: Arc<(Mutex<Host>, Condvar)>,
    socket: PathBuf,
}

impl Controller {
    pub(crate) fn start(home: &Path) -> Self {
        Self::speaking(home, bb_proto::version::PROTOCOL, 1_795_093_331_000)
    }

    /// Starts one that speaks a version of the messages and started at an instant.
    pub(crate) fn speaking(home: &Path, protocol: u32, started_at: i64) -> Self {
        let socket = Home::new(home).socket();
        std::fs::create_dir_all(socket.parent().expect("a directory")).expect("the directory");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let host = Arc::new((
            Mutex::new(Host {
                revision: 1,
                protocol,
                started_at,
                streams: 3,
                state: BottleState::Running,
                asked: Vec::new(),
                waiting: 0,
                streams_open: Vec::new(),
                ended: false,
            }),
            Condvar::new(),
        ));
        let shared = Arc::clone(&host);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut known = lock(&shared);
                if known.ended {
                    return;
                }
                known
                    .streams_open
                    .push(stream.try_clone().expect("the stream"));
                drop(known);
                let shared = Arc::clone(&shared);
                thread::spawn(move || converse(stream, &shared));
            }
        });
        Self { host, socket }
    }

    /// Changes something, so that a waiting poll is answered.
    pub(crate) fn touch(&self) {
        lock(&self.host).revision += 1;
        self.host.1.notify_all();
    }

    /// Returns the calls of one method, with when they came.
    pub(crate) fn asked<T>(&self, of: impl Fn(&Call) -> Option<T>) -> Vec<(Instant, T)> {
        lock(&self.host)
            .asked
            .iter()
            .filter_map(|(at, call)| of(call).map(|found| (*at, found)))
            .collect()
    }

    /// Waits until a poll waits for a change.
    pub(crate) fn wait_for_a_waiting_poll(&self) {
        self.wait("a poll that waits", |host| host.waiting > 0);
    }

    /// Waits until so many polls came.
    pub(crate) fn wait_for_polls(&self, count: usize) {
        self.wait("polls", |host| {
            let polls = host.asked.iter();
            polls
                .filter(|(_, call)| matches!(call, Call::Snapshot(_)))
                .count()
                >= count
        });
    }

    fn wait(&self, what: &str, holds: impl Fn(&Host) -> bool) {
        let guard = lock(&self.host);
        let limit = Duration::from_mins(1);
        let (host, _) = self
            .host
            .1
            .wait_timeout_while(guard, limit, |host| !holds(host))
            .expect("the host");
        assert!(holds(&host), "waited for {what}");
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let mut host = lock(&self.host);
        host.ended = true;
        for stream in &host.streams_open {
            // A client that left has shut it already.
            drop(stream.shutdown(Shutdown::Both));
        }
        drop(host);
        self.host.1.notify_all();
        drop(UnixStream::connect(&self.socket));
        std::fs::remove_file(&self.socket).expect("the socket");
    }
}

fn lock(host: &Arc<(Mutex<Host>, Condvar)>) -> MutexGuard<'_, Host> {
    host.0.lock().expect("the host")
}

fn converse(stream: UnixStream, host: &Arc<(Mutex<Host>, Condvar)>) {
    let mut writer = stream.try_clone().expect("the stream");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let asked: Value = serde_json::from_str(&line).expect("a request");
        let params = serde_json::value::to_raw_value(&asked["params"]).expect("parameters");
        let method = asked["method"].as_str().expect("a method");
        let answer = Call::parse(method, Some(&params)).and_then(|call| {
            lock(host).asked.push((Instant::now(), call.clone()));
            host.1.notify_all();
            answer(host, &call)
        });
        let id = &asked["id"];
        let mut line = match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string(),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string(),
        };
        line.push('\n');
        if writer.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(host: &Arc<(Mutex<Host>, Condvar)>, call: &Call) -> Answer {
    match call {
        Call::Hello(_) => {
            let known = lock(host);
            Ok(json!({
                "protocol": known.protocol, "version": "0.9.0", "pid": 4120, "home": "/home/b",
                "log": "/home/b/log", "egress": "127.0.0.1:7717", "started_at": known.started_at,
            }))
        }
        Call::Snapshot(asked) => Ok(to_value::<request::Snapshot>(&snapshot(host, asked))),
        Call::BottleCutoff(act) => {
            let state = BottleState::Cutoff;
            Ok(to_value::<request::BottleCutoff>(&acted(
                host,
                act.dry_run,
                state,
            )))
        }
        Call::UsageQuery(_) => Ok(json!({"rows": [], "total": reply::UsageSum::default()})),
        Call::AuditList(_) | Call::EventsList(_) => Ok(json!({"events": [], "more": false})),
        other => Err(RpcError::new(ErrorCode::NotAvailable, other.name())),
    }
}

fn acted(host: &Arc<(Mutex<Host>, Condvar)>, dry_run: bool, wanted: BottleState) -> reply::Acted {
    let mut known = lock(host);
    let streams_ended = known.streams;
    if !dry_run {
        known.state = wanted;
        known.streams = 0;
        known.revision += 1;
        host.1.notify_all();
    }
    typed(json!({"dry_run": dry_run, "targets": [{
        "name": "web", "run": RUN, "changed": true, "streams_ended": streams_ended,
        "took_us": 2100, "observed": known.state,
    }]}))
}

/// Waits for a change as long as it is told to.
fn snapshot(host: &Arc<(Mutex<Host>, Condvar)>, asked: &request::Snapshot) -> view::Snapshot {
    let mut known = lock(host);
    if let (Some(since), Some(wait)) = (asked.since, asked.wait_ms) {
        known.waiting += 1;
        host.1.notify_all();
        let wait = Duration::from_millis(wait);
        (known, _) = host
            .1
            .wait_timeout_while(known, wait, |known| known.revision <= since && !known.ended)
            .expect("the host");
        known.waiting -= 1;
    }
    typed(json!({
        "head": {
            "revision": known.revision, "now": 1_795_179_731_000_i64, "time_zone": "Europe/Berlin",
            "started_at": known.started_at, "protocol": known.protocol, "version": "0.9.0",
            "home": "/home/b", "pid": 4120, "egress": "127.0.0.1:7717",
            "ledger": {"state": "ok"}, "has_settings": true, "events": 0,
            "totals": {"bottles": 2, "by_state": {"running": 2}, "in_flight": known.streams,
                "waiting": 0, "rate_per_minute": 31_200, "orders_open": 0},
        },
        "budgets": [{
            "id": "bottle:web/claude/total", "scope": "bottle:web", "provider": "claude",
            "window": "total", "limit": 1_000_000, "used": 610_000, "pending": 0, "cap": "hard",
            "gate": "estimate", "warn": [80], "source": {"from": "settings", "line": 2},
            "rate_per_minute": 31_200, "left_ms": 720_000,
        }],
        "bottles": [
            bottle("idler", "018f4b2e-6f00-7000-8000-000000000002", json!({"in_flight": 0})),
            bottle("web", RUN, json!({
                "in_flight": known.streams, "state": known.state, "rate_per_minute": 31_200,
                "path": [{"budget": "bottle:web/claude/total", "role": "binds"}],
                "binding": {"claude": "bottle:web/claude/total"},
            })),
        ],
        "whole": true,
    }))
}

fn bottle(name: &str, run: &str, more: Value) -> Value {
    let mut base = json!({
        "name": name, "run": run, "state": "running", "enforcement": "keyed", "waiting": 0,
        "refusals": 0, "path": [], "binding": {}, "used_run": 0, "used_total": 0,
        "rate_per_minute": 0, "last_provider": "claude",
    });
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a value of the protocol")
}

fn to_value<M: Method>(reply: &M::Reply) -> Value {
    serde_json::to_value(reply).expect("a reply")
}
