//! A socket that answers by a script and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::home::Home;
use bb_proto::request::{Call, Method};
use bb_proto::version::{PROTOCOL, VERSION};
use bb_proto::{reply, time::Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

/// What a call is answered: a result, or an error.
pub(crate) type Answer = Result<Value, RpcError>;

/// Makes a result of a method's own reply type, so that no script says what no controller can.
#[expect(clippy::unnecessary_wraps, reason = "it is what a script returns")]
pub(crate) fn answer<M: Method>(reply: &M::Reply) -> Answer {
    Ok(serde_json::to_value(reply).expect("a reply"))
}

/// An error answer.
pub(crate) fn refusal(code: ErrorCode, message: &str, hint: &str) -> Answer {
    Err(RpcError::new(code, message).with_hint(hint))
}

/// A scripted controller; it answers as long as it lives.
#[derive(Debug)]
pub(crate) struct Controller {
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Controller {
    /// Listens on a home's socket and answers each call by the script; `hello` is answered here.
    pub(crate) fn start(
        home: &Path,
        script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(std::process::id(), home, script)
    }

    /// Does so under another process id than our own.
    pub(crate) fn start_as(
        pid: u32,
        home: &Path,
        script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let socket = Home::new(home).socket();
        std::fs::create_dir_all(socket.parent().expect("a directory")).expect("the directory");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (script, seen, hello) = (Arc::new(script), Arc::clone(&calls), hello(home, pid));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, seen, hello) = (Arc::clone(&script), Arc::clone(&seen), hello.clone());
                thread::spawn(move || converse(stream, &hello, &*script, &seen));
            }
        });
        Self { calls }
    }

    /// Returns the calls that came, without the greetings.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("the calls").clone()
    }
}

fn converse(
    stream: UnixStream,
    hello: &reply::Hello,
    script: &(dyn Fn(&Call) -> Answer + Send + Sync),
    seen: &Mutex<Vec<Call>>,
) {
    let mut writer = stream.try_clone().expect("the stream");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).expect("a request");
        let call = parse(&request);
        let answer = match &call {
            Ok(Call::Hello(_)) => Ok(json!(hello)),
            Ok(call) => {
                seen.lock().expect("the calls").push(call.clone());
                script(call)
            }
            Err(error) => Err(error.clone()),
        };
        let id = request["id"].clone();
        let line = match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        };
        let sent = send(&mut writer, &line).and_then(|()| events(&mut writer, call.as_ref().ok()));
        if sent.is_err() || matches!(call, Ok(Call::EventsWatch(_))) {
            return;
        }
    }
}

/// After `events.watch`: every event of the fixture, then the end of the connection.
fn events(writer: &mut UnixStream, call: Option<&Call>) -> std::io::Result<()> {
    if matches!(call, Some(Call::EventsWatch(_))) {
        for event in crate::fixture::events() {
            let params = json!({"event": event, "lost": 0});
            send(
                writer,
                &json!({"jsonrpc": "2.0", "method": "event", "params": params}),
            )?;
        }
    }
    Ok(())
}

fn send(writer: &mut UnixStream, line: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    writer.write_all(&line)
}

fn parse(request: &Value) -> Result<Call, RpcError> {
    let method = request["method"].as_str().expect("a method");
    let params = serde_json::value::to_raw_value(&request["params"]).expect("parameters");
    Call::parse(method, Some(&params))
}

fn hello(home: &Path, pid: u32) -> reply::Hello {
    let home = Home::new(home);
    reply::Hello {
        protocol: PROTOCOL,
        version: VERSION.to_owned(),
        pid,
        home: home.path().display().to_string(),
        log: home.log().display().to_string(),
        egress: "127.0.0.1:7717".to_owned(),
        started_at: Timestamp(1_795_183_263_000),
    }
}
