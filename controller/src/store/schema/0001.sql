-- Calls that were resolved, one row each, never changed. An amendment is a row of differences.
CREATE TABLE entries (
    seq         INTEGER PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind IN ('settle', 'void', 'amend')),
    call        BLOB    NOT NULL,
    at          INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    bottle      TEXT    NOT NULL,
    run         BLOB    NOT NULL,
    agent       TEXT,
    provider    TEXT    NOT NULL,
    wire        TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    input       INTEGER,
    cache_read  INTEGER,
    cache_write INTEGER,
    output      INTEGER,
    reasoning   INTEGER,
    charge      INTEGER NOT NULL,
    overrun     INTEGER NOT NULL,
    estimated   INTEGER NOT NULL,
    ending      TEXT    NOT NULL,
    status      INTEGER
) STRICT;
CREATE UNIQUE INDEX entries_resolve_once ON entries (call) WHERE kind <> 'amend';
CREATE INDEX entries_amended ON entries (call) WHERE kind = 'amend';
CREATE INDEX entries_of_bottle ON entries (bottle, seq);

-- Calls that are open: written before they are forwarded, gone when they are resolved.
CREATE TABLE open_calls (
    call            BLOB    PRIMARY KEY,
    started_at      INTEGER NOT NULL,
    bottle          TEXT    NOT NULL,
    run             BLOB    NOT NULL,
    agent           TEXT,
    provider        TEXT    NOT NULL,
    wire            TEXT    NOT NULL,
    model           TEXT    NOT NULL,
    accounts        TEXT    NOT NULL,
    reserved        INTEGER NOT NULL,
    estimate_input  INTEGER NOT NULL,
    estimate_output INTEGER NOT NULL,
    body_bytes      INTEGER NOT NULL,
    flowed          INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Sums of the entries by account and provider, kept in the entries' own transactions.
CREATE TABLE balances (
    account    TEXT    NOT NULL,
    provider   TEXT    NOT NULL,
    posted     INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    PRIMARY KEY (account, provider)
) STRICT, WITHOUT ROWID;

CREATE TABLE bottles (
    name            TEXT    PRIMARY KEY,
    run             BLOB    NOT NULL,
    parents         TEXT    NOT NULL,
    agent           TEXT,
    provider        TEXT,
    token           TEXT    NOT NULL,
    command         TEXT    NOT NULL,
    pid             INTEGER,
    start_ticks     INTEGER,
    budgets         TEXT    NOT NULL,
    lifecycle       TEXT    NOT NULL CHECK (lifecycle IN ('running', 'stopped', 'failed')),
    launched_at     INTEGER NOT NULL,
    ended_at        INTEGER,
    exit_code       INTEGER,
    stop_ordered_at INTEGER,
    refusals        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Ways that are closed to a bottle; no budget is an order of the operator.
CREATE TABLE closings (
    bottle   TEXT    NOT NULL REFERENCES bottles (name) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    provider TEXT    NOT NULL,
    budget   TEXT,
    since    INTEGER NOT NULL,
    why      TEXT,
    at_limit INTEGER,
    PRIMARY KEY (bottle, position)
) STRICT, WITHOUT ROWID;

-- Budgets set by command.
CREATE TABLE budgets (
    key        TEXT    PRIMARY KEY,
    max_tokens INTEGER NOT NULL,
    cap        TEXT    NOT NULL CHECK (cap IN ('hard', 'soft')),
    ceiling    INTEGER NOT NULL,
    warn       TEXT    NOT NULL,
    uid        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE raises (
    seq INTEGER PRIMARY KEY,
    key TEXT    NOT NULL,
    by  INTEGER NOT NULL,
    at  INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    why TEXT
) STRICT;
CREATE INDEX raises_of_key ON raises (key);

-- What happened, never changed; numbers never repeat.
CREATE TABLE events (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    bottle TEXT,
    body   TEXT    NOT NULL
) STRICT;
CREATE INDEX events_of_bottle ON events (bottle, seq) WHERE bottle IS NOT NULL;
