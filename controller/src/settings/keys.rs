//! Owns the table of every key of the settings: what may be written where, and what of it only a
//! later version takes. The reader refuses by it, and `docs/CONFIGURATION.md` is made of it.

/// A mapping in the file whose keys are fixed.
#[derive(Debug)]
pub(super) struct Section {
    /// How a sentence names it, such as `a bottle`.
    pub(super) name: &'static str,
    /// Where it stands in the file.
    pub(super) path: &'static str,
    pub(super) keys: &'static [Key],
}

/// A key and all there is to say of it.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What is written behind it.
    pub(super) takes: &'static str,
    /// What holds without it.
    pub(super) default: &'static str,
    pub(super) does: &'static str,
}

const fn key(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    does: &'static str,
) -> Key {
    Key {
        name,
        takes,
        default,
        does,
    }
}

pub(super) const TOP: Section = Section {
    name: "the file",
    path: "",
    keys: &[
        key(
            "budget",
            "budgets by provider",
            "none",
            "The host's budgets: all bottles together.",
        ),
        key(
            "shutdown",
            "`cutoff`",
            "`cutoff`",
            "What happens to a bottle whose budget is spent: its way to the provider is closed, its processes live on.",
        ),
        key(
            "gate",
            "`off`, `estimate` or `exact`",
            "`estimate`",
            "How a call is let through. `estimate` sets the estimated cost of a call aside before it is sent; `off` lets it through while anything is left; `exact` sets the most aside that it can cost, and caps its output to what is left, so that nothing crosses a limit.",
        ),
        key(
            "floor",
            "tokens, 16 to 1M",
            "`1024`",
            "The least output that `gate: exact` leaves a call, for each choice: one that has room for less waits, or is refused.",
        ),
        key(
            "unbounded",
            "`refuse` or `estimate`",
            "`refuse`",
            "What `gate: exact` does with a call of which nothing says how much it can use at the most. `estimate` lets it through for its estimated cost, and the ledger says so.",
        ),
        key(
            "wait",
            "time, `0s` to `1h`",
            "`30s`",
            "How long a call waits for others to end when the budget has room only without them; `0s` refuses at once.",
        ),
        key(
            "drain",
            "time, `0s` to `10m`",
            "`10s`",
            "How long the answer to a client that hung up is still read, to learn what it cost.",
        ),
        key(
            "keep_calls",
            "time, `32d` to `36500d`",
            "`90d`",
            "How long calls are kept one by one. Older ones are rolled up to hours: sums by bottle, agent, provider and model. No budget counts less for it.",
        ),
        key(
            "in_flight",
            "`cut` or `finish`",
            "`cut`",
            "What happens to calls that are under way when their budget is spent.",
        ),
        key(
            "warn",
            "list of percentages",
            "`[50, 80, 95]`",
            "At which shares of a budget a warning is given, once each; `[]` for none. For all budgets that have no `warn` of their own.",
        ),
        key(
            "timezone",
            "name, such as `Europe/Berlin`",
            "the host's",
            "The time zone in which days, weeks and months begin and the clients show times.",
        ),
        key(
            "on_event",
            "the keys below",
            "none",
            "A command that is run when something happens to a budget, a bottle's way or the ledger.",
        ),
        key(
            "bottles",
            "bottles by name",
            "none",
            "What holds for single bottles. A bottle that is not listed here can still run.",
        ),
        key(
            "agents",
            "agents by name",
            "none",
            "Budgets of agents, over all bottles that run one.",
        ),
        key(
            "providers",
            "providers by key",
            "none",
            "Changes to known providers, and new ones.",
        ),
        key(
            "egress",
            "the keys below",
            "as below",
            "The proxy that the bottles' calls go through.",
        ),
    ],
};

pub(super) const BUDGET: Section = Section {
    name: "a budget",
    path: "budget: PROVIDER",
    keys: &[
        key(
            "limit",
            "tokens",
            "(required)",
            "How many tokens may be spent.",
        ),
        key(
            "window",
            "`total`, `run`, `hour`, `day`, `week`, `month`, `rolling 5h`, `block 5h`",
            "`total`",
            "Over which time: `total` for good; `run` starts anew with each launch, and is for bottles only; `hour`, `day`, `week` and `month` begin anew by the clock; `rolling` is the time up to now; `block` begins with the first call and lasts so long.",
        ),
        key(
            "resets_at",
            "time of day, such as `09:00`",
            "`00:00`",
            "At which time a day, a week or a month begins: a quarter of an hour, in the file's `timezone`.",
        ),
        key(
            "week_starts",
            "`mon` to `sun`",
            "`mon`",
            "On which day a week begins.",
        ),
        key(
            "per_call",
            "tokens",
            "none",
            "The most that one call may be expected to cost; one above it is refused before it is sent.",
        ),
        key(
            "cap",
            "`hard` or `soft`",
            "`hard`",
            "`hard` refuses what does not fit; `soft` warns only.",
        ),
        key(
            "ceiling",
            "`true` or `false`",
            "`false`",
            "`true` makes it bind even where a nearer budget governs, so nothing below can promise more.",
        ),
        key(
            "warn",
            "list of percentages",
            "the file's `warn`",
            "At which shares of this budget a warning is given.",
        ),
        key(
            "shutdown",
            "`cutoff`",
            "the file's `shutdown`",
            "What happens to a bottle when this budget is spent.",
        ),
        key(
            "gate",
            "`off`, `estimate` or `exact`",
            "the bottle's, then the file's `gate`",
            "How this budget lets calls through.",
        ),
        key(
            "unbounded",
            "`refuse` or `estimate`",
            "the bottle's, then the file's `unbounded`",
            "What this budget does, where its gate is `exact`, with a call that nothing bounds.",
        ),
    ],
};

pub(super) const BOTTLE: Section = Section {
    name: "a bottle",
    path: "bottles: NAME",
    keys: &[
        key(
            "parent",
            "name",
            "none",
            "The bottle it extends. What it spends counts on that one's budgets; where it has none of its own, that one's governs.",
        ),
        key(
            "parents",
            "list of names",
            "none",
            "The same for several. Of two, the last listed is the nearer.",
        ),
        key("agent", "name", "none", "The agent it runs."),
        key(
            "provider",
            "provider",
            "by host and path",
            "The provider that the recipes of its clients point at, instead of the one that a client means: one that speaks as that one does, with its key in the controller.",
        ),
        key(
            "shutdown",
            "`cutoff`",
            "the budget's, then the file's",
            "What happens to it when a budget that binds it is spent.",
        ),
        key(
            "gate",
            "`off`, `estimate` or `exact`",
            "that of what it extends, then the file's",
            "How its calls are let through by budgets that do not say it themselves.",
        ),
        key(
            "unbounded",
            "`refuse` or `estimate`",
            "that of what it extends, then the file's",
            "What becomes of its calls that nothing bounds, by budgets that do not say it themselves.",
        ),
        key(
            "budget",
            "budgets by provider",
            "none",
            "Its budgets: this bottle and those that extend it.",
        ),
    ],
};

pub(super) const AGENT: Section = Section {
    name: "an agent",
    path: "agents: NAME",
    keys: &[key(
        "budget",
        "budgets by provider",
        "(required)",
        "Its budgets, over all bottles that run it.",
    )],
};

pub(super) const PROVIDER: Section = Section {
    name: "a provider",
    path: "providers: KEY",
    keys: &[
        key(
            "copies",
            "known provider",
            "(required for a new one)",
            "Makes a new provider that speaks like a known one: a second account, a gateway, a model on this host.",
        ),
        key(
            "upstream",
            "`http://` or `https://` URL",
            "the known one's",
            "Where its calls go: host, perhaps a port and the beginning of the path.",
        ),
        key(
            "credential",
            "`env:NAME`, `file:PATH` or `passthrough`",
            "`passthrough`",
            "Where the controller takes the real key from, so that no bottle holds it. `passthrough`: the client sends its own login. A path begins with `/` or `~/`.",
        ),
        key(
            "weights",
            "the keys below",
            "1 each",
            "What a token of each kind counts in budgets.",
        ),
        key(
            "include_usage",
            "`true` or `false`",
            "the known one's",
            "Whether streamed chat requests may be made to ask for their usage.",
        ),
        key(
            "websocket",
            "`proxy` or `refuse`",
            "the known one's",
            "`proxy`: Responses over a WebSocket pass, each of them metered as a call. `refuse`: the upgrade is answered with 426, and clients use POST.",
        ),
        key(
            "count_tokens",
            "`true` or `false`",
            "`false`",
            "Whether the provider is asked what the input of a call is before `gate: exact` lets it through. Else a byte counts as a token. It takes one more request, which costs no tokens.",
        ),
    ],
};

pub(super) const WEIGHTS: Section = Section {
    name: "weights",
    path: "providers: KEY: weights",
    keys: &[
        key(
            "input",
            "number",
            "1",
            "Input that was neither read from a cache nor written to one.",
        ),
        key(
            "cache_read",
            "number",
            "1",
            "Input read from the provider's cache.",
        ),
        key(
            "cache_write",
            "number",
            "1",
            "Input written to the provider's cache.",
        ),
        key("output", "number", "1", "Output, reasoning included."),
    ],
};

pub(super) const EGRESS: Section = Section {
    name: "egress",
    path: "egress",
    keys: &[
        key(
            "listen",
            "address and port",
            "`127.0.0.1:7717`",
            "Where the proxy listens; port 0 takes any free one.",
        ),
        key(
            "public",
            "`true` or `false`",
            "`false`",
            "Must be `true` for an address that other machines can reach: what arrives there is not encrypted.",
        ),
        key(
            "body_max",
            "size, `64K` to `1G`",
            "`33M`",
            "The largest request body that is taken.",
        ),
        key(
            "grace",
            "time, `0s` to `10m`",
            "`10s`",
            "How long calls may still take when the controller is told to end.",
        ),
        key(
            "connect_timeout",
            "time, `100ms` to `24h`",
            "`10s`",
            "How long reaching a provider may take, TLS included.",
        ),
        key(
            "response_timeout",
            "time, `100ms` to `24h`",
            "`10m`",
            "How long a provider may take to begin its answer.",
        ),
        key(
            "idle_timeout",
            "time, `100ms` to `24h`",
            "`5m`",
            "How long a provider may be silent in the middle of an answer.",
        ),
    ],
};

pub(super) const ON_EVENT: Section = Section {
    name: "on_event",
    path: "on_event",
    keys: &[
        key(
            "command",
            "path, or list of a path and arguments",
            "(required)",
            "What is run, without a shell: a path that begins with `/` or `~/`. A path alone is not split at its spaces; arguments need a list.",
        ),
        key(
            "timeout",
            "time, `100ms` to `10m`",
            "`10s`",
            "How long it may take; then it is killed, with all of its process group.",
        ),
        key(
            "events",
            "list of `warned`, `paced`, `exhausted`, `cutoff`, `restored`, `ledger`, `recovered`",
            "all of them",
            "The kinds of events at which it is run.",
        ),
    ],
};

/// Every section, in the order they are told.
pub(super) const SECTIONS: &[&Section] = &[
    &TOP, &BUDGET, &BOTTLE, &AGENT, &PROVIDER, &WEIGHTS, &EGRESS, &ON_EVENT,
];

/// Keys that a later version has, whatever they stand under, and what each is for.
pub(super) const KEYS_LATER: &[(&str, &str)] = &[
    ("floor", "the least output that the gate `exact` leaves"),
    ("count_tokens", "asking the provider what a request costs"),
    (
        "unbounded",
        "what the gate `exact` does with calls it cannot bound",
    ),
    ("freeze", "how a bottle is frozen"),
    ("durable", "a freeze that outlives the host"),
    ("auto_resume", "resuming what a budget froze"),
    ("resume_command", "the command that goes on after a freeze"),
    ("hooks", "commands that freeze and kill"),
    ("batches", "batches of calls"),
];

/// Values that a later version has: the key, the word, what it is for.
pub(super) const VALUES_LATER: &[(&str, &str, &str)] = &[
    (
        "shutdown",
        "freeze",
        "the bottle's processes are stopped and can go on later",
    ),
    ("shutdown", "kill", "the bottle's processes are ended"),
    (
        "credential",
        "command:…",
        "the key is what a command prints",
    ),
];

/// What people write who know another program, and what it is called here.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("policy", "shutdown"),
    ("extends", "parent"),
    ("tokens", "limit"),
    ("max", "limit"),
    ("max_tokens", "limit"),
    ("period", "window"),
    ("url", "upstream"),
    ("base_url", "upstream"),
    ("key", "credential"),
    ("api_key", "credential"),
    ("tz", "timezone"),
    ("port", "listen"),
    ("address", "listen"),
    ("persona", "agent"),
    ("proxy", "egress"),
    ("timeout", "response_timeout"),
];

impl Section {
    pub(super) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    /// Returns the key that is called otherwise elsewhere.
    pub(super) fn by_other_word(&self, word: &str) -> Option<&'static str> {
        OTHER_WORDS
            .iter()
            .find(|(other, _)| *other == word)
            .map(|(_, name)| *name)
            .filter(|name| self.has(name))
    }
}

/// Returns the section that has a key, where only one has it.
pub(super) fn home_of(name: &str) -> Option<&'static Section> {
    let mut homes = SECTIONS.iter().copied().filter(|section| section.has(name));
    let home = homes.next()?;
    homes.next().is_none().then_some(home)
}

/// Returns what a key of a later version is for.
pub(super) fn later(name: &str) -> Option<&'static str> {
    KEYS_LATER
        .iter()
        .find(|(later, _)| *later == name)
        .map(|(_, what)| *what)
}
