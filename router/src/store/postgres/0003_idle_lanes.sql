-- A lane whose work is done stays for a while, since its conversation is likely to go on: taking it again changes a row
-- in place, where making and deleting it for each message left dead entries in three indexes. For that nothing that a
-- lease changes may be in an index.
--   waits:  token 0, due at `due_at`
--   leased: token not 0, until `leased_until` by the clock of this database; `due_at` is null
--   idle:   token 0, `due_at` null, since `leased_until`; there is no work
DROP INDEX lane_due;
DROP INDEX lane_expiry;
ALTER TABLE lane ALTER COLUMN due_at DROP NOT NULL;
ALTER TABLE lane ADD COLUMN leased_until BIGINT NOT NULL DEFAULT 0;
UPDATE lane SET leased_until = due_at, due_at = NULL WHERE token <> 0;
CREATE INDEX lane_due ON lane (queue, due_at) WHERE due_at IS NOT NULL;
ALTER TABLE lane SET (fillfactor = 50);
