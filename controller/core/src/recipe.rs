//! Owns how each known client is pointed at the egress proxy.
//!
//! A recipe is data: variables, arguments and files. Most clients take a base URL from the
//! environment, but not all: Codex wants it among its arguments and sends no key of its own
//! accord, and Gemini CLI must be told in a file to use a key at all. Applying a recipe is done
//! elsewhere.

mod known;
mod quote;

pub use quote::shell_quote;

/// How a client's requests say which bottle they are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The client's API key is the bottle's token; the real key is put in on the way.
    Keyed,
    /// The client sends its own login, and the token stands in the path: `/b/TOKEN/PROVIDER`.
    Passthrough,
}

/// Where a client's calls to a provider go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The key of the provider that gets them: the one that the client means, or another of its
    /// dialect.
    pub provider: String,
    /// How they say which bottle they are from.
    pub mode: Mode,
}

/// What to do so that a client's calls come to the egress proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The variables to set.
    pub env: Vec<(&'static str, String)>,
    /// The variables to set besides where the client is confined: they make it trust its work
    /// tree, which is right only where there is nothing else to reach.
    pub confined_env: Vec<(&'static str, String)>,
    /// The variables to take away: they would send calls elsewhere or with another key.
    pub clear: Vec<&'static str>,
    /// The arguments to put between the program's name and its own arguments.
    pub args: Vec<String>,
    /// The files to write.
    pub files: Vec<RecipeFile>,
}

/// A file that a client reads because a variable names it.
///
/// Clients refuse such a file where others may write to it or to a directory above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeFile {
    /// The variable to set to the file's absolute path.
    pub variable: &'static str,
    /// The file's name.
    pub name: &'static str,
    /// What stands in it.
    pub content: String,
}

/// Returns the names of the clients that have a recipe.
pub fn clients() -> impl Iterator<Item = &'static str> {
    known::CLIENTS.iter().map(|client| client.name)
}

/// Returns the recipe of a client, or `None` for a name that is not among [`clients`].
///
/// The origin is the egress proxy's, such as `http://127.0.0.1:7717`; the token is a bottle's,
/// which has only letters, digits and `_`. `place` says for each provider that the client means,
/// by its key, where its calls go.
pub fn recipe(
    client: &str,
    origin: &str,
    token: &str,
    place: &dyn Fn(&str) -> Place,
) -> Option<Recipe> {
    let client = known::CLIENTS.iter().find(|known| known.name == client)?;
    let bottle = known::Bottle {
        origin: origin.trim_end_matches('/'),
        token,
        place,
    };
    Some(bottle.recipe(client))
}

/// Returns the name of the recipe for a command, by its file name.
///
/// An interpreter gets `sdk`, for what it runs is most likely a script that uses one.
pub fn for_command(program: &str) -> Option<&'static str> {
    let file = program.rsplit(['/', '\\']).next()?;
    let lower = file.to_ascii_lowercase();
    let name = [".exe", ".cmd", ".js"]
        .iter()
        .find_map(|ending| lower.strip_suffix(ending))
        .unwrap_or(&lower);
    let unversioned = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    known::CLIENTS
        .iter()
        .find(|client| {
            client.commands.contains(&name) || client.interpreters.contains(&unversioned)
        })
        .map(|client| client.name)
}

#[cfg(test)]
mod tests;
