-- On what terms a call was admitted: what its request was made to ask for at the most, in tokens of
-- one choice; and whether nothing bounded it, where a budget admits by the most.
ALTER TABLE open_calls ADD COLUMN capped INTEGER;
ALTER TABLE open_calls ADD COLUMN unbounded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entries ADD COLUMN capped INTEGER;
ALTER TABLE entries ADD COLUMN unbounded INTEGER NOT NULL DEFAULT 0;
