//! Bottles made known, and how their clients are pointed at us.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;

use bb_core::book::Registration;
use bb_core::bottle::Bottle;
use bb_core::recipe::{self, Mode, Place, Recipe};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::ids::{BottleName, ProviderKey, RunId};
use bb_proto::reply::{ClientEnv, Registered};
use bb_proto::request::{BottleEnv, BottleRegister};
use uuid::Uuid;

use super::super::Api;
use super::closed;
use crate::settings::providers::{Key, Provider, Providers};

/// How much of a command is kept, in bytes.
const COMMAND_BYTES_MAX: usize = 4 << 10;
/// The random bytes of a token.
const TOKEN_BYTES: usize = 20;

impl Api {
    pub(super) async fn register(
        &self,
        params: BottleRegister,
        uid: u32,
    ) -> Result<Registered, RpcError> {
        let client = params.client.clone();
        let dry_run = params.dry_run;
        self.check_provider(params.provider.as_ref())?;
        for budget in &params.budgets {
            if let bb_proto::budget::ProviderSelector::One(provider) = &budget.provider {
                self.check_provider(Some(provider))?;
            }
        }
        if let Some(client) = &client {
            recipe_name(client)?;
        }
        let registration = Registration {
            name: params.name,
            run: RunId(Uuid::now_v7()),
            token: new_token()?,
            agent: params.agent,
            parents: params.parents,
            provider: params.provider,
            budgets: params.budgets,
            command: kept(params.command),
            process: params.process,
            renew: params.renew,
            uid,
        };
        let bottle = self
            .parts()
            .ledger
            .act(move |book, now| book.register(registration, dry_run, now))
            .await
            .map_err(closed)??;
        if let Some(process) = bottle.process.filter(|_| !dry_run) {
            self.parts()
                .supervisor
                .watch(bottle.name.clone(), bottle.run, process);
        }
        let env = client
            .map(|client| self.client_env(&bottle, &client))
            .transpose()?;
        Ok(Registered {
            warnings: self.warnings(bottle.provider.as_ref()),
            client: env,
            base_url: self.base_url(),
            name: bottle.name,
            run: bottle.run,
            token: if dry_run { String::new() } else { bottle.token },
        })
    }

    pub(super) async fn bottle_env(&self, params: BottleEnv) -> Result<ClientEnv, RpcError> {
        let BottleEnv { name, client } = params;
        recipe_name(&client)?;
        let of = name.clone();
        let looked = self
            .parts()
            .ledger
            .look(move |book, _| book.bottles().get(&of).cloned())
            .await;
        let bottle = looked.map_err(closed)?.ok_or_else(|| {
            RpcError::new(
                ErrorCode::NotFound,
                format!("there is no bottle named {name}"),
            )
            .with_hint(format!("bb-ctl register {name}"))
        })?;
        self.client_env(&bottle, &client)
    }

    fn base_url(&self) -> String {
        format!("http://{}", self.parts().egress)
    }

    /// Fails where there is no such provider.
    pub(super) fn check_provider(&self, provider: Option<&ProviderKey>) -> Result<(), RpcError> {
        let Some(provider) = provider else {
            return Ok(());
        };
        let providers = self.parts().live.providers();
        if providers.get(provider.as_str()).is_some() {
            return Ok(());
        }
        let mut known: Vec<&str> = providers.iter().map(|(key, _)| key.as_str()).collect();
        known.sort_unstable();
        Err(RpcError::new(
            ErrorCode::InvalidParams,
            format!("there is no provider {provider}"),
        )
        .with_hint(format!("the providers are {}", known.join(", "))))
    }

    /// Returns what weakens the enforcement of a bottle.
    fn warnings(&self, provider: Option<&ProviderKey>) -> Vec<String> {
        let providers = self.parts().live.providers();
        let missing = provider.and_then(|provider| providers.get(provider.as_str()));
        let mut warnings = Vec::new();
        if let Some(Key::Missing(why)) = missing.map(|provider| &provider.key) {
            warnings.push(format!("its calls will be refused: {why}"));
        }
        warnings
    }

    fn client_env(&self, bottle: &Bottle, client: &str) -> Result<ClientEnv, RpcError> {
        let client = recipe_name(client)?;
        let providers = self.parts().live.providers();
        let place = |meant: &str| place(&providers, meant, bottle.provider.as_ref());
        let recipe = recipe::recipe(client, &self.base_url(), &bottle.token, &place)
            .ok_or_else(|| no_client(client))?;
        let mut env: BTreeMap<String, String> = recipe
            .env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        env.extend(self.write_files(&bottle.name, &recipe)?);
        Ok(ClientEnv {
            client: client.to_owned(),
            env,
            env_remove: recipe.clear.iter().map(|name| (*name).to_owned()).collect(),
            args: recipe.args,
        })
    }

    /// Writes the files a recipe wants, where only the owner can change them.
    fn write_files(
        &self,
        bottle: &BottleName,
        recipe: &Recipe,
    ) -> Result<Vec<(String, String)>, RpcError> {
        let mut variables = Vec::new();
        for file in &recipe.files {
            let folder = self
                .parts()
                .home
                .path()
                .join("clients")
                .join(bottle.as_str());
            let path = folder.join(file.name);
            let written = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .and_then(|()| std::fs::write(&path, &file.content));
            written.map_err(|error| {
                let text = format!("writing {}: {error}", path.display());
                RpcError::new(ErrorCode::Internal, text)
            })?;
            variables.push((file.variable.to_owned(), path.display().to_string()));
        }
        Ok(variables)
    }
}

/// Keeps the beginning of a command: it is for people, and a prompt in it may be as long as a
/// book.
fn kept(command: Vec<String>) -> Vec<String> {
    let mut left = COMMAND_BYTES_MAX;
    let mut words = Vec::new();
    for mut word in command {
        if word.len() >= left {
            word.truncate(word.floor_char_boundary(left));
            word.push('…');
            words.push(word);
            break;
        }
        left -= word.len() + 1;
        words.push(word);
    }
    words
}

/// Returns where a client's calls to the provider that it means go: to the bottle's own provider
/// where that speaks the same dialect and has its key here, else to the one that is meant.
fn place(providers: &Providers, meant: &str, own: Option<&ProviderKey>) -> Place {
    let is_keyed = |key: &str| providers.get(key).is_some_and(Provider::is_keyed);
    let speaks_as = |key: &str| {
        let wires = |key| {
            providers
                .get(key)
                .map_or_else(Vec::new, |of| of.row.wires())
        };
        // Its first dialect is a provider's own; others are there for the clients of others.
        let own = wires(meant).first().copied();
        own.is_some_and(|own| wires(key).contains(&own))
    };
    let provider = own
        .map(ProviderKey::as_str)
        .filter(|own| is_keyed(own) && speaks_as(own))
        .unwrap_or(meant);
    Place {
        provider: provider.to_owned(),
        mode: if is_keyed(provider) {
            Mode::Keyed
        } else {
            Mode::Passthrough
        },
    }
}

/// Returns the recipe that a client's name, or its command's, stands for.
fn recipe_name(client: &str) -> Result<&'static str, RpcError> {
    let named = recipe::clients().find(|known| *known == client);
    named
        .or_else(|| recipe::for_command(client))
        .ok_or_else(|| no_client(client))
}

fn no_client(client: &str) -> RpcError {
    let known: Vec<&str> = recipe::clients().collect();
    RpcError::new(
        ErrorCode::NotFound,
        format!("there is no recipe for the client {client:?}"),
    )
    .with_hint(format!("the clients are {}", known.join(", ")))
}

fn new_token() -> Result<String, RpcError> {
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(|error| {
        RpcError::new(
            ErrorCode::Internal,
            format!("the system gives no random bytes: {error}"),
        )
    })?;
    let digits: Vec<String> = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("bb_{}", digits.concat()))
}
