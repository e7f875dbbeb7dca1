//! Sobjects in the order of their kids, of which a changed copy shares what did not change.

use std::sync::Arc;

use dsma_api::Sobject;
use uuid::Uuid;

/// Most sobjects in a chunk: about as many as there are chunks where there are a hundred thousand.
const CHUNK: usize = 512;

/// Sobjects by kid. A copy, and a change of one sobject, cost about as much as the square root of their number.
#[derive(Clone, Debug, Default)]
pub struct Sobjects {
    /// In order, none of them empty.
    chunks: Vec<Arc<Vec<Arc<Sobject>>>>,
}

impl Sobjects {
    pub(super) fn new(sobjects: Vec<Sobject>) -> Self {
        let mut sobjects: Vec<Arc<Sobject>> = sobjects.into_iter().map(Arc::new).collect();
        sobjects.sort_by_key(|sobject| sobject.kid);
        Self { chunks: sobjects.chunks(CHUNK / 2).map(|chunk| Arc::new(chunk.to_vec())).collect() }
    }

    /// All of them, by kid.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Sobject>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The one with this kid.
    #[must_use]
    pub fn get(&self, kid: Uuid) -> Option<&Arc<Sobject>> {
        let chunk = self.chunks.get(self.chunk(Some(kid)))?;
        chunk.get(place(chunk, Some(kid)).ok()?)
    }

    /// Adds one, or puts it in the place of the one that has its kid.
    pub(super) fn put(&mut self, sobject: Arc<Sobject>) {
        let at = self.chunk(sobject.kid);
        let Some(chunk) = self.chunks.get_mut(at).map(Arc::make_mut) else {
            self.chunks.push(Arc::new(vec![sobject]));
            return;
        };
        match place(chunk, sobject.kid) {
            Ok(place) => chunk[place] = sobject,
            Err(place) => chunk.insert(place, sobject),
        }
        if chunk.len() > CHUNK {
            let rest = chunk.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, Arc::new(rest));
        }
    }

    pub(super) fn remove(&mut self, kid: Uuid) {
        let at = self.chunk(Some(kid));
        let Some(place) = self.chunks.get(at).and_then(|chunk| place(chunk, Some(kid)).ok()) else { return };
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        chunk.remove(place);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
    }

    /// The chunk where this kid is, or would be.
    fn chunk(&self, kid: Option<Uuid>) -> usize {
        let after = self.chunks.partition_point(|chunk| chunk.first().is_some_and(|first| first.kid <= kid));
        after.saturating_sub(1)
    }
}

fn place(chunk: &[Arc<Sobject>], kid: Option<Uuid>) -> Result<usize, usize> {
    chunk.binary_search_by_key(&kid, |sobject| sobject.kid)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sobject(kid: u128, name: &str) -> Sobject {
        serde_json::from_value(serde_json::json!({
            "kid": Uuid::from_u128(kid), "name": name, "acct_id": Uuid::nil(), "obj_type": "AES", "key_ops": [], "enabled": true,
            "origin": "FortanixHSM", "public_only": false, "creator": {"user": Uuid::nil()}, "created_at": "20200315T012345Z",
        }))
        .unwrap()
    }

    /// A map from the standard library is the oracle; the steps are those of a linear congruential generator.
    #[test]
    fn changes_are_those_of_a_map_and_copies_stay_as_they_were() {
        let mut oracle: BTreeMap<u128, String> = (0..3000).map(|kid| (kid * 2, "old".to_owned())).collect();
        let mut sobjects = Sobjects::new(oracle.keys().rev().map(|kid| sobject(*kid, "old")).collect());
        let (before, had) = (sobjects.clone(), oracle.clone());
        let mut state = 1_u64;
        for turn in 0..6000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let kid = u128::from(state >> 33) % 7000;
            if turn % 3 == 0 {
                sobjects.remove(Uuid::from_u128(kid));
                oracle.remove(&kid);
            } else {
                sobjects.put(Arc::new(sobject(kid, "new")));
                oracle.insert(kid, "new".to_owned());
            }
        }
        let names = |sobjects: &Sobjects| -> Vec<(u128, String)> {
            sobjects.iter().map(|sobject| (sobject.kid.unwrap().as_u128(), sobject.name.clone().unwrap())).collect()
        };
        assert_eq!(names(&sobjects), oracle.clone().into_iter().collect::<Vec<_>>());
        assert_eq!(sobjects.len(), oracle.len());
        assert!((0..7000).all(|kid| sobjects.get(Uuid::from_u128(kid)).is_some() == oracle.contains_key(&kid)));
        assert_eq!(names(&before), had.into_iter().collect::<Vec<_>>());
        for kid in oracle.keys() {
            sobjects.remove(Uuid::from_u128(*kid));
        }
        assert!(sobjects.is_empty());
        sobjects.put(Arc::new(sobject(1, "again")));
        assert_eq!(sobjects.len(), 1);
    }
}
