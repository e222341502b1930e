-- By which trace the message is told about, 24 or 40 bytes; null where it is not sampled.
ALTER TABLE message ADD COLUMN trace BYTEA;
