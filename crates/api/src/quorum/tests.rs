//! Policies written out by hand with who satisfies them, and laws that hold for every policy.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// `a1` is app 1, `u2` is user 2, `p2` is user 2 with the password.
fn approvals(text: &str) -> Vec<Approval> {
    let one = |word: &str| {
        let who = id(word[1..].parse().unwrap());
        let approver = if word.starts_with('a') { Approver::App(who) } else { Approver::User(who) };
        Approval { approver, with_password: word.starts_with('p') }
    };
    text.split_whitespace().map(one).collect()
}

fn app(number: u128) -> Value {
    json!({"app": id(number)})
}

fn user(number: u128) -> Value {
    json!({"user": id(number)})
}

fn quorum(n: u32, members: &[Value]) -> Value {
    json!({"quorum": {"n": n, "members": members}})
}

/// policy, who satisfies it, who does not.
#[test]
fn the_table() {
    let or = quorum(1, &[app(1), user(2)]);
    let and = quorum(2, &[app(1), user(2)]);
    let two_of_three = quorum(2, &[user(1), user(2), user(3)]);
    let nested = quorum(2, &[quorum(1, &[app(1), app(2)]), quorum(2, &[user(1), user(2), user(3)])]);
    let twice = quorum(2, &[user(1), quorum(1, &[user(1), user(2)])]);
    let password = json!({"quorum": {"n": 1, "members": [quorum(1, &[user(1), app(1)])], "require_password": true}});
    let table: &[(Value, &[&str], &[&str])] = &[
        (app(1), &["a1", "u9 a1"], &["", "u1", "a2"]),
        (user(1), &["u1", "p1"], &["", "a1", "u2"]),
        (or, &["a1", "u2", "a1 u2"], &["", "u1", "a2"]),
        (and, &["a1 u2", "u2 a1"], &["a1", "u2", "a1 a1", "u1 a2"]),
        (two_of_three, &["u1 u2", "u3 u1", "u1 u2 u3"], &["u1", "u1 u1", "a1 a2", "u3 u4"]),
        (nested, &["a1 u1 u2", "u3 u2 a2"], &["a1 a2", "u1 u2 u3", "a1 u1", ""]),
        (twice, &["u1", "u1 u2"], &["u2", ""]),
        (password, &["p1", "a1"], &["u1", ""]),
        (quorum(3, &[user(1), user(2)]), &[], &["u1 u2", "u1 u2 u3"]),
    ];
    for (policy, enough, short) in table {
        let policy: QuorumPolicy = serde_json::from_value(policy.clone()).unwrap();
        for given in *enough {
            assert!(satisfied(&policy, &approvals(given)), "{policy:?}: {given}");
        }
        for given in *short {
            assert!(!satisfied(&policy, &approvals(given)), "{policy:?}: {given}");
        }
    }
}

#[test]
fn everybody_who_is_named() {
    let policy: QuorumPolicy = serde_json::from_value(quorum(1, &[app(1), quorum(1, &[user(2), app(1)])])).unwrap();
    assert_eq!(approvers(&policy), BTreeSet::from([Approver::App(id(1)), Approver::User(id(2))]));
    let inner = json!({"quorum": {"n": 1, "members": [user(2), app(3)], "require_password": true}});
    let policy: QuorumPolicy = serde_json::from_value(quorum(1, &[user(1), inner])).unwrap();
    assert!(requires_password(&policy, Approver::User(id(2))));
    assert!(!requires_password(&policy, Approver::User(id(1))));
    assert!(!requires_password(&policy, Approver::App(id(3))), "apps have none");
}

#[test]
fn what_is_no_policy() {
    for bad in [json!({}), json!({"app": id(1), "user": id(2)}), json!({"quorum": {"n": 1}}), json!({"app": "x"}), json!({"quorum": null})]
    {
        assert!(serde_json::from_value::<QuorumPolicy>(bad.clone()).is_err(), "{bad}");
    }
    for bad in [quorum(0, &[app(1)]), quorum(2, &[app(1)]), quorum(1, &[]), quorum(1, &[quorum(5, &[app(1)])])] {
        assert!(serde_json::from_value::<QuorumPolicy>(bad.clone()).unwrap().check().is_err(), "{bad}");
    }
    let policy: GroupApprovalPolicy =
        serde_json::from_value(json!({"app": id(1), "user": null, "quorum": null, "protect_permissions": null})).unwrap();
    assert_eq!(serde_json::to_value(&policy).unwrap(), app(1), "nulls are absent members");
}

/// flags, what they protect, what they do not.
#[test]
fn what_the_flags_protect() {
    use Operation::{Encrypt, Export, Info, MacVerify, Sign, Verify};
    use Permission::{CopySobjects, CreateSobjects, DeleteSobjects, MoveSobjects, RevokeSobjects, UpdateSobjectsProfile};
    let table: &[(Value, &[Act], &[Act])] = &[
        (
            json!({"protect_crypto_operations": true, "protect_permissions": []}),
            &[Act::Use(Export), Act::Use(Encrypt), Act::Use(Sign), Act::Change(MoveSobjects), Act::Change(CopySobjects), Act::Policy],
            &[Act::Use(Verify), Act::Use(MacVerify), Act::Use(Info), Act::Change(DeleteSobjects), Act::Change(UpdateSobjectsProfile)],
        ),
        (
            json!({"protect_crypto_operations": true}),
            &[Act::Use(Export), Act::Change(DeleteSobjects), Act::Change(UpdateSobjectsProfile), Act::Change(MoveSobjects)],
            &[Act::Use(Info), Act::Change(CreateSobjects), Act::Change(RevokeSobjects)],
        ),
        (
            json!({"protect_permissions": ["CREATE_SOBJECTS", "GET_SOBJECTS"]}),
            &[Act::Change(CreateSobjects), Act::Use(Info), Act::Policy],
            &[Act::Use(Export), Act::Use(Verify), Act::Change(DeleteSobjects)],
        ),
        (json!({"protect_manage_operations": true}), &[Act::Change(CreateSobjects), Act::Change(RevokeSobjects)], &[Act::Use(Export)]),
        (json!({"protect_manage_operations": false}), &[Act::Policy], &[Act::Use(Export), Act::Change(DeleteSobjects)]),
    ];
    for (flags, protected, free) in table {
        let mut policy = flags.clone();
        policy["app"] = json!(id(1));
        let policy: GroupApprovalPolicy = serde_json::from_value(policy).unwrap();
        for act in *protected {
            assert!(policy.protects(*act), "{flags}: {act:?}");
        }
        for act in *free {
            assert!(!policy.protects(*act), "{flags}: {act:?}");
        }
    }
}

fn any_approver() -> impl Strategy<Value = Approver> {
    (0u128..6, any::<bool>()).prop_map(|(number, app)| if app { Approver::App(id(number)) } else { Approver::User(id(number)) })
}

fn any_policy() -> impl Strategy<Value = QuorumPolicy> {
    let leaf = any_approver().prop_map(QuorumPolicy::One);
    leaf.prop_recursive(4, 32, 4, |inner| {
        (proptest::collection::vec(inner, 1..5), any::<prop::sample::Index>(), any::<bool>()).prop_map(|(members, n, password)| {
            let n = u32::try_from(n.index(members.len()) + 1).unwrap();
            QuorumPolicy::Quorum(Quorum { n, members, require_password: password.then_some(true), require_2fa: None })
        })
    })
}

fn any_approvals() -> impl Strategy<Value = Vec<Approval>> {
    let one = (any_approver(), any::<bool>()).prop_map(|(approver, with_password)| Approval { approver, with_password });
    proptest::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn laws(policy in any_policy(), given in any_approvals(), more in any_approvals()) {
        prop_assert!(policy.check().is_ok());
        prop_assert!(!satisfied(&policy, &[]), "nothing happens without an approval");
        let all: Vec<Approval> = approvers(&policy).into_iter().map(|approver| Approval { approver, with_password: true }).collect();
        prop_assert!(satisfied(&policy, &all), "all together are enough");
        let both: Vec<Approval> = given.iter().chain(&more).copied().collect();
        prop_assert!(!satisfied(&policy, &given) || satisfied(&policy, &both), "a further approval never hurts");
        let named: Vec<Approval> = given.iter().filter(|one| approvers(&policy).contains(&one.approver)).copied().collect();
        prop_assert_eq!(satisfied(&policy, &given), satisfied(&policy, &named), "outsiders do not count");
        let wire = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<QuorumPolicy>(&wire).unwrap(), policy);
    }
}
