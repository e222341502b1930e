//! The calls of the trait, each handed to the task or the reader that does it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    PostgresStore, WAITING_ACCEPTS,
    accept::AcceptCall,
    call, channels, dead_letters,
    finish::LaneCall,
    jobs, lanes, outbox, pace,
    sends::SendCall,
    sweep,
    views::{conversations, dead_letters as dead, ledger, messages},
};
use crate::store::{
    Accepted, ChannelLedger, ChannelNews, ChannelState, Claims, ConversationFilter, ConversationView,
    Cutoffs, DeadLetterFilter, DeadLetterView, Delivery, Depth, Enqueued, Finish, Finished, Item, Lease,
    MessageFilter, MessageId, MessageView, Micros, NewSend, Outcome, PaceAsk, Page, PageRequest, Queue,
    QueuesView, Refusal, Remedies, Replay, Replayed, Store, StoreError, Swept, Undelivered,
};

#[async_trait]
impl Store for PostgresStore {
    async fn accept(&self, delivery: Delivery, claim_limit: usize) -> Result<Accepted, StoreError> {
        let waiting = &self.shared.gauges.waiting_accepts;
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_ACCEPTS {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(StoreError::Busy);
        }
        call(&self.accepts, |reply| AcceptCall { delivery, claim_limit, reply }).await
    }

    async fn claim_as_of(
        &self,
        queue: Queue,
        limit: usize,
        at: Option<Micros>,
    ) -> Result<Claims, StoreError> {
        jobs::call(&self.claims, limit, move |scope| {
            Box::pin(async move {
                let tokens: Vec<i64> = (0..limit).map(|_| scope.tokens.take()).collect();
                lanes::claim(scope.session, scope.shared, &tokens, queue, at).await
            })
        })
        .await
    }

    fn system(&self) -> &'static str {
        "postgresql"
    }

    fn lease_time(&self) -> Option<Duration> {
        Some(self.shared.lease_time)
    }

    async fn renew(&self, leases: Vec<Lease>) -> Result<Vec<Lease>, StoreError> {
        if leases.is_empty() {
            return Ok(leases);
        }
        let leases: Arc<[Lease]> = leases.into();
        jobs::call(&self.claims, 0, move |scope| {
            let leases = leases.clone();
            Box::pin(async move { lanes::renew(scope.session, scope.shared, &leases).await })
        })
        .await
    }

    async fn pending(&self, lease: Lease, limit: usize) -> Result<Vec<Item>, StoreError> {
        jobs::call(&self.claims, 0, move |scope| {
            Box::pin(async move { lanes::pending(scope.session, lease, limit).await })
        })
        .await
    }

    async fn finish(
        &self,
        lease: Lease,
        item: &Item,
        outcome: Outcome,
        with: Finish,
    ) -> Result<Finished, StoreError> {
        let item = Box::new(item.clone());
        call(self.ends(lease.queue), |reply| LaneCall::Finish { lease, item, outcome, with, reply }).await
    }

    async fn defer(
        &self,
        lease: Lease,
        item: &Item,
        refusal: Refusal,
        due_at: Micros,
    ) -> Result<(), StoreError> {
        let seq = item.seq;
        call(self.ends(lease.queue), |reply| LaneCall::Defer { lease, seq, refusal, due_at, reply }).await
    }

    async fn release(&self, lease: Lease, in_doubt_until: Option<Micros>) -> Result<(), StoreError> {
        call(self.ends(lease.queue), |reply| LaneCall::Release { lease, in_doubt_until, reply }).await
    }

    async fn work_elsewhere(&self) {
        self.shared.elsewhere.notified().await;
    }

    async fn probe(&self) -> Result<(), StoreError> {
        const PROBE: &str =
            "INSERT INTO probe (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = $1";
        jobs::call(&self.upkeep, 0, move |scope| {
            Box::pin(async move {
                Ok(scope.session.execute(PROBE, &[&scope.shared.clock.now()]).await.map(drop)?)
            })
        })
        .await
    }

    fn depth(&self) -> Depth {
        self.shared.gauges.depth()
    }

    async fn enqueue(&self, send: NewSend, claim: bool) -> Result<Enqueued, StoreError> {
        call(&self.sends, |reply| SendCall { send, claim, reply }).await
    }

    async fn hurry(&self, queue: Queue, channel: &str, limit: usize) -> Result<usize, StoreError> {
        let channel: Arc<str> = Arc::from(channel);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        jobs::call(&self.upkeep, 0, move |scope| {
            let channel = channel.clone();
            Box::pin(async move { lanes::hurry(scope.session, queue, &channel, limit).await })
        })
        .await
    }

    async fn take_over(&self, conversation: i64, until: Option<Micros>) -> Result<bool, StoreError> {
        const TAKE_OVER: &str = "UPDATE conversation SET taken_over_until = $2 WHERE id = $1";
        jobs::call(&self.upkeep, 0, move |scope| {
            Box::pin(
                async move { Ok(scope.session.execute(TAKE_OVER, &[&conversation, &until]).await? == 1) },
            )
        })
        .await
    }

    async fn share_pace(&self, asks: Vec<PaceAsk>) -> Result<Vec<u32>, StoreError> {
        let asks: Arc<[PaceAsk]> = asks.into();
        jobs::call(&self.claims, 0, move |scope| {
            let asks = asks.clone();
            Box::pin(async move { pace::share(scope, &asks).await })
        })
        .await
    }

    async fn channel_states(&self) -> Result<Vec<ChannelState>, StoreError> {
        self.reader.read(|session| Box::pin(channels::states(session))).await
    }

    async fn note_channel(&self, channel: &str, news: ChannelNews) -> Result<(), StoreError> {
        let channel: Arc<str> = channel.into();
        jobs::call(&self.upkeep, 0, move |scope| {
            let (channel, news) = (channel.clone(), news.clone());
            Box::pin(
                async move { channels::note(scope.session, &channel, &news, scope.shared.clock.now()).await },
            )
        })
        .await
    }

    async fn message_state(&self, id: MessageId) -> Result<Option<String>, StoreError> {
        const STATE: &str = "SELECT state FROM message WHERE id = $1";
        self.reader
            .read(move |session| {
                Box::pin(async move {
                    let rows = session.query(STATE, &[&id.0]).await?;
                    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
                })
            })
            .await
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageView>, StoreError> {
        self.reader.read(move |session| Box::pin(messages::one(session, id))).await
    }

    async fn messages(
        &self,
        filter: MessageFilter,
        page: PageRequest,
    ) -> Result<Page<MessageView>, StoreError> {
        let filter = Arc::new(filter);
        self.reader
            .read(move |session| {
                let filter = filter.clone();
                Box::pin(async move { messages::page(session, &filter, page).await })
            })
            .await
    }

    async fn conversation(&self, id: i64) -> Result<Option<ConversationView>, StoreError> {
        self.reader.read(move |session| Box::pin(conversations::one(session, id))).await
    }

    async fn conversations(
        &self,
        filter: ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<ConversationView>, StoreError> {
        let filter = Arc::new(filter);
        self.reader
            .read(move |session| {
                let filter = filter.clone();
                Box::pin(async move { conversations::page(session, &filter, page).await })
            })
            .await
    }

    async fn dead_letter(&self, id: MessageId) -> Result<Option<DeadLetterView>, StoreError> {
        self.reader.read(move |session| Box::pin(dead::one(session, id))).await
    }

    async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        page: PageRequest,
    ) -> Result<Page<DeadLetterView>, StoreError> {
        let filter = Arc::new(filter);
        self.reader
            .read(move |session| {
                let filter = filter.clone();
                Box::pin(async move { dead::page(session, &filter, page).await })
            })
            .await
    }

    async fn replay(&self, which: Replay) -> Result<Replayed, StoreError> {
        // Found without keeping a writer: it takes those of them that are still dead then.
        let found: Arc<[i64]> = match which {
            Replay::One(id) => {
                let found = self.reader.read(move |session| Box::pin(dead_letters::seq_of(session, id)));
                found.await?.into()
            }
            Replay::Matching { filter, limit } => {
                let filter = Arc::new(filter);
                let found = self.reader.read(move |session| {
                    let filter = filter.clone();
                    Box::pin(async move { dead::oldest(session, &filter, limit).await })
                });
                found.await?.into()
            }
        };
        jobs::call(&self.upkeep, 0, move |scope| {
            let found = found.clone();
            Box::pin(async move { dead_letters::replay(scope, &found).await })
        })
        .await
    }

    async fn discard(&self, id: MessageId) -> Result<bool, StoreError> {
        jobs::call(&self.upkeep, 0, move |scope| {
            Box::pin(async move {
                let found = dead_letters::seq_of(scope.session, id).await?;
                Ok(dead_letters::discard(scope, &found).await? > 0)
            })
        })
        .await
    }

    async fn queues(&self) -> Result<QueuesView, StoreError> {
        self.reader.read(|session| Box::pin(ledger::queues(session))).await
    }

    async fn ledger(&self) -> Result<Vec<ChannelLedger>, StoreError> {
        self.reader.read(|session| Box::pin(ledger::ledger(session))).await
    }

    async fn take_undelivered(
        &self,
        at: Micros,
        remedies: Remedies,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError> {
        let remedies = Arc::new(remedies);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        jobs::call(&self.upkeep, 0, move |scope| {
            let remedies = remedies.clone();
            Box::pin(async move { outbox::take_undelivered(scope, at, &remedies, limit).await })
        })
        .await
    }

    async fn sweep(&self, cutoffs: Cutoffs, limit: usize) -> Result<Swept, StoreError> {
        let place = self.swept.clone();
        jobs::call(&self.upkeep, 0, move |scope| {
            let place = place.clone();
            Box::pin(async move { sweep::sweep(scope, &place, cutoffs, limit).await })
        })
        .await
    }
}
