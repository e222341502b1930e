//! What one transaction works with. The statements themselves are in the files beside this one, by task.

use std::{collections::HashMap, sync::Arc};

use rusqlite::Connection;

use super::{known::KnownConversations, sweep::Places, tally::Tallies};
use crate::store::{Contact, Depth, StoreError};

/// Identifiers of a channel kept in memory, to spare a look-up for each message; past this the cache starts anew.
const CACHED_CONVERSATIONS: usize = 20_000;

/// A conversation's key in the database, and its contact.
pub(super) type Conversation = (i64, Arc<Contact>);

/// Memory of the writer that outlives a transaction. All of it can be rebuilt from the database.
#[derive(Debug)]
pub(super) struct Memory {
    /// Names this run of the process in leases.
    pub(super) owner: String,
    /// Grows by one with each lease, over restarts too (it starts at the present in microseconds).
    pub(super) last_token: i64,
    /// Whether `orphan_status` holds anything; `None` until somebody has looked.
    pub(super) has_orphans: Option<bool>,
    /// By channel, then by identifier.
    conversations: HashMap<Arc<str>, HashMap<Box<str>, Conversation>>,
    pub(super) known: KnownConversations,
    /// Where the next deletion of old rows goes on.
    pub(super) places: Places,
}

impl Memory {
    pub(super) fn new(owner: String, now: i64) -> Self {
        Self {
            owner,
            last_token: now,
            has_orphans: None,
            conversations: HashMap::new(),
            known: KnownConversations::default(),
            places: Places::default(),
        }
    }

    /// After a rollback nothing that was learned in the transaction may be believed.
    pub(super) fn forget(&mut self) {
        self.forget_conversations();
        self.known.clear();
        self.has_orphans = None;
    }

    pub(super) fn forget_conversations(&mut self) {
        self.conversations.clear();
    }

    pub(super) fn cached(&self, channel: &str, identifier: &str) -> Option<&Conversation> {
        self.conversations.get(channel)?.get(identifier)
    }

    pub(super) fn cache(&mut self, channel: &Arc<str>, identifier: &str, id: i64, contact: &Arc<Contact>) {
        let of_channel = self.conversations.entry(channel.clone()).or_default();
        if of_channel.len() >= CACHED_CONVERSATIONS {
            of_channel.clear();
        }
        of_channel.insert(Box::from(identifier), (id, contact.clone()));
    }

    pub(super) fn next_token(&mut self) -> i64 {
        self.last_token += 1;
        self.last_token
    }
}

/// A transaction that is open on the writer's connection.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) sql: &'a Connection,
    pub(super) memory: &'a mut Memory,
    /// Change of the depth, to be counted when the transaction is committed.
    pub(super) depth: Depth,
    /// Change of the ledger, to be written before it is.
    pub(super) tallies: Tallies,
}

impl<'a> Session<'a> {
    pub(super) fn new(sql: &'a Connection, memory: &'a mut Memory) -> Self {
        Self { sql, memory, depth: Depth::default(), tallies: Tallies::default() }
    }
}

/// Why an operation inside the transaction stopped. Only `Sqlite` endangers the transaction; a `Refused` operation
/// has written nothing.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Refused(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Failure {
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Sqlite(error) => StoreError::Database(error.to_string()),
            Self::Refused(error) => error,
        }
    }
}
