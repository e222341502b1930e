-- What the delivery engine needs: routes, doubts and the watchdog's times of messages, takeovers and pacing of
-- conversations, keys of API calls, the state of channels and the ledger.

-- A number or user id that leads to another conversation now was seen in this one before.
CREATE TABLE former_alias (
    identifier   TEXT NOT NULL,
    channel      TEXT NOT NULL,
    conversation INTEGER NOT NULL REFERENCES conversation (id),
    PRIMARY KEY (identifier, channel, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX contact_alias_identifier ON contact_alias (identifier);

-- last_seq: the newest message of the conversation; the others follow by `message.previous`. An index of messages by
-- conversation would be written to at another place for each message.
ALTER TABLE conversation ADD COLUMN last_seq INTEGER;
ALTER TABLE conversation ADD COLUMN taken_over_until INTEGER;
ALTER TABLE conversation ADD COLUMN pair_free_at INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET last_seq = newest.seq
    FROM (SELECT conversation, max(seq) AS seq FROM message GROUP BY conversation) AS newest
    WHERE newest.conversation = conversation.id;
CREATE INDEX conversation_taken_over ON conversation (id) WHERE taken_over_until IS NOT NULL;

-- Made anew for the state 'discarded' and without AUTOINCREMENT: the newest message is never deleted, so a number is
-- never given twice all the same.
CREATE TABLE message_new (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    conversation   INTEGER NOT NULL REFERENCES conversation (id),
    previous       INTEGER, -- seq of the message before it in the conversation
    direction      TEXT NOT NULL CHECK (direction IN ('in', 'out')),
    wamid          TEXT,
    type           TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN (
        'received', 'answered', 'not_answered', 'queued', 'sent', 'delivered', 'read', 'failed', 'dead',
        'discarded')),
    correlation    BLOB NOT NULL,
    created_at     INTEGER NOT NULL,
    sent_at        INTEGER,
    delivered_at   INTEGER,
    read_at        INTEGER,
    failed_at      INTEGER,
    watch_at       INTEGER, -- when the watchdog looks whether it was delivered
    undelivered_at INTEGER, -- when it found that it was not
    route          TEXT,
    doubt          TEXT,
    error          TEXT,
    payload        TEXT NOT NULL
) STRICT;
INSERT INTO message_new (seq, id, conversation, previous, direction, wamid, type, state, correlation, created_at,
        sent_at, delivered_at, read_at, failed_at, error, payload)
    SELECT seq, id, conversation, lag(seq) OVER (PARTITION BY conversation ORDER BY seq), direction, wamid, type,
        state, correlation, created_at, sent_at, delivered_at, read_at, failed_at, error, payload
    FROM message ORDER BY seq;
DROP TABLE message;
ALTER TABLE message_new RENAME TO message;
CREATE INDEX message_out_wamid ON message (wamid) WHERE direction = 'out' AND wamid IS NOT NULL;
CREATE INDEX message_watch ON message (watch_at) WHERE watch_at IS NOT NULL;
CREATE INDEX message_undelivered ON message (seq) WHERE undelivered_at IS NOT NULL;

-- bytes: of the payload. uncertain: as in `lane`, for an item that need not be at the head when it is looked at again.
ALTER TABLE work ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE work ADD COLUMN uncertain INTEGER NOT NULL DEFAULT 0;
UPDATE work SET bytes = (SELECT length(CAST(payload AS BLOB)) FROM message WHERE message.seq = work.seq);

-- Keys of API calls and what they were used for.
CREATE TABLE idempotency (
    key         BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    message     BLOB NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- What Graph's answers and Meta's webhooks told of a channel.
CREATE TABLE channel_state (
    channel       TEXT PRIMARY KEY,
    throughput    INTEGER,
    slowed_until  INTEGER,
    stopped_since INTEGER,
    probe_at      INTEGER,
    reason        TEXT,
    error         TEXT
) STRICT, WITHOUT ROWID;

-- The ledger's counters: what was taken in and how it ended.
CREATE TABLE tally (
    channel            TEXT PRIMARY KEY,
    accepted           INTEGER NOT NULL DEFAULT 0,
    answered           INTEGER NOT NULL DEFAULT 0,
    not_to_be_answered INTEGER NOT NULL DEFAULT 0,
    queued             INTEGER NOT NULL DEFAULT 0,
    sent               INTEGER NOT NULL DEFAULT 0,
    discarded          INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- Each message by its own state: a message that is in no queue and has no end would show as a gap.
INSERT INTO tally (channel, accepted, answered, not_to_be_answered, queued, sent)
    SELECT c.channel,
        sum(m.direction = 'in'),
        sum(m.state = 'answered'),
        sum(m.state = 'not_answered'),
        sum(m.direction = 'out'),
        sum(m.state IN ('sent', 'delivered', 'read', 'failed')
            AND NOT EXISTS (SELECT 1 FROM work w
                WHERE w.queue = 2 AND w.conversation = m.conversation AND w.seq = m.seq))
    FROM message m JOIN conversation c ON c.id = m.conversation GROUP BY c.channel;

-- For deleting by age, where rows don't lie in that order.
CREATE INDEX orphan_status_age ON orphan_status (at);
