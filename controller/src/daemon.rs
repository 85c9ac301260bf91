//! The composition root: makes every part, every channel and its size, and ends them in order.

use std::fs::DirBuilder;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bb_core::book::CutReason;
use bb_proto::event::EventKind;
use bb_proto::home::Home;
use bb_proto::version::VERSION;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Api};
use crate::bottles::Supervisor;
use crate::clock;
use crate::egress;
use crate::egress::listener::Listener;
use crate::egress::workers::Workers;
use crate::hooks;
use crate::ledger::{self, LedgerHandle, LedgerThread, Told};
use crate::settings::live::{Live, known_providers, rules};
use crate::settings::{self, Settings};
use crate::store::reader::Reader;

mod lock;
mod reload;
mod start_error;
mod telemetry;
mod tls;

use reload::Reloads;
pub use start_error::StartError;

/// How long what was cut at the end may take to say so to its client.
const CUT_WAIT: Duration = Duration::from_secs(2);

/// A controller that serves.
#[derive(Debug)]
pub struct Controller {
    /// Where the egress proxy listens.
    pub egress: std::net::SocketAddr,
    home: Home,
    workers: Workers,
    live: Arc<Live>,
    ledger: LedgerHandle,
    thread: LedgerThread,
    tracker: TaskTracker,
    stop: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    watches: CancellationToken,
    hooks_end: CancellationToken,
    _lock: lock::HomeLock,
}

impl Controller {
    /// Starts a controller on a home; it serves when this returns.
    ///
    /// Fails with nothing bound where the settings have mistakes or the home is in use.
    pub async fn start(home: Home) -> Result<Self, StartError> {
        api::check_path(&home.socket())?;
        make_directories(&home)?;
        let lock = lock::HomeLock::take(&home)?;
        // Listened to before the file is read: no change of it and no signal is missed.
        let reloads = Reloads::begin(home.settings()).map_err(StartError::Runtime)?;
        let loaded = settings::load(&home.settings(), &known_providers())?;
        let settings = loaded.clone().unwrap_or_default();
        let tls = tls::client_config().map_err(StartError::Tls)?;
        let path = home.database();
        let (ledger, mut thread) = ledger::open(&path, rules(&settings))
            .map_err(|source| StartError::Store { path, source })?;
        ledger.keep_calls(settings.keep_calls);
        let told = thread.told_since_opening();
        match Self::serve(&home, loaded, &settings, tls, &ledger, told).await {
            Ok(serving) => {
                let (live, watches) = (Arc::clone(&serving.live), serving.watches.clone());
                serving.tracker.spawn(reloads.run(live, watches));
                Ok(Self {
                    egress: serving.egress,
                    home,
                    workers: serving.workers,
                    live: serving.live,
                    ledger,
                    thread,
                    tracker: serving.tracker,
                    stop: serving.stop,
                    drain: serving.drain,
                    watches: serving.watches,
                    hooks_end: serving.hooks_end,
                    _lock: lock,
                })
            }
            Err(error) => {
                thread.join();
                Err(error)
            }
        }
    }

    async fn serve(
        home: &Home,
        loaded: Option<Settings>,
        settings: &Settings,
        tls: Arc<rustls::ClientConfig>,
        ledger: &LedgerHandle,
        told: Option<Told>,
    ) -> Result<Serving, StartError> {
        let started_at = clock::now();
        let address = settings.egress.listen;
        let listener = Listener::bind(address)
            .await
            .map_err(|source| StartError::Listen { address, source })?;
        let egress_at = listener
            .address()
            .map_err(|source| StartError::Listen { address, source })?;
        let socket = api::bind(&home.socket())?;

        let tracker = TaskTracker::new();
        let stop = watch::Sender::new(false);
        let drain = watch::Sender::new(false);
        let watches = CancellationToken::new();
        let hooks_end = CancellationToken::new();
        let hooks_fare = watch::Sender::new(None);
        let wrong_tokens = Arc::new(AtomicU64::new(0));
        let live = Arc::new(Live::new(home.settings(), loaded, ledger.clone()));
        let supervisor = Supervisor::new(ledger.clone(), tracker.clone(), watches.clone());
        let parts = egress::Parts {
            ledger: ledger.clone(),
            providers: live.watch_providers(),
            limits: live.watch_limits(),
            tracker: tracker.clone(),
            draining: drain.subscribe(),
            wrong_tokens: Arc::clone(&wrong_tokens),
            tls,
            background: egress::GoingOn::default(),
        };
        let api = Api::new(api::Parts {
            ledger: ledger.clone(),
            reader: Reader::new(&home.database()),
            live: Arc::clone(&live),
            supervisor: supervisor.clone(),
            home: home.clone(),
            egress: egress_at.to_string(),
            started_at,
            wrong_tokens,
            hooks: hooks_fare.subscribe(),
            stop: stop.clone(),
            uid: rustix::process::geteuid().as_raw(),
            tracker: tracker.clone(),
        });
        supervisor.find_again().await;
        let note = format!("the controller started, version {VERSION}");
        note_event(ledger, EventKind::Started, note).await;
        tracing::info!(version = VERSION, pid = std::process::id(), egress = %egress_at, "started");
        let workers = Workers::start(&listener, &parts).map_err(StartError::Runtime)?;
        tracker.spawn(api::serve(socket, api, drain.subscribe()));
        if let Some(told) = told {
            tracker.spawn(hooks::run(hooks::Parts {
                told,
                setting: live.watch_hook(),
                fare: hooks_fare,
                home: home.path().to_owned(),
                tracker: tracker.clone(),
                stopping: watches.clone(),
                ending: hooks_end.clone(),
            }));
        }
        Ok(Serving {
            egress: egress_at,
            workers,
            live,
            tracker,
            stop,
            drain,
            watches,
            hooks_end,
        })
    }

    /// Returns where to order the end.
    pub fn stopper(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Returns the ledger.
    pub fn ledger(&self) -> &LedgerHandle {
        &self.ledger
    }

    /// Serves until the end is ordered, by the socket or by `signalled`; then drains.
    pub async fn run(self, signalled: impl Future<Output = ()>) {
        let mut ordered = self.stop.subscribe();
        tokio::select! {
            () = signalled => {}
            _ = ordered.wait_for(|stop| *stop) => {}
        }
        self.end().await;
    }

    /// Ends in order: no new calls; those in flight within the grace period; then the rest is cut
    /// and charged; then the ledger.
    async fn end(self) {
        let grace = self.live.grace();
        tracing::info!(?grace, "stopping");
        self.stop.send_replace(true);
        self.drain.send_replace(true);
        self.watches.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::info!("the grace period is over: calls in flight are ended");
            self.hooks_end.cancel();
            let cut = self
                .ledger
                .act(|book, _| book.cut_all(&CutReason::Draining))
                .await;
            tracing::info!(?cut, "calls were ended");
            if tokio::time::timeout(CUT_WAIT, self.tracker.wait())
                .await
                .is_err()
            {
                tracing::warn!(left = self.tracker.len(), "some tasks did not end");
            }
        }
        self.workers.join();
        note_event(
            &self.ledger,
            EventKind::Stopped,
            "the controller stopped".to_owned(),
        )
        .await;
        self.thread.join();
        if let Err(error) = std::fs::remove_file(self.home.socket()) {
            tracing::debug!(%error, "the socket was gone already");
        }
        tracing::info!("stopped");
    }
}

/// What serves.
struct Serving {
    egress: std::net::SocketAddr,
    workers: Workers,
    live: Arc<Live>,
    tracker: TaskTracker,
    stop: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    watches: CancellationToken,
    hooks_end: CancellationToken,
}

/// Runs a controller on a home until it is told to stop: the program itself.
pub fn run(home: Home) -> Result<(), StartError> {
    api::check_path(&home.socket())?;
    make_directories(&home)?;
    telemetry::begin(&home)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Runtime)?;
        let controller = Controller::start(home).await?;
        announce(&controller);
        controller
            .run(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            })
            .await;
        Ok(())
    })
}

/// Says on standard error what was started and where its log is; in red what does not hold.
fn announce(controller: &Controller) {
    let mut stderr = std::io::stderr();
    let is_terminal = stderr.is_terminal();
    let red = |text: &str| {
        if is_terminal {
            format!("\u{1b}[31m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    };
    let mut lines = format!(
        "bb-controller {VERSION}: egress http://{}, socket {}, log {}\n",
        controller.egress,
        controller.home.socket().display(),
        controller.home.log().display(),
    );
    if !controller.live.has_file() {
        let text = format!(
            "no settings file: calls are metered, nothing is limited; write {}",
            controller.home.settings().display()
        );
        lines.push_str(&red(&text));
        lines.push('\n');
    }
    if let Err(error) = stderr.write_all(lines.as_bytes()) {
        tracing::debug!(%error, "nobody reads what is said at the start");
    }
}

async fn note_event(ledger: &LedgerHandle, kind: EventKind, text: String) {
    if ledger
        .act(move |book, now| book.note(now, kind, text))
        .await
        .is_err()
    {
        tracing::warn!("the ledger is closed");
    }
}

fn make_directories(home: &Home) -> Result<(), StartError> {
    for path in [home.path().to_owned(), home.run_dir(), home.log_dir()] {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| StartError::Home {
            path: path.clone(),
            source,
        })?;
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(home.run_dir(), private).map_err(|source| StartError::Home {
        path: home.run_dir(),
        source,
    })
}
