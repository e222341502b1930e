//! How many connections there may be: in all, and for one client address, so that a single client never has them all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    by_client: Arc<Mutex<HashMap<Client, usize>>>,
    per_client: usize,
}

/// A place that no client has yet.
pub(super) type FreePlace = OwnedSemaphorePermit;

/// A client's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    client: Client,
    by_client: Arc<Mutex<HashMap<Client, usize>>>,
    _free: FreePlace,
}

impl Places {
    pub(super) fn new(in_all: usize, per_client: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(in_all)), by_client: Arc::default(), per_client }
    }

    /// Waits until there is one. `None` when the semaphore was closed, which nobody does.
    pub(super) async fn free(&self) -> Option<FreePlace> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// `None` when this client has as many as it may have.
    pub(super) fn take(&self, free: FreePlace, address: IpAddr) -> Option<Place> {
        let client = Client::of(address);
        let mut by_client = lock(&self.by_client);
        let count = by_client.entry(client).or_default();
        if *count >= self.per_client {
            return None;
        }
        *count += 1;
        drop(by_client);
        Some(Place { client, by_client: Arc::clone(&self.by_client), _free: free })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_client = lock(&self.by_client);
        if let Some(count) = by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                by_client.remove(&self.client);
            }
        }
    }
}

fn lock(map: &Mutex<HashMap<Client, usize>>) -> MutexGuard<'_, HashMap<Client, usize>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whom an address belongs to: an IPv4 address to one client, and a whole /64 of IPv6, which is the least that anybody is
/// given (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Client(IpAddr);

impl Client {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_client_count_together() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            let (left, right) = (Client::of(one.parse().unwrap()), Client::of(other.parse().unwrap()));
            assert_eq!(left == right, same, "{one} and {other}");
        }
    }

    #[tokio::test]
    async fn one_client_has_its_share_and_gets_it_back_while_others_have_theirs() {
        let places = Places::new(3, 2);
        let (greedy, modest) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = places.take(places.free().await.unwrap(), greedy).unwrap();
        let _second = places.take(places.free().await.unwrap(), greedy).unwrap();
        assert!(places.take(places.free().await.unwrap(), greedy).is_none(), "two is its share");
        let other = places.take(places.free().await.unwrap(), modest).unwrap();
        assert_eq!(places.free.available_permits(), 0, "a refused client kept no place");
        drop(first);
        let _again = places.take(places.free().await.unwrap(), greedy).unwrap();
        drop(other);
        assert_eq!(lock(&places.by_client).len(), 1, "who is gone is forgotten");
    }
}
