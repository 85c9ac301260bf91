//! The settings in force: taken at the start, and again when the file changes.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bb_core::book::Rules;
use bb_core::bottle::Manifest;
use bb_core::budget::Declared;
use bb_core::provider::{self, ProviderRow};
use bb_core::weights::Weights;
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::EventKind;
use bb_proto::ids::ProviderKey;
use bb_proto::reply::{self, Mistake, SettingsChecked};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::view::Source;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use super::limits::Limits;
use super::providers::{Key, Provider, Providers};
use super::{HookSetting, InFlight, LoadError, ProviderSetting, Settings, load};
use crate::clock;
use crate::ledger::LedgerHandle;

/// What is in force now.
#[derive(Debug)]
struct InForce {
    settings: Settings,
    exists: bool,
    loaded_at: Timestamp,
}

/// The settings in force, and who is told when they change.
#[derive(Debug)]
pub struct Live {
    path: PathBuf,
    in_force: Mutex<InForce>,
    providers: watch::Sender<Arc<Providers>>,
    limits: watch::Sender<Limits>,
    hook: watch::Sender<Option<Arc<HookSetting>>>,
    ledger: LedgerHandle,
}

/// Returns the keys of the providers that need no declaration.
pub fn known_providers() -> Vec<ProviderKey> {
    provider::known().into_iter().map(|row| row.key).collect()
}

impl Live {
    /// Begins with settings that were loaded; none means there is no file.
    pub fn new(path: PathBuf, loaded: Option<Settings>, ledger: LedgerHandle) -> Self {
        let exists = loaded.is_some();
        let settings = loaded.unwrap_or_default();
        Self {
            providers: watch::Sender::new(Arc::new(providers(&settings))),
            limits: watch::Sender::new(limits(&settings)),
            hook: watch::Sender::new(settings.on_event.clone().map(Arc::new)),
            in_force: Mutex::new(InForce {
                settings,
                exists,
                loaded_at: clock::now(),
            }),
            path,
            ledger,
        }
    }

    /// Returns a watch on the providers.
    pub fn watch_providers(&self) -> watch::Receiver<Arc<Providers>> {
        self.providers.subscribe()
    }

    /// Returns a watch on the proxy's limits.
    pub fn watch_limits(&self) -> watch::Receiver<Limits> {
        self.limits.subscribe()
    }

    /// Returns a watch on the command that is run at events.
    pub fn watch_hook(&self) -> watch::Receiver<Option<Arc<HookSetting>>> {
        self.hook.subscribe()
    }

    /// Returns the providers now.
    pub fn providers(&self) -> Arc<Providers> {
        Arc::clone(&self.providers.borrow())
    }

    /// Returns whether there is a settings file.
    pub fn has_file(&self) -> bool {
        self.lock().exists
    }

    /// Returns the operator's time zone.
    pub fn time_zone(&self) -> String {
        self.lock()
            .settings
            .time_zone
            .clone()
            .unwrap_or_else(host_time_zone)
    }

    /// Returns how long calls may still take at the end.
    pub fn grace(&self) -> Duration {
        self.lock().settings.egress.grace
    }

    /// Returns what is in force, secrets left out.
    pub fn show(&self) -> reply::Settings {
        let in_force = self.lock();
        reply::Settings {
            path: self.path.display().to_string(),
            exists: in_force.exists,
            loaded_at: in_force.loaded_at,
            settings: in_force.settings.to_json(),
        }
    }

    /// Says whether the file could be taken as it stands, and what that would change.
    pub fn check(&self) -> Result<SettingsChecked, RpcError> {
        Ok(self.read()?.1)
    }

    /// Takes the file as it stands; one with mistakes changes nothing.
    ///
    /// Fails where it cannot be read, and where it was there and is gone.
    pub async fn reload(&self) -> Result<SettingsChecked, RpcError> {
        let (loaded, mut checked) = match self.read() {
            Ok(read) => read,
            Err(error) => {
                self.note(not_taken(&error.message)).await;
                return Err(error);
            }
        };
        let Some(loaded) = loaded else {
            self.note(not_taken(&said(&checked.mistakes))).await;
            return Ok(checked);
        };
        checked.applied = true;
        let exists = loaded.is_some();
        let settings = loaded.unwrap_or_default();
        let rules = rules(&settings);
        self.providers.send_replace(Arc::new(providers(&settings)));
        self.limits.send_replace(limits(&settings));
        self.ledger.keep_calls(settings.keep_calls);
        let hook = settings.on_event.clone().map(Arc::new);
        self.hook.send_if_modified(|held| {
            let is_new = *held != hook;
            *held = hook;
            is_new
        });
        *self.lock() = InForce {
            settings,
            exists,
            loaded_at: clock::now(),
        };
        let changes = checked.changes.clone();
        let taken = self
            .ledger
            .act(move |book, now| {
                book.take_rules(rules, now);
                let text = match changes.as_slice() {
                    [] => "the settings were taken: nothing changed".to_owned(),
                    changes => format!("the settings were taken: {}", changes.join("; ")),
                };
                book.note(now, EventKind::Settings, text);
            })
            .await;
        if taken.is_err() {
            tracing::warn!("the settings are in force; the ledger is closed");
        }
        Ok(checked)
    }

    async fn note(&self, text: String) {
        let noted = self
            .ledger
            .act(move |book, now| book.note(now, EventKind::Settings, text))
            .await;
        if noted.is_err() {
            tracing::warn!("the settings have mistakes; the ledger is closed");
        }
    }

    /// Reads the file: what it says (`None` inside: no file; outside: mistakes), and the report.
    #[expect(
        clippy::option_option,
        reason = "no file and a file with mistakes are two things"
    )]
    fn read(&self) -> Result<(Option<Option<Settings>>, SettingsChecked), RpcError> {
        let path = self.path.display().to_string();
        let report = |mistakes: Vec<Mistake>, changes: Vec<String>| SettingsChecked {
            path: path.clone(),
            applied: false,
            mistakes,
            changes,
        };
        match load(&self.path, &known_providers()) {
            Ok(loaded) => {
                let newer = loaded.clone().unwrap_or_default();
                let in_force = self.lock();
                if loaded.is_none() && in_force.exists {
                    return Err(gone(&path));
                }
                let mut changes = in_force.settings.changes(&newer);
                if in_force.settings.egress.listen != newer.egress.listen {
                    changes.push("egress.listen holds from the next start on".to_owned());
                }
                Ok((Some(loaded), report(Vec::new(), changes)))
            }
            Err(LoadError::Mistakes { mistakes, .. }) => Ok((None, report(mistakes, Vec::new()))),
            Err(error @ LoadError::Read { .. }) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                let text = format!("{error}: {}", source.unwrap_or_default());
                Err(RpcError::new(ErrorCode::Settings, text))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is gone is more likely a slip than the wish that nothing be limited any more.
fn gone(path: &str) -> RpcError {
    RpcError::new(ErrorCode::Settings, format!("{path} is gone"))
        .with_hint("put it back; an empty file takes back all that it said")
}

fn not_taken(why: &str) -> String {
    format!("the settings were not taken, those before stay: {why}")
}

/// Says the first mistake, and how many there are.
fn said(mistakes: &[Mistake]) -> String {
    let Some(first) = mistakes.first() else {
        return String::new();
    };
    let more = match mistakes.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    format!("line {}: {}{more}", first.line, first.text)
}

/// Returns what the settings say to the book.
pub fn rules(settings: &Settings) -> Rules {
    let budgets = settings.budgets.iter().map(|budget| Declared {
        key: budget.key.clone(),
        limit: budget.limit,
        per_call: budget.per_call,
        cap: budget.cap,
        ceiling: budget.ceiling,
        warn: budget.warn.clone(),
        policy: budget.policy,
        gate: budget.gate,
        unbounded: budget.unbounded,
        source: Source::Settings { line: budget.line },
    });
    let manifests: BTreeMap<_, _> = settings
        .bottles
        .iter()
        .map(|(name, bottle)| {
            let manifest = Manifest {
                parents: bottle.parents.clone(),
                agent: bottle.agent.clone(),
                provider: bottle.provider.clone(),
                gate: bottle.gate,
                unbounded: bottle.unbounded,
            };
            (name.clone(), manifest)
        })
        .collect();
    let weights: HashMap<ProviderKey, Weights> = settings
        .providers
        .iter()
        .map(|(key, setting)| (key.clone(), setting.weights))
        .collect();
    Rules {
        warn: settings.warn.clone(),
        budgets: budgets.collect(),
        manifests,
        weights,
        gate: settings.gate,
        unbounded: settings.unbounded,
        floor: settings.floor,
        wait: Millis(u64::try_from(settings.wait.as_millis()).unwrap_or(u64::MAX)),
        in_flight_finish: settings.in_flight == InFlight::Finish,
        zone: zone(settings),
    }
}

/// Returns the proxy's limits.
pub fn limits(settings: &Settings) -> Limits {
    let egress = &settings.egress;
    Limits {
        body_max: egress.body_max,
        connect_timeout: egress.connect_timeout,
        response_timeout: egress.response_timeout,
        idle_timeout: egress.idle_timeout,
        drain: settings.drain,
    }
}

/// Returns the providers: those the program knows, as the settings change them, and new ones.
fn providers(settings: &Settings) -> Providers {
    let known = provider::known();
    let row_of = |key: &ProviderKey| known.iter().find(|row| row.key == *key).cloned();
    let mut all: HashMap<ProviderKey, Provider> = known
        .iter()
        .map(|row| {
            (
                row.key.clone(),
                Provider {
                    row: row.clone(),
                    key: Key::Passthrough,
                    count_tokens: false,
                },
            )
        })
        .collect();
    for (key, setting) in &settings.providers {
        let base = setting.copies.as_ref().unwrap_or(key);
        let Some(row) = row_of(base) else { continue };
        let provider = Provider {
            row: changed(row, key, setting),
            key: key_of(setting),
            count_tokens: setting.count_tokens,
        };
        all.insert(key.clone(), provider);
    }
    all.into_iter().collect()
}

fn changed(mut row: ProviderRow, key: &ProviderKey, setting: &ProviderSetting) -> ProviderRow {
    row.key = key.clone();
    if let Some(upstream) = &setting.upstream {
        row.upstream = upstream.clone();
        // The alternates are the known provider's own hosts: what goes elsewhere goes there whole.
        row.alternates.clear();
    }
    if let Some(include_usage) = setting.include_usage {
        row.include_usage = include_usage;
    }
    if let Some(websocket) = setting.websocket {
        row.websocket = websocket;
    }
    row
}

fn key_of(setting: &ProviderSetting) -> Key {
    match setting.credential.as_ref().map(super::Credential::take) {
        None => Key::Passthrough,
        Some(Ok(secret)) => Key::Ours(secret),
        Some(Err(error)) => {
            tracing::warn!(%error, "a provider's key is missing: its calls are refused");
            Key::Missing(error.to_string())
        }
    }
}

/// Returns the time zone in which days begin: the settings', else the host's.
fn zone(settings: &Settings) -> TimeZone {
    let name = settings.time_zone.clone().unwrap_or_else(host_time_zone);
    TimeZone::get(&name).unwrap_or_else(|error| {
        tracing::warn!(%name, %error, "the time zone is not known: days begin in UTC");
        TimeZone::UTC
    })
}

/// Returns the name of the host's time zone, as its link to the zone file says.
fn host_time_zone() -> String {
    let zone = std::fs::read_link("/etc/localtime").ok();
    zone.and_then(|path| {
        let path = path.to_string_lossy().into_owned();
        path.split_once("zoneinfo/")
            .map(|(_, name)| name.to_owned())
    })
    .unwrap_or_else(|| "UTC".to_owned())
}
