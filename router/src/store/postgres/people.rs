//! Reads what is known of contacts into a [`Book`] and writes what it decided.
//!
//! Whoever only uses what is known holds the channel's lock with others; whoever changes it holds it alone. A channel is
//! thus locked before anything else in a transaction.

use std::{collections::BTreeSet, sync::Arc};

use tokio_postgres::{Error, Row};

use super::{
    book::{Book, Changes, identifiers},
    session::{Pipe, Session, numbers},
};
use crate::store::{Contact, Micros, SeenKey};

const LOCK_SHARED: &str = "SELECT pg_advisory_xact_lock_shared(1467118930, k) FROM UNNEST($1::int[]) WITH ORDINALITY u(k, o) ORDER BY o";
const LOCK_ALONE: &str =
    "SELECT pg_advisory_xact_lock(1467118930, k) FROM UNNEST($1::int[]) WITH ORDINALITY u(k, o) ORDER BY o";

pub(super) const LOOK_UP: &str = "SELECT u.o, c.id, c.contact, c.wa_id, c.user_id, c.username, c.name
    FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY u(ch, i, o)
    JOIN contact_alias a ON a.identifier = u.i AND a.channel = u.ch
    JOIN conversation c ON c.id = a.conversation";

const NEW_IDS: &str = "SELECT nextval('conversation_id') FROM generate_series(1, $1::bigint)";

const WITH_WORK: &str =
    "SELECT DISTINCT conversation FROM lane WHERE queue IN (1, 2) AND conversation = ANY($1)
         AND (token <> 0 OR due_at IS NOT NULL)";

const OPEN: &str = "INSERT INTO conversation (id, channel, contact, wa_id, user_id, username, name, created_at)
    SELECT u.*, $8 FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) u";

pub(super) const UPDATE: &str = "UPDATE conversation c SET wa_id = u.wa_id, user_id = u.user_id, username = u.username, name = u.name
    FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) u(id, wa_id, user_id, username, name)
    WHERE c.id = u.id";

const FORMER: &str = "INSERT INTO former_alias (channel, identifier, conversation)
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[]) ON CONFLICT DO NOTHING";

const ALIASES: &str = "INSERT INTO contact_alias (channel, identifier, conversation)
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[])
    ON CONFLICT (identifier, channel) DO UPDATE SET conversation = excluded.conversation";

/// Contacts that a transaction deals with, as columns for the look-up.
#[derive(Debug, Default)]
pub(super) struct People {
    locks: Vec<i32>,
    channels: Vec<Arc<str>>,
    identifiers: Vec<String>,
    channel_columns: Vec<String>,
    /// Contacts, some perhaps twice: as many conversations at most are opened.
    count: i64,
}

impl People {
    pub(super) fn of<'a>(contacts: impl Iterator<Item = (&'a Arc<str>, &'a Contact)>) -> Self {
        let (mut people, mut locks, mut asked) = (Self::default(), BTreeSet::new(), BTreeSet::new());
        for (channel, contact) in contacts {
            people.count += 1;
            for identifier in identifiers(contact) {
                if asked.insert((channel, identifier)) {
                    locks.insert(lock_key(channel));
                    people.channels.push(channel.clone());
                    people.channel_columns.push(channel.to_string());
                    people.identifiers.push(identifier.replace('\0', "\u{fffd}"));
                }
            }
        }
        people.locks = locks.into_iter().collect();
        people
    }

    pub(super) fn is_empty(&self) -> bool {
        self.identifiers.is_empty()
    }

    /// Locks the channels; `alone` when contacts may be changed.
    pub(super) async fn push_lock<'s>(&'s self, pipe: &mut Pipe<'s>, alone: bool) {
        if !self.is_empty() {
            pipe.push(if alone { LOCK_ALONE } else { LOCK_SHARED }, vec![&self.locks]).await;
        }
    }

    pub(super) async fn push_look_up<'s>(&'s self, pipe: &mut Pipe<'s>) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        Some(pipe.push(LOOK_UP, vec![&self.channel_columns, &self.identifiers]).await)
    }

    pub(super) fn book(&self, rows: &[Row]) -> Result<Book, Error> {
        let mut book = Book::default();
        for row in rows {
            let place = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
            let (Some(channel), Some(identifier)) = (self.channels.get(place), self.identifiers.get(place))
            else {
                continue;
            };
            let contact = read_contact(row, 2)?;
            book.learn(channel, identifier, row.try_get(1)?, || contact);
        }
        Ok(book)
    }

    /// Gives the book what it needs to decide about contacts that are not settled.
    pub(super) async fn prepare(&self, session: &Session, book: &mut Book) -> Result<(), Error> {
        let known = book.known_ids();
        let mut pipe = session.pipe();
        let ids = pipe.push(NEW_IDS, vec![&self.count]).await;
        let busy = pipe.push(WITH_WORK, vec![&known]).await;
        let mut answers = pipe.answers().await?;
        let mut ids = numbers(&answers.take(ids))?;
        ids.reverse();
        book.give_ids(ids);
        book.set_busy(numbers(&answers.take(busy))?);
        Ok(())
    }
}

/// The changes as columns.
#[derive(Debug, Default)]
pub(super) struct Written {
    opened: Columns,
    updated: Columns,
    former: (Vec<String>, Vec<String>, Vec<i64>),
    aliases: (Vec<String>, Vec<String>, Vec<i64>),
    now: Micros,
}

#[derive(Debug, Default)]
struct Columns {
    ids: Vec<i64>,
    channels: Vec<String>,
    keys: Vec<String>,
    optional: [Vec<Option<String>>; 4],
}

impl Columns {
    fn add(&mut self, id: i64, channel: &str, contact: &Contact) {
        self.ids.push(id);
        self.channels.push(channel.to_owned());
        self.keys.push(contact.key.clone());
        let Contact { key: _, wa_id, user_id, username, name } = contact;
        for (column, value) in self.optional.iter_mut().zip([wa_id, user_id, username, name]) {
            column.push(value.clone());
        }
    }
}

impl Written {
    pub(super) fn of(book: &Book, now: Micros) -> Self {
        let mut written = Self { now, ..Self::default() };
        let Changes { opened, updated, aliases, former } = &book.changes;
        let mut updated: Vec<i64> = updated.iter().filter(|id| !opened.contains(id)).copied().collect();
        updated.sort_unstable();
        for (ids, columns) in [(opened, &mut written.opened), (&updated, &mut written.updated)] {
            for &id in ids {
                if let Some(entry) = book.entry(id) {
                    columns.add(id, &entry.channel, &entry.contact);
                }
            }
        }
        for ((channel, identifier), id) in aliases {
            written.aliases.0.push(channel.to_string());
            written.aliases.1.push(identifier.clone());
            written.aliases.2.push(*id);
        }
        for (channel, identifier, id) in former {
            written.former.0.push(channel.to_string());
            written.former.1.push(identifier.clone());
            written.former.2.push(*id);
        }
        written
    }

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>) {
        let [wa_ids, user_ids, usernames, names] = &self.opened.optional;
        if !self.opened.ids.is_empty() {
            let Columns { ids, channels, keys, .. } = &self.opened;
            pipe.push(OPEN, vec![ids, channels, keys, wa_ids, user_ids, usernames, names, &self.now]).await;
        }
        let [wa_ids, user_ids, usernames, names] = &self.updated.optional;
        if !self.updated.ids.is_empty() {
            pipe.push(UPDATE, vec![&self.updated.ids, wa_ids, user_ids, usernames, names]).await;
        }
        if !self.former.0.is_empty() {
            pipe.push(FORMER, vec![&self.former.0, &self.former.1, &self.former.2]).await;
        }
        if !self.aliases.0.is_empty() {
            pipe.push(ALIASES, vec![&self.aliases.0, &self.aliases.1, &self.aliases.2]).await;
        }
    }
}

fn lock_key(channel: &str) -> i32 {
    let SeenKey(hash) = SeenKey::new(&["channel", channel]);
    // Not 1, which is the lock of the migrations.
    i32::from_be_bytes([hash[0], hash[1], hash[2], hash[3] | 2])
}

/// From five columns: contact, wa_id, user_id, username, name.
pub(super) fn read_contact(row: &Row, first: usize) -> Result<Contact, Error> {
    Ok(Contact {
        key: row.try_get(first)?,
        wa_id: row.try_get(first + 1)?,
        user_id: row.try_get(first + 2)?,
        username: row.try_get(first + 3)?,
        name: row.try_get(first + 4)?,
    })
}
