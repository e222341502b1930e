//! Whether the store on SQLite stays as quick when it holds much: makes large files directly, and measures what a
//! message costs on them and how soon a backlog drains after a start. See scripts/bench-scale.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Parser;
use router::clock::Clock;
use router::store::{
    Contact, Delivery, DeliveryState, Finish, Lease, MessageId, NewInbound, NewOutbound, NewStatus, Outcome,
    Queue, SeenKey, Store, now,
    sqlite::{Location, SqliteStore},
};
use rusqlite::{Connection, params};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
enum Command {
    /// Makes a file with finished messages, and with messages that wait in the inbox.
    Make {
        file: PathBuf,
        #[arg(long, default_value_t = 0)]
        messages: i64,
        #[arg(long, default_value_t = 0)]
        pending: i64,
        #[arg(long, default_value_t = 10_000)]
        conversations: i64,
    },
    /// Takes messages in, answers and sends them, and hears that they were sent, delivered and read.
    Measure {
        file: PathBuf,
        #[arg(long, default_value_t = 20_000)]
        messages: usize,
        #[arg(long, default_value_t = 10_000)]
        conversations: usize,
    },
    /// Opens the file as a restart does and takes the first conversations.
    Restart { file: PathBuf },
}

fn main() -> Result<()> {
    let command = Command::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match command {
        Command::Make { file, messages, pending, conversations } => {
            make(&file, messages, pending, conversations)
        }
        Command::Measure { file, messages, conversations } => {
            runtime.block_on(measure(&file, messages, conversations))
        }
        Command::Restart { file } => runtime.block_on(restart(&file)),
    }
}

fn open(file: &Path) -> Result<SqliteStore> {
    Ok(SqliteStore::open(&Location(file.to_owned()), Duration::from_secs(1), Clock::default())?)
}

/// The rows that `messages` answered messages and as many replies leave, and `pending` messages that wait; the
/// conversations take turns.
fn make(file: &Path, messages: i64, pending: i64, conversations: i64) -> Result<()> {
    drop(open(file)?);
    let mut sql = Connection::open(file)?;
    sql.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA temp_store = FILE;")?;
    let transaction = sql.transaction()?;
    // Built at the end, sorted: each row of its own would take another page.
    transaction.execute_batch("DROP INDEX message_out_wamid")?;
    let count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";
    let run = |sql: &str, parameters: &[i64]| -> Result<()> {
        transaction.execute(&format!("{count} {sql}"), rusqlite::params_from_iter(parameters))?;
        Ok(())
    };
    if conversations > 0 {
        run(
            "INSERT INTO conversation (id, channel, contact, wa_id, created_at)
                 SELECT i, 'default', 49000000000 + i, 49000000000 + i, 1 FROM n",
            &[conversations],
        )?;
        run("INSERT INTO contact_alias SELECT 'default', 49000000000 + i, i FROM n", &[conversations])?;
    }
    let rows = messages * 2 + pending;
    if rows > 0 {
        // Odd rows are messages and even ones their replies, as long as there are finished ones.
        run(
            "INSERT INTO message (seq, id, conversation, previous, direction, wamid, type, state, correlation,
                 created_at, payload)
             SELECT i, unhex(printf('%012x', i) || hex(randomblob(10))), (i - 1) / 2 % ?2 + 1,
                 CASE WHEN i % 2 = 0 THEN i - 1 WHEN i > 2 * ?2 THEN i - 2 * ?2 + 1 END,
                 CASE WHEN i <= ?3 AND i % 2 = 0 THEN 'out' ELSE 'in' END,
                 'wamid.' || hex(randomblob(20)), 'text',
                 CASE WHEN i > ?3 THEN 'received' WHEN i % 2 = 0 THEN 'read' ELSE 'answered' END,
                 randomblob(16), 1700000000000000 + i * 1000, '{\"type\":\"text\",\"text\":{\"body\":\"' ||
                 hex(randomblob(40)) || '\"}}' FROM n",
            &[rows, conversations, messages * 2],
        )?;
        // What was seen: the message, and that its reply was sent, which has a time; in the order of the index.
        run(
            "INSERT OR IGNORE INTO seen (key, seen_at)
             SELECT key, ?2 FROM (SELECT randomblob(16) AS key FROM n
                 UNION ALL
                 SELECT unhex(printf('%08x', 1700000000 + i / 500) || hex(randomblob(12))) FROM n WHERE i <= ?3)
             ORDER BY key",
            &[messages + pending, now(), messages],
        )?;
    }
    if pending > 0 {
        run(
            "INSERT INTO work (queue, conversation, seq, bytes)
             SELECT 1, conversation, seq, length(payload) FROM message WHERE state = 'received' AND ?1 > 0
             ORDER BY conversation, seq",
            &[1],
        )?;
        run(
            "INSERT INTO lane (queue, conversation, due_at) SELECT DISTINCT 1, conversation, ?1 FROM work",
            &[1],
        )?;
    }
    transaction.execute_batch(
        "UPDATE conversation SET last_seq = newest.seq
             FROM (SELECT conversation, max(seq) AS seq FROM message GROUP BY conversation) AS newest
             WHERE newest.conversation = conversation.id;
         CREATE INDEX message_out_wamid ON message (wamid) WHERE direction = 'out' AND wamid IS NOT NULL;",
    )?;
    transaction.execute(
        "INSERT INTO tally (channel, accepted, answered, queued, sent) VALUES ('default', ?1, ?2, ?2, ?2)",
        params![messages + pending, messages],
    )?;
    transaction.commit()?;
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    println!("{{\"file\":{:?},\"bytes\":{}}}", file, file.metadata()?.len());
    Ok(())
}

async fn measure(file: &Path, messages: usize, conversations: usize) -> Result<()> {
    const AT_ONCE: usize = 64;
    let store: Arc<dyn Store> = Arc::new(open(file)?);
    let (started, before) = (Instant::now(), Usage::now()?);
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for index in (task..messages).step_by(AT_ONCE) {
                    // Spread over the conversations, two tasks never in one at a time.
                    let spread = index.wrapping_mul(7_919) % (conversations / AT_ONCE).max(1);
                    whole_way(&*store, spread * AT_ONCE + task + 1, index).await?;
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let wall = started.elapsed();
    // What was left to copy from the log belongs to it.
    drop(store);
    let used = Usage::now()?;
    let each = |sum: u64| sum as f64 / messages as f64;
    println!(
        "{{\"messages\":{messages},\"wall_us\":{:.1},\"cpu_us\":{:.1},\"written_bytes\":{:.0},\"read_bytes\":{:.0}}}",
        wall.as_secs_f64() * 1e6 / messages as f64,
        each(used.cpu_us - before.cpu_us),
        each(used.written - before.written),
        each(used.read - before.read),
    );
    Ok(())
}

/// One message from its webhook to the last status of its reply.
async fn whole_way(store: &dyn Store, contact: usize, index: usize) -> Result<()> {
    let number = (49_000_000_000 + contact).to_string();
    let unique = format!("{index}-{}", now());
    let raw = format!("{{\"type\":\"text\",\"text\":{{\"body\":\"{index:0>80}\"}}}}");
    let mut delivery = empty(raw.len());
    delivery.messages.push(NewInbound {
        id: MessageId::generate(),
        seen_key: SeenKey::new(&["message", &unique]),
        channel: Arc::from("default"),
        contact: Arc::new(Contact {
            key: number.clone(),
            wa_id: Some(number),
            user_id: None,
            username: None,
            name: None,
        }),
        wamid: Arc::from(format!("wamid.{unique}")),
        message_type: "text",
        raw: Arc::from(raw.as_str()),
        sent_at: Some(now()),
        trace: None,
    });
    let mut accepted = store.accept(delivery, 1).await?;
    let claim = accepted.claims.pop().ok_or("the conversation was not idle")?;
    let reply = NewOutbound {
        id: MessageId::generate(),
        message_type: "text".to_owned(),
        payload: Arc::from(raw),
        route: Some(Arc::from("default")),
        trace: None,
    };
    let with = Finish { claim_outbox: true, ..Finish::default() };
    let answered = Outcome::Answered(vec![reply.clone()]);
    let opened = store.finish(claim.lease, &claim.item, answered, with).await?.opened;
    let opened = opened.ok_or("the outbox was not idle")?;
    let wamid = format!("wamid.{:032x}", SeenKeyNumber::of(&unique));
    let sent =
        Outcome::Sent { wamid: Some(wamid.clone()), doubt: None, watch_at: Some(now() + 3_600_000_000) };
    store.finish(opened.lease, &opened.item, sent, Finish::default()).await?;
    for state in [DeliveryState::Sent, DeliveryState::Delivered, DeliveryState::Read] {
        let mut delivery = empty(300);
        delivery.statuses.push(NewStatus {
            seen_key: SeenKey::in_time(now() / 1_000_000, &["status", &wamid, state.as_str()]),
            wamid: wamid.clone(),
            message: Some(reply.id),
            state,
            at: now(),
            error: None,
            is_plain: true,
        });
        store.accept(delivery, 0).await?;
    }
    Ok(())
}

/// Random-looking, as real identifiers of messages are.
struct SeenKeyNumber;

impl SeenKeyNumber {
    fn of(unique: &str) -> u128 {
        u128::from_be_bytes(SeenKey::new(&["sent", unique]).0)
    }
}

/// A webhook with a body of about that size.
fn empty(bytes: usize) -> Delivery {
    Delivery {
        received_at: now(),
        body: Bytes::from(vec![b' '; bytes + 400]),
        messages: Vec::new(),
        statuses: Vec::new(),
        echoes: Vec::new(),
        events: Vec::new(),
        channels: Vec::new(),
        trace: None,
    }
}

async fn restart(file: &Path) -> Result<()> {
    let started = Instant::now();
    let store = open(file)?;
    let opened = started.elapsed();
    let claims = store.claim(Queue::Inbox, 64).await?.claims;
    let claimed = started.elapsed();
    let count = claims.len();
    for claim in claims {
        let lease: Lease = claim.lease;
        store.finish(lease, &claim.item, Outcome::NotAnswered { reason: "bench" }, Finish::default()).await?;
    }
    let drained = started.elapsed();
    let looked = Instant::now();
    let queues = store.queues().await?;
    let ledger = store.ledger().await?;
    let looked = looked.elapsed();
    println!(
        "{{\"waiting\":{},\"gap\":{},\"claimed\":{count},\"open_ms\":{},\"first_claim_ms\":{},\"first_done_ms\":{},\
         \"queues_and_ledger_ms\":{},\"rss_mib\":{}}}",
        queues.inbox.ready + queues.inbox.in_progress,
        ledger.iter().map(|account| account.inbox_gap()).sum::<i64>(),
        opened.as_millis(),
        claimed.as_millis(),
        drained.as_millis(),
        looked.as_millis(),
        status("VmHWM:")? / 1024,
    );
    Ok(())
}

/// What this process has used so far, as Linux counts it.
struct Usage {
    cpu_us: u64,
    written: u64,
    read: u64,
}

impl Usage {
    fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |index: usize| -> Result<u64> {
            Ok(after_name.split_whitespace().nth(index).ok_or("no such field")?.parse::<u64>()?)
        };
        let io = std::fs::read_to_string("/proc/self/io")?;
        let of = |name: &str| -> Result<u64> {
            let line = io.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
            Ok(line.trim().parse()?)
        };
        // A tick is a hundredth of a second on every Linux that we know of.
        let cpu_us = (ticks(11)? + ticks(12)?) * 10_000;
        Ok(Self { cpu_us, written: of("wchar:")?, read: of("rchar:")? })
    }
}

fn status(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
