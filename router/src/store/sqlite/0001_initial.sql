-- Times are unix microseconds UTC. JSON is TEXT, so that it stays byte for byte what it was.

-- Every webhook that brought something new, as Meta signed it.
CREATE TABLE webhook (
    id          INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    body        BLOB NOT NULL
) STRICT;

-- Keys of everything stored, so that what Meta delivers again (for up to 7 days) is recognised.
CREATE TABLE seen (
    key     BLOB PRIMARY KEY,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- (channel, contact): the unit of order.
CREATE TABLE conversation (
    id              INTEGER PRIMARY KEY,
    channel         TEXT NOT NULL,
    contact         TEXT NOT NULL,
    wa_id           TEXT,
    user_id         TEXT,
    username        TEXT,
    name            TEXT,
    created_at      INTEGER NOT NULL,
    last_inbound_at INTEGER
) STRICT;

-- Every identifier by which a contact was seen: either of user id and WhatsApp id may be missing in a message.
CREATE TABLE contact_alias (
    channel      TEXT NOT NULL,
    identifier   TEXT NOT NULL,
    conversation INTEGER NOT NULL REFERENCES conversation (id),
    PRIMARY KEY (channel, identifier)
) STRICT, WITHOUT ROWID;

-- The message store, both directions. `seq` is the order in which messages were stored.
CREATE TABLE message (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE,
    conversation INTEGER NOT NULL REFERENCES conversation (id),
    direction    TEXT NOT NULL CHECK (direction IN ('in', 'out')),
    wamid        TEXT,
    type         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN (
        'received', 'answered', 'not_answered', 'queued', 'sent', 'delivered', 'read', 'failed', 'dead')),
    payload      TEXT NOT NULL,
    correlation  BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    sent_at      INTEGER,
    delivered_at INTEGER,
    read_at      INTEGER,
    failed_at    INTEGER,
    error        TEXT
) STRICT;
CREATE INDEX message_out_wamid ON message (wamid) WHERE direction = 'out' AND wamid IS NOT NULL;

-- Unfinished work only: a row leaves in the transaction that finishes it. queue: 1 inbox, 2 outbox.
CREATE TABLE work (
    queue        INTEGER NOT NULL CHECK (queue IN (1, 2)),
    conversation INTEGER NOT NULL,
    seq          INTEGER NOT NULL REFERENCES message (seq),
    attempts     INTEGER NOT NULL DEFAULT 0, -- failed ones
    counted      INTEGER NOT NULL DEFAULT 0, -- those of them that count against the limit
    last_reason  TEXT,
    last_error   TEXT,
    PRIMARY KEY (queue, conversation, seq)
) STRICT, WITHOUT ROWID;

-- One row for each conversation with work in a queue. Leased: due_at is null, owner and token say by whom.
-- `uncertain`: the item at the head may have been done although nobody said so.
CREATE TABLE lane (
    queue        INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    due_at       INTEGER,
    owner        TEXT,
    token        INTEGER NOT NULL DEFAULT 0,
    uncertain    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (queue, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_due ON lane (queue, due_at) WHERE due_at IS NOT NULL;

-- Work that will not be tried again by itself.
CREATE TABLE dead_letter (
    seq          INTEGER PRIMARY KEY REFERENCES message (seq),
    queue        INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    error        TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    died_at      INTEGER NOT NULL
) STRICT;

-- Account-level changes, errors and items that could not be read.
CREATE TABLE event (
    id          INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    channel     TEXT,
    field       TEXT NOT NULL,
    raw         TEXT NOT NULL
) STRICT;

-- Statuses of messages that we do not know (yet): they can overtake Graph's own answer.
CREATE TABLE orphan_status (
    wamid TEXT NOT NULL,
    state TEXT NOT NULL,
    at    INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (wamid, state)
) STRICT, WITHOUT ROWID;

-- Written to when the database has refused a write, to find out when it takes them again.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
