//! Random operations on a store beside a simple model of it in memory: after each step both have to show the same.
//!
//! A failure prints the seed and the steps; the same seed makes the same steps again.

mod operations;
mod shadow;
mod world;

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use self::{operations::Run, shadow::Shadow};
use super::Store;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(from.len());
        from.get(index).cloned()
    }
}

/// Runs `steps` random operations. `make_store` opens the store; it is called again for a restart, when the one before
/// is gone. The database has to be empty at first, and the wait for uncertain sends between a minute and half an hour.
pub(super) async fn check<F>(make_store: F, seed: u64, steps: usize)
where
    F: AsyncFn() -> Arc<dyn Store>,
{
    let mut log = Vec::new();
    let run = async {
        let mut run = Run { store: Some(make_store().await), shadow: Shadow::default(), dice: Dice(seed) };
        for step in 0..steps {
            log.push(String::new());
            let described = log.last_mut().expect("just pushed");
            run.step(&make_store, described).await;
            run.compare().await;
            if step % 8 == 0 {
                run.compare_messages().await;
            }
        }
        run.work_through_everything().await;
    };
    if let Err(failure) = AssertUnwindSafe(run).catch_unwind().await {
        for (index, step) in log.iter().enumerate() {
            eprintln!("{index:4} {step}");
        }
        eprintln!("the store and its model differ after these steps, made from seed {seed}");
        std::panic::resume_unwind(failure);
    }
}
