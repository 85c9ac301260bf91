//! What all connections share: the scripts, what was rendered of them, the referee.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bb_proto::usage::Wire;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Options;
use super::referee::{Received, Referee};
use super::render::{Plan, Rendered, render};
use super::request::{Asked, Form, harmless_tool};
use super::script::{Fault, Numbered, On, Script, Tool};

/// Renderings kept for answers that come again.
const RENDERINGS_MAX: usize = 256;

/// What all connections share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) referee: Arc<Referee>,
    scripts: Mutex<Scripts>,
    renderings: Mutex<HashMap<RenderingKey, Arc<Rendered>>>,
    key: Option<String>,
    pub(super) websockets: bool,
    /// Connections that are no HTTP any more.
    pub(super) upgraded: TaskTracker,
    pub(super) stop: CancellationToken,
    ids: AtomicU64,
    script_numbers: AtomicU64,
    /// Tells the ids of this provider from those of another one.
    pub(super) nonce: u32,
}

#[derive(Debug)]
struct Scripts {
    queue: VecDeque<Numbered>,
    overrides: Vec<(On, Numbered)>,
    default: Numbered,
}

/// All that a rendering depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RenderingKey {
    script: u64,
    wire: Wire,
    form: Form,
    model: String,
    include_usage: bool,
    output_max: Option<u64>,
    choices: u64,
    prompt_tokens: u64,
}

impl State {
    pub(super) fn new(options: &Options, stop: CancellationToken) -> Self {
        let default = Numbered {
            number: 0,
            script: Arc::new(options.script.clone()),
        };
        let now = since_epoch();
        Self {
            referee: Arc::new(Referee::new(options.calls_kept)),
            scripts: Mutex::new(Scripts {
                queue: VecDeque::new(),
                overrides: Vec::new(),
                default,
            }),
            renderings: Mutex::default(),
            key: options.key.clone(),
            websockets: options.websockets,
            upgraded: TaskTracker::new(),
            stop,
            ids: AtomicU64::new(0),
            script_numbers: AtomicU64::new(1),
            nonce: now.subsec_nanos() ^ std::process::id().rotate_left(16),
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn set_default(&self, script: Script) {
        let numbered = self.numbered(script);
        self.scripts().default = numbered;
    }

    pub(super) fn set_on(&self, on: On, script: Script) {
        let numbered = self.numbered(script);
        let mut scripts = self.scripts();
        scripts.overrides.retain(|(known, _)| *known != on);
        scripts.overrides.push((on, numbered));
    }

    pub(super) fn enqueue(&self, script: Script) {
        let numbered = self.numbered(script);
        self.scripts().queue.push_back(numbered);
    }

    /// A script that stands on no list.
    pub(super) fn unlisted(&self, script: Script) -> Numbered {
        self.numbered(script)
    }

    fn numbered(&self, script: Script) -> Numbered {
        let number = self.script_numbers.fetch_add(1, Ordering::Relaxed);
        Numbered {
            number,
            script: Arc::new(script),
        }
    }

    fn scripts(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script_for(&self, request: &Received) -> Numbered {
        let mut scripts = self.scripts();
        if let Some(next) = scripts.queue.pop_front() {
            return next;
        }
        let fits = |on: &On| match on {
            On::Path(path) => *path == request.path,
            On::Model(model) => *model == request.model,
            On::Wire(wire) => *wire == request.wire,
        };
        let set = scripts.overrides.iter().rev().find(|(on, _)| fits(on));
        set.map_or_else(|| scripts.default.clone(), |(_, numbered)| numbered.clone())
    }

    /// Returns the script that is set for a path, where one is.
    pub(super) fn script_of_path(&self, path: &str) -> Option<Numbered> {
        let scripts = self.scripts();
        let mut overrides = scripts.overrides.iter().rev();
        let set = overrides.find(|(on, _)| matches!(on, On::Path(of) if of == path));
        set.map(|(_, numbered)| numbered.clone())
    }

    pub(super) fn rendered(
        &self,
        numbered: &Numbered,
        asked: &Asked,
        request: &Received,
    ) -> Arc<Rendered> {
        let script = &numbered.script;
        let created = since_epoch().as_secs();
        let plan = |tool: Option<&Tool>| Plan::new(script, request.wire, asked, tool, created);
        let error_after = match script.fault {
            Some(Fault::ErrorEvent { after }) => after,
            _ => 0,
        };
        if script.tool == Some(Tool::FromRequest) {
            let tool = harmless_tool(&request.headers, &request.body);
            return Arc::new(render(&plan(tool.as_ref()), error_after));
        }
        let key = RenderingKey {
            script: numbered.number,
            wire: request.wire,
            form: asked.form,
            model: asked.model.clone(),
            include_usage: asked.include_usage,
            output_max: asked.output_max,
            choices: asked.choices,
            prompt_tokens: asked.prompt_tokens,
        };
        let mut renderings = self
            .renderings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(rendered) = renderings.get(&key) {
            return Arc::clone(rendered);
        }
        if renderings.len() >= RENDERINGS_MAX {
            renderings.clear();
        }
        let rendered = Arc::new(render(&plan(script.tool.as_ref()), error_after));
        renderings.insert(key, Arc::clone(&rendered));
        rendered
    }

    pub(super) fn key_accepted(&self, request: &Received) -> bool {
        let Some(key) = &self.key else { return true };
        let bearer = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        let query = request
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("key="));
        [
            bearer,
            request.header("x-api-key"),
            request.header("x-goog-api-key"),
            query,
        ]
        .into_iter()
        .flatten()
        .any(|given| given == key)
    }
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
