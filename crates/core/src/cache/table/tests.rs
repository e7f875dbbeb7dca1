//! The table against a model: whatever the order of calls, it keeps to its bounds and never shows a key past its time.

use proptest::prelude::*;

use super::super::tests::key;
use super::*;

const LIFE: Duration = Duration::from_millis(1000);

#[test]
fn one_caller_refreshes_in_the_last_fifth_and_again_at_half_of_the_rest() {
    let table = Table::new(10, 1 << 20);
    let kid = Uuid::from_u128(1);
    table.insert(key(1), Moment(0), LIFE, Duration::ZERO);
    assert!(matches!(table.find(kid, Moment(799)), Found::Fresh(_)));
    assert!(matches!(table.find(kid, Moment(800)), Found::Refresh(_)));
    assert!(matches!(table.find(kid, Moment(800)), Found::Fresh(_)));
    assert!(matches!(table.find(kid, Moment(899)), Found::Fresh(_)));
    assert!(matches!(table.find(kid, Moment(900)), Found::Refresh(_)));
    assert!(matches!(table.find(kid, Moment(1000)), Found::Nothing));
    assert!(table.peek(kid, Moment(1000)).is_none());
}

#[test]
fn grace_follows_life() {
    let table = Table::new(10, 1 << 20);
    table.insert(key(1), Moment(0), LIFE, LIFE);
    assert!(matches!(table.find(Uuid::from_u128(1), Moment(1999)), Found::Expired(_)));
    assert!(matches!(table.find(Uuid::from_u128(1), Moment(2000)), Found::Nothing));
}

#[test]
fn what_is_used_stays_and_what_is_not_goes() {
    let table = Table::new(32, 1 << 20);
    for number in 0..32 {
        table.insert(key(number), Moment(0), LIFE, Duration::ZERO);
    }
    // The first key over the bound takes everybody's first chance.
    table.insert(key(32), Moment(1), LIFE, Duration::ZERO);
    let kept: Vec<u8> = (0..32).filter(|number| table.peek(Uuid::from_u128(u128::from(*number)), Moment(2)).is_some()).take(8).collect();
    for round in 33..60 {
        for number in &kept {
            assert!(
                matches!(table.find(Uuid::from_u128(u128::from(*number)), Moment(3)), Found::Fresh(_)),
                "{number} went in round {round}"
            );
        }
        table.insert(key(round), Moment(3), LIFE, Duration::ZERO);
    }
    assert!(table.len() <= 32);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Remove(u8),
    Find(u8),
    Clear,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..40).prop_map(Step::Insert),
        1 => (0_u8..40).prop_map(Step::Remove),
        4 => (0_u8..40).prop_map(Step::Find),
        1 => Just(Step::Clear),
        2 => (0_u64..700).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn bounded_and_never_past_its_time(steps in proptest::collection::vec(step(), 1..200)) {
        let table = Table::new(20, 1 << 20);
        let mut born = HashMap::new();
        let mut now = Moment(0);
        for step in steps {
            match step {
                Step::Insert(number) => {
                    table.insert(key(number), now, LIFE, Duration::ZERO);
                    born.insert(number, now);
                }
                Step::Remove(number) => {
                    table.remove(Uuid::from_u128(u128::from(number)));
                    born.remove(&number);
                }
                Step::Find(number) => {
                    let alive = born.get(&number).is_some_and(|at| now < at.after(LIFE));
                    let found = !matches!(table.find(Uuid::from_u128(u128::from(number)), now), Found::Nothing);
                    // An eviction may have taken a living key; a dead one is never found.
                    prop_assert!(alive || !found);
                }
                Step::Clear => {
                    table.clear();
                    born.clear();
                    prop_assert_eq!((table.len(), table.bytes.load(Relaxed)), (0, 0));
                }
                Step::Pass(millis) => now = Moment(now.0 + millis),
            }
            prop_assert!(table.len() <= 20);
            let counted: usize = table.shards.iter().map(|shard| shard.entries.read().len()).sum();
            prop_assert_eq!(counted, table.len());
        }
    }
}
