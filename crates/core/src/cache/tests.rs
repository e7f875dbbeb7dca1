//! What a clear means for fetches that are under way.

use dsma_api::Sobject;
use serde_json::json;

use super::*;

fn order(cache: &KeyCache, key: &KeyRef) -> Order {
    match cache.look_up(key) {
        Lookup::Miss(order) => order,
        other => panic!("{other:?}"),
    }
}

/// A key without material.
pub(super) fn key(number: u8) -> Arc<CachedKey> {
    let kid = Uuid::from_u128(u128::from(number));
    let sobject: Sobject = serde_json::from_value(json!({
        "acct_id": kid, "kid": kid, "obj_type": "AES", "key_ops": [], "enabled": true, "origin": "FortanixHSM", "public_only": false,
        "creator": "system", "created_at": "19700101T000000Z",
    }))
    .unwrap();
    Arc::new(CachedKey::remote(kid, sobject))
}

#[test]
fn what_was_cleared_while_it_was_fetched_is_not_kept() {
    let (kid, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let clears: [(&str, Option<&[Uuid]>, bool); 3] =
        [("of all keys", None, false), ("of this key", Some(&[kid]), false), ("of another key", Some(&[other]), true)];
    for (clear, kids, kept) in clears {
        let cache = KeyCache::new(&Config::default());
        let order = order(&cache, &KeyRef::Kid(kid));
        cache.clear(kids);
        cache.keep(&order, &key(1));
        cache.land(&order.key);
        assert_eq!(matches!(cache.look_up(&KeyRef::Kid(kid)), Lookup::Hit(_)), kept, "a clear {clear}");
    }
}

#[test]
fn a_name_that_was_looked_up_before_a_clear_is_not_kept() {
    let (kid, name) = (Uuid::from_u128(1), KeyRef::Name("payroll".into()));
    let cache = KeyCache::new(&Config::default());
    let by_kid = order(&cache, &KeyRef::Kid(kid));
    cache.keep(&by_kid, &key(1));
    let late = order(&cache, &name);
    cache.clear(Some(&[Uuid::from_u128(2)]));
    cache.keep_name(&late, kid);
    cache.land(&name);
    let in_time = order(&cache, &name);
    cache.keep_name(&in_time, kid);
    assert!(matches!(cache.look_up(&name), Lookup::Hit(_)));
}
