-- Entries of calls that are kept one by one no longer: sums by hour. A row stands for the entries
-- from `first` to `seq` that agree in what it names, and is never changed. They count on the list of
-- accounts at `path`; 0 is those that the balances from before any list was kept contain.
CREATE TABLE rollups (
    seq         INTEGER PRIMARY KEY,
    first       INTEGER NOT NULL,
    hour        INTEGER NOT NULL,
    bottle      TEXT    NOT NULL,
    run         BLOB    NOT NULL,
    agent       TEXT,
    provider    TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    path        INTEGER,
    calls       INTEGER NOT NULL,
    voided      INTEGER NOT NULL,
    amended     INTEGER NOT NULL,
    estimated   INTEGER NOT NULL,
    input       INTEGER,
    cache_read  INTEGER,
    cache_write INTEGER,
    output      INTEGER,
    reasoning   INTEGER,
    charge      INTEGER NOT NULL,
    overrun     INTEGER NOT NULL
) STRICT;

-- Which entries are rolled up: those of calls from `first` to `last`, in one transaction each.
CREATE TABLE rolled_up (
    last    INTEGER PRIMARY KEY,
    first   INTEGER NOT NULL,
    entries INTEGER NOT NULL
) STRICT;
