//! How a limit is divided among routers: each gets what it wants as long as that is fair, and what nobody wants is
//! split equally, so that whoever wakes up has something to begin with.

/// Max-min fair shares of `limit` by `demands`, in their order; together never more than `limit`. What can't be split
/// goes to the first of those who want more, then to the first of all: the order has to be the same for everybody.
pub(super) fn fair_shares(limit: u32, demands: &[u32]) -> Vec<u32> {
    let mut shares = vec![0; demands.len()];
    let mut left = limit;
    let mut hungry: Vec<usize> = (0..demands.len()).filter(|&index| demands[index] > 0).collect();
    while !hungry.is_empty() {
        let each = left / count(&hungry);
        let (modest, greedy): (Vec<usize>, Vec<usize>) =
            hungry.iter().partition(|&&index| demands[index] <= each);
        if modest.is_empty() {
            split(&mut shares, &greedy, left);
            return shares;
        }
        for index in modest {
            shares[index] = demands[index];
            left -= demands[index];
        }
        hungry = greedy;
    }
    let all: Vec<usize> = (0..demands.len()).collect();
    split(&mut shares, &all, left);
    shares
}

/// What a router may take now: its fair share, as far as the others have given back what they held above theirs.
pub(super) fn grant(fair: u32, limit: u32, held_by_others: u32) -> u32 {
    fair.min(limit.saturating_sub(held_by_others))
}

fn split(shares: &mut [u32], among: &[usize], amount: u32) {
    if among.is_empty() {
        return;
    }
    let (each, mut rest) = (amount / count(among), amount % count(among));
    for &index in among {
        shares[index] += each + u32::from(rest > 0);
        rest = rest.saturating_sub(1);
    }
}

fn count(indices: &[usize]) -> u32 {
    u32::try_from(indices.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares() {
        for (limit, demands, expected) in [
            (80, &[0][..], &[80][..]),
            (80, &[500], &[80]),
            (80, &[0, 0], &[40, 40]),
            (80, &[100, 100], &[40, 40]),
            (80, &[10, 100], &[10, 70]),
            (80, &[10, 20], &[35, 45]),
            (80, &[100, 5, 100], &[38, 5, 37]),
            (1, &[5, 5], &[1, 0]),
            (1, &[0, 5], &[0, 1]),
            (0, &[5], &[0]),
            (80, &[], &[]),
        ] {
            assert_eq!(fair_shares(limit, demands), expected, "{limit} among {demands:?}");
        }
    }

    #[test]
    fn nobody_takes_what_another_still_holds() {
        assert_eq!(grant(40, 80, 80), 0);
        assert_eq!(grant(40, 80, 50), 30);
        assert_eq!(grant(40, 80, 10), 40);
        assert_eq!(grant(40, 20, 80), 0, "the limit was lowered");
    }

    proptest! {
        #[test]
        fn the_limit_is_used_up_and_never_exceeded(limit in 0u32..2_000, demands in prop::collection::vec(0u32..3_000, 1..12)) {
            let shares = fair_shares(limit, &demands);
            prop_assert_eq!(shares.iter().sum::<u32>(), limit);
            let each = limit / u32::try_from(demands.len()).unwrap();
            for (share, demand) in shares.iter().zip(&demands) {
                prop_assert!(share >= demand.min(&each), "{:?} of {:?}", shares, demands);
            }
        }

        #[test]
        fn grants_in_any_order_never_exceed_the_limit(limit in 0u32..500, rounds in prop::collection::vec((0usize..4, 0u32..600), 1..40)) {
            let (mut held, mut demands) = ([0u32; 4], [0u32; 4]);
            for (who, demand) in rounds {
                demands[who] = demand;
                let others = held.iter().sum::<u32>() - held[who];
                held[who] = grant(fair_shares(limit, &demands)[who], limit, others);
                prop_assert!(held.iter().sum::<u32>() <= limit);
            }
        }
    }
}
