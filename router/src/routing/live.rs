//! The table in use, replaced as a whole while everything runs: whoever reads it has one or the other, never a half.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Table;

/// Cheap to clone; all clones are the same table.
#[derive(Debug, Clone)]
pub struct LiveTable(Arc<Live>);

#[derive(Debug)]
struct Live {
    current: ArcSwap<Table>,
    swaps: watch::Sender<u64>,
}

impl LiveTable {
    pub fn new(table: Table) -> Self {
        Self(Arc::new(Live { current: ArcSwap::from_pointee(table), swaps: watch::Sender::new(0) }))
    }

    /// The table of this moment. Read it once for what belongs together, and again for what comes later.
    pub fn load(&self) -> Arc<Table> {
        self.0.current.load_full()
    }

    /// From now on this is the table.
    pub fn store(&self, table: Table) {
        self.0.current.store(Arc::new(table));
        self.0.swaps.send_modify(|swaps| *swaps += 1);
    }

    /// Tells of every swap from now on; the value counts them.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.swaps.subscribe()
    }
}

impl Default for LiveTable {
    fn default() -> Self {
        Self::new(Table::default())
    }
}
