-- Which accounts a run's calls count on: a row where that is another list than before, by the entry
-- from which it holds. An entry counts on the last list of its run at or before it.
CREATE TABLE paths (
    seq      INTEGER PRIMARY KEY,
    run      BLOB    NOT NULL,
    accounts TEXT    NOT NULL
) STRICT;
CREATE INDEX paths_of_run ON paths (run, seq);

-- The balances from before any list was kept: sums of the entries up to this one.
CREATE TABLE openings (
    account  TEXT    NOT NULL,
    provider TEXT    NOT NULL,
    posted   INTEGER NOT NULL,
    PRIMARY KEY (account, provider)
) STRICT, WITHOUT ROWID;
CREATE TABLE opened_after (seq INTEGER NOT NULL) STRICT;
INSERT INTO openings SELECT account, provider, posted FROM balances;
INSERT INTO opened_after SELECT coalesce(max(seq), 0) FROM entries;
