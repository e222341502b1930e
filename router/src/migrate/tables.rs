//! Every table that is moved, with its columns as they are called in PostgreSQL and how SQLite is asked for them. A test
//! finds tables and columns of the SQLite schema that are neither moved nor listed as derived.

/// One table of the target.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// In the order of what `select` gives.
    pub(super) columns: &'static [&'static str],
    /// Gives the columns out of SQLite. Parameters where it has them: `:now`, and `:in_doubt`, until when a send that may
    /// have been made rests.
    pub(super) select: &'static str,
    /// The sequence that gives the numbers of a column, as SQL.
    pub(super) sequence: Option<(&'static str, &'static str)>,
}

/// In the order in which they are moved.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "webhook",
        columns: &["id", "received_at", "body"],
        select: "SELECT id, received_at, body FROM webhook",
        sequence: Some(("pg_get_serial_sequence('webhook', 'id')", "id")),
    },
    Table {
        name: "seen",
        columns: &["key", "seen_at"],
        select: "SELECT key, seen_at FROM seen",
        sequence: None,
    },
    Table {
        name: "conversation",
        columns: &[
            "id",
            "channel",
            "contact",
            "wa_id",
            "user_id",
            "username",
            "name",
            "created_at",
            "last_inbound_at",
            "taken_over_until",
            "pair_free_at",
        ],
        select: "SELECT id, channel, contact, wa_id, user_id, username, name, created_at, last_inbound_at,
            taken_over_until, pair_free_at FROM conversation",
        sequence: Some(("'conversation_id'", "id")),
    },
    Table {
        name: "contact_alias",
        columns: &["channel", "identifier", "conversation"],
        select: "SELECT channel, identifier, conversation FROM contact_alias",
        sequence: None,
    },
    Table {
        name: "former_alias",
        columns: &["identifier", "channel", "conversation"],
        select: "SELECT identifier, channel, conversation FROM former_alias",
        sequence: None,
    },
    Table {
        name: "message",
        columns: &[
            "seq",
            "id",
            "conversation",
            "direction",
            "wamid",
            "type",
            "state",
            "correlation",
            "created_at",
            "sent_at",
            "delivered_at",
            "read_at",
            "failed_at",
            "watch_at",
            "undelivered_at",
            "route",
            "doubt",
            "error",
            "payload",
            "trace",
        ],
        select: "SELECT seq, id, conversation, direction, wamid, type, state, correlation, created_at, sent_at,
            delivered_at, read_at, failed_at, watch_at, undelivered_at, route, doubt, error, payload, trace
            FROM message",
        sequence: Some(("'message_seq'", "seq")),
    },
    Table {
        name: "work",
        columns: &[
            "queue",
            "conversation",
            "seq",
            "attempts",
            "counted",
            "last_reason",
            "last_error",
            "bytes",
            "uncertain",
        ],
        select: "SELECT queue, conversation, seq, attempts, counted, last_reason, last_error, bytes, uncertain
            FROM work",
        sequence: None,
    },
    // Nobody holds a lease on a file that no router has open: what was leased may have been done.
    Table {
        name: "lane",
        columns: &["queue", "conversation", "due_at", "owner", "token", "uncertain"],
        select: "SELECT queue, conversation,
            CASE WHEN queue = 2 AND (due_at IS NULL OR uncertain OR EXISTS (SELECT 1 FROM work w
                    WHERE w.queue = 2 AND w.conversation = lane.conversation AND w.uncertain))
                THEN max(coalesce(due_at, 0), :in_doubt) ELSE coalesce(due_at, :now) END, NULL, 0,
            CASE WHEN due_at IS NULL THEN 1 ELSE uncertain END FROM lane",
        sequence: None,
    },
    Table {
        name: "dead_letter",
        columns: &["seq", "queue", "conversation", "reason", "error", "attempts", "died_at"],
        select: "SELECT seq, queue, conversation, reason, error, attempts, died_at FROM dead_letter",
        sequence: None,
    },
    Table {
        name: "event",
        columns: &["id", "received_at", "channel", "field", "raw"],
        select: "SELECT id, received_at, channel, field, raw FROM event",
        sequence: Some(("pg_get_serial_sequence('event', 'id')", "id")),
    },
    Table {
        name: "orphan_status",
        columns: &["wamid", "state", "at", "error"],
        select: "SELECT wamid, state, at, error FROM orphan_status",
        sequence: None,
    },
    Table {
        name: "idempotency",
        columns: &["key", "fingerprint", "message", "created_at"],
        select: "SELECT key, fingerprint, message, created_at FROM idempotency",
        sequence: None,
    },
    Table {
        name: "channel_state",
        columns: &[
            "channel",
            "throughput",
            "slowed_until",
            "stopped_since",
            "probe_at",
            "reason",
            "error",
        ],
        select: "SELECT channel, throughput, slowed_until, stopped_since, probe_at, reason, error FROM channel_state",
        sequence: None,
    },
    // PostgreSQL keeps the depth of the queues with the ledger; SQLite counts it when the file is opened.
    Table {
        name: "tally",
        columns: &[
            "slot",
            "channel",
            "accepted",
            "answered",
            "not_to_be_answered",
            "queued",
            "sent",
            "discarded",
            "inbox",
            "outbox",
            "dead_letters",
            "bytes",
        ],
        select: "WITH depth AS (
                SELECT c.channel, sum(w.queue = 1) AS inbox, sum(w.queue = 2) AS outbox, sum(w.bytes) AS bytes
                FROM work w JOIN conversation c ON c.id = w.conversation GROUP BY c.channel),
            dead AS (
                SELECT c.channel, count(*) AS letters
                FROM dead_letter d JOIN conversation c ON c.id = d.conversation GROUP BY c.channel),
            known AS (SELECT channel FROM tally UNION SELECT channel FROM depth UNION SELECT channel FROM dead)
            SELECT 0, known.channel, coalesce(accepted, 0), coalesce(answered, 0), coalesce(not_to_be_answered, 0),
                coalesce(queued, 0), coalesce(sent, 0), coalesce(discarded, 0), coalesce(inbox, 0),
                coalesce(outbox, 0), coalesce(letters, 0), coalesce(bytes, 0)
            FROM known LEFT JOIN tally ON tally.channel = known.channel LEFT JOIN depth ON depth.channel = known.channel
                LEFT JOIN dead ON dead.channel = known.channel",
        sequence: None,
    },
];

/// What SQLite keeps to find its rows faster, or only for itself.
#[cfg(test)]
pub(super) const NOT_MOVED: &[(&str, &str)] =
    &[("conversation", "last_seq"), ("message", "previous"), ("probe", "id"), ("probe", "at")];
