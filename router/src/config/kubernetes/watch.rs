//! Watches one kind in one namespace. The list first, then its changes; after any trouble the list again, so that
//! whatever went wrong is mended by itself.

use std::{pin::pin, time::Duration};

use futures_util::StreamExt;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, WatchParams},
    core::WatchEvent,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    backoff::Backoff,
    scope::{Scope, plural},
    trouble::Trouble,
};

#[derive(Debug, Clone)]
pub struct WatchTimes {
    /// The API server ends a watch after this and we begin the next. It is also how late a connection is noticed that
    /// died without a word, and the age that an idle configuration seems to have at most.
    pub watch: Duration,
    /// For any answer.
    pub answer: Duration,
    /// Everything is listed anew after this, whatever the watch has told.
    pub relist: Duration,
    pub least_backoff: Duration,
    pub most_backoff: Duration,
}

impl Default for WatchTimes {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(20),
            answer: Duration::from_secs(10),
            relist: Duration::from_secs(900),
            least_backoff: Duration::from_millis(250),
            most_backoff: Duration::from_secs(10),
        }
    }
}

/// What was heard of a scope.
#[derive(Debug)]
pub(super) enum News {
    All(Vec<DynamicObject>),
    Put(Box<DynamicObject>),
    Removed(String),
    /// Nothing changed up to now.
    Alive,
    Lost(Trouble),
}

/// Nobody wants to hear of it any more.
struct Unwanted;

type Told = Result<Result<(), Trouble>, Unwanted>;

pub(super) async fn watch(
    client: Client,
    scope: Scope,
    times: WatchTimes,
    news: mpsc::Sender<(Scope, News)>,
) {
    let watcher = Watcher { api: scope.api(client), scope, times, news };
    let mut backoff = Backoff::new(watcher.times.least_backoff, watcher.times.most_backoff);
    loop {
        let begun = Instant::now();
        match watcher.follow().await {
            Err(Unwanted) => return,
            Ok(Ok(())) => backoff.reset(),
            Ok(Err(trouble)) => {
                if begun.elapsed() > watcher.times.most_backoff {
                    backoff.reset();
                }
                if !trouble.is_usual() && watcher.tell(News::Lost(trouble)).await.is_err() {
                    return;
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

struct Watcher {
    api: Api<DynamicObject>,
    scope: Scope,
    times: WatchTimes,
    news: mpsc::Sender<(Scope, News)>,
}

impl Watcher {
    /// Until it is time to list again, or something goes wrong.
    async fn follow(&self) -> Told {
        let (objects, mut version) = match self.list().await {
            Ok(listed) => listed,
            Err(trouble) => return Ok(Err(trouble)),
        };
        self.tell(News::All(objects)).await?;
        let until = Instant::now() + self.times.relist;
        while Instant::now() < until {
            let begun = Instant::now();
            if let Err(trouble) = self.changes(&mut version).await? {
                return Ok(Err(trouble));
            }
            // A proxy may end every watch at once; a full second of peace keeps that from becoming a storm.
            sleep((self.times.watch / 20).saturating_sub(begun.elapsed())).await;
        }
        Ok(Ok(()))
    }

    async fn list(&self) -> Result<(Vec<DynamicObject>, String), Trouble> {
        let mut objects = Vec::new();
        let mut page = ListParams::default().limit(500);
        loop {
            let list = self.within(self.api.list(&page), "list").await?;
            objects.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok((objects, list.metadata.resource_version.unwrap_or_default())),
            }
        }
    }

    /// One watch from `version` on, until the API server ends it.
    async fn changes(&self, version: &mut String) -> Told {
        let seconds = u32::try_from(self.times.watch.as_secs()).unwrap_or(u32::MAX).max(1);
        let params = WatchParams::default().timeout(seconds);
        let stream = match self.within(self.api.watch(&params, version), "watch").await {
            Ok(stream) => stream,
            Err(trouble) => return Ok(Err(trouble)),
        };
        self.tell(News::Alive).await?;
        let mut stream = pin!(stream);
        let patience = self.times.watch + self.times.answer;
        loop {
            let event = match timeout(patience, stream.next()).await {
                Err(_) => return Ok(Err(Trouble::Silent(patience))),
                Ok(None) => return Ok(Ok(())),
                Ok(Some(Err(error))) => return Ok(Err(self.trouble(&error, "watch"))),
                Ok(Some(Ok(event))) => event,
            };
            let news = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    remember(version, &object);
                    News::Put(Box::new(object))
                }
                WatchEvent::Deleted(object) => {
                    remember(version, &object);
                    News::Removed(object.metadata.name.unwrap_or_default())
                }
                WatchEvent::Bookmark(bookmark) => {
                    *version = bookmark.metadata.resource_version;
                    News::Alive
                }
                WatchEvent::Error(status) => {
                    return Ok(Err(self.trouble(&kube::Error::Api(status), "watch")));
                }
            };
            self.tell(news).await?;
        }
    }

    async fn tell(&self, news: News) -> Result<(), Unwanted> {
        self.news.send((self.scope.clone(), news)).await.map_err(|_| Unwanted)
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
        verb: &'static str,
    ) -> Result<T, Trouble> {
        match timeout(self.times.answer, call).await {
            Err(_) => Err(Trouble::Silent(self.times.answer)),
            Ok(result) => result.map_err(|error| self.trouble(&error, verb)),
        }
    }

    fn trouble(&self, error: &kube::Error, verb: &'static str) -> Trouble {
        Trouble::of(error, verb, plural(self.scope.kind), &self.scope.namespace)
    }
}

fn remember(version: &mut String, object: &DynamicObject) {
    if let Some(newer) = &object.metadata.resource_version {
        version.clone_from(newer);
    }
}
