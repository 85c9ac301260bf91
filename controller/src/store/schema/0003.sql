-- An amendment by the operator says who and why.
ALTER TABLE entries ADD COLUMN uid INTEGER;
ALTER TABLE entries ADD COLUMN why TEXT;

-- What was charged to whom when, by the minute of the reservation, and by the quarter of an hour
-- where that is more than a day ago: windows count it. Kept for a month.
CREATE TABLE charged (
    account    TEXT    NOT NULL,
    provider   TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    posted     INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    PRIMARY KEY (account, provider, at)
) STRICT, WITHOUT ROWID;
INSERT INTO charged
    SELECT accounts.value, entries.provider, entries.started_at - entries.started_at % 900000,
        sum(entries.charge), sum(coalesce(entries.cache_read, 0))
    FROM entries
    JOIN paths ON paths.seq = (
        SELECT max(seq) FROM paths WHERE run = entries.run AND seq <= entries.seq)
    JOIN json_each(paths.accounts) AS accounts
    WHERE entries.started_at > (SELECT max(started_at) FROM entries) - 2764800000
        AND accounts.value NOT LIKE 'run:%' AND accounts.value NOT LIKE 'launch:%'
    GROUP BY 1, 2, 3;

-- When the block of a budget began, and what its last reset takes off its count.
CREATE TABLE blocks (
    key     TEXT    PRIMARY KEY,
    from_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE resets (
    key        TEXT    PRIMARY KEY,
    at         INTEGER NOT NULL,
    from_at    INTEGER,
    posted     INTEGER NOT NULL,
    cache_read INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The latest instant seen when the host's clock went back.
CREATE TABLE seen (at INTEGER NOT NULL) STRICT;
INSERT INTO seen VALUES (0);

ALTER TABLE raises ADD COLUMN until INTEGER;
ALTER TABLE budgets ADD COLUMN per_call INTEGER;
ALTER TABLE budgets ADD COLUMN policy TEXT;
ALTER TABLE budgets ADD COLUMN gate TEXT;

-- What a budget had left when a call alone did not fit, and no longer its limit then.
ALTER TABLE closings RENAME COLUMN at_limit TO at_room;
UPDATE closings SET at_room = NULL;
