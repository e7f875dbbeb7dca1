//! Bounded memory of what expires: names of keys, and refusals.

use std::hash::Hash;
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::clock::Moment;

#[derive(Debug)]
pub(super) struct Recent<K: Hash + Eq, V>(LruCache<K, (V, Moment)>);

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self(LruCache::sparse(NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN)))
    }

    pub(super) fn get(&mut self, key: &K, now: Moment) -> Option<V> {
        let (value, until) = self.0.get(key)?;
        if now < *until {
            return Some(value.clone());
        }
        self.0.pop(key);
        None
    }

    pub(super) fn put(&mut self, key: K, value: V, until: Moment) {
        self.0.put(key, (value, until));
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&V) -> bool)
    where
        K: Clone,
    {
        let gone: Vec<K> = self.0.iter().filter(|(_, (value, _))| !keep(value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.0.pop(&key);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_at_its_time_and_keeps_to_its_bound() {
        let mut names = Recent::new(2);
        names.put("a", 1, Moment(10));
        assert_eq!((names.get(&"a", Moment(9)), names.get(&"a", Moment(10)), names.get(&"a", Moment(9))), (Some(1), None, None));
        for (name, value) in [("a", 1), ("b", 2), ("c", 3)] {
            names.put(name, value, Moment(10));
        }
        assert_eq!((names.get(&"a", Moment(0)), names.get(&"c", Moment(0))), (None, Some(3)));
        names.retain(|value| *value != 3);
        assert_eq!((names.get(&"b", Moment(0)), names.get(&"c", Moment(0))), (Some(2), None));
    }
}
