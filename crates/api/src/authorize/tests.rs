//! A table written by hand: each row says what DSM's documentation says, not what the code does.

use super::*;

const NOW: Time = Time(1_800_000_000);
const PAST: Time = Time(1_700_000_000);
const FUTURE: Time = Time(1_900_000_000);

fn facts() -> KeyFacts {
    KeyFacts { key_ops: KeyOperations::all(), enabled: true, state: SobjectState::Active, activation_date: None, deactivation_date: None }
}

const ALL: &[Operation] = &[
    Operation::Encrypt,
    Operation::Decrypt,
    Operation::Sign,
    Operation::Verify,
    Operation::WrapKey,
    Operation::UnwrapKey,
    Operation::DeriveKey,
    Operation::MacGenerate,
    Operation::MacVerify,
    Operation::AgreeKey,
    Operation::Export,
    Operation::Info,
    Operation::Manage,
];

/// state, then which operations a caller with every permission may perform.
#[test]
fn states() {
    use Operation::*;
    let everything = ALL.to_vec();
    let old_data = vec![Decrypt, Verify, UnwrapKey, MacVerify, Export, Info, Manage];
    let nothing = vec![Info, Manage];
    type Row<'a> = (SobjectState, Option<Time>, Option<Time>, &'a [Operation]);
    let table: &[Row<'_>] = &[
        (SobjectState::Active, None, None, &everything),
        (SobjectState::Active, Some(PAST), Some(FUTURE), &everything),
        (SobjectState::PreActive, Some(PAST), None, &everything),
        (SobjectState::PreActive, None, None, &[Export, Info, Manage]),
        (SobjectState::PreActive, Some(FUTURE), None, &[Export, Info, Manage]),
        (SobjectState::Active, Some(FUTURE), None, &[Export, Info, Manage]),
        (SobjectState::Active, None, Some(PAST), &old_data),
        (SobjectState::Active, None, Some(NOW), &old_data),
        (SobjectState::Deactivated, None, None, &old_data),
        (SobjectState::Compromised, None, None, &old_data),
        (SobjectState::Destroyed, None, None, &nothing),
        (SobjectState::Deleted, None, None, &nothing),
        (SobjectState::Other, None, None, &nothing),
    ];
    for (state, activation_date, deactivation_date, allowed) in table {
        let key = KeyFacts { state: *state, activation_date: *activation_date, deactivation_date: *deactivation_date, ..facts() };
        for operation in ALL {
            let got = authorize(*operation, Some(Permissions::all()), &key, NOW);
            assert_eq!(
                got.is_ok(),
                allowed.contains(operation),
                "{state:?} {activation_date:?} {deactivation_date:?} {operation:?}: {got:?}"
            );
        }
    }
}

/// operation, the one permission and the one key operation that allow it.
#[test]
fn each_operation_needs_its_own_permission_and_key_operation() {
    let table: &[(Operation, &str)] = &[
        (Operation::Encrypt, "ENCRYPT"),
        (Operation::Decrypt, "DECRYPT"),
        (Operation::Sign, "SIGN"),
        (Operation::Verify, "VERIFY"),
        (Operation::WrapKey, "WRAPKEY"),
        (Operation::UnwrapKey, "UNWRAPKEY"),
        (Operation::DeriveKey, "DERIVEKEY"),
        (Operation::MacGenerate, "MACGENERATE"),
        (Operation::MacVerify, "MACVERIFY"),
        (Operation::AgreeKey, "AGREEKEY"),
        (Operation::Export, "EXPORT"),
    ];
    for (operation, name) in table {
        let permission = Permission::from_name(name).unwrap();
        let key_operation = KeyOperation::from_name(name).unwrap();
        let only = Permissions::of(&[permission]);
        let key = KeyFacts { key_ops: KeyOperations::of(&[key_operation]), ..facts() };
        assert_eq!(authorize(*operation, Some(only), &key, NOW), Ok(()), "{name}");

        let refused = authorize(*operation, Some(Permissions::all().without(permission)), &key, NOW).unwrap_err();
        assert_eq!((refused.status, &*refused.message), (403, text::NO_PERMISSION), "{name}");

        let key = KeyFacts { key_ops: KeyOperations::all().without(key_operation), ..facts() };
        let refused = authorize(*operation, Some(only), &key, NOW).unwrap_err();
        assert_eq!((refused.status, refused.message.into_owned()), (403, format!("Sobject does not allow operation {name}")));
    }
}

#[test]
fn outside_the_group_nothing_is_told() {
    for operation in ALL {
        let refused = authorize(*operation, None, &facts(), NOW).unwrap_err();
        assert_eq!((refused.status, &*refused.message), (404, text::NO_SOBJECT), "{operation:?}");
    }
}

#[test]
fn membership_without_permissions_may_look_only() {
    for operation in ALL {
        let got = authorize(*operation, Some(Permissions::NONE), &facts(), NOW);
        assert_eq!(got.is_ok(), *operation == Operation::Info, "{operation:?}");
    }
}

#[test]
fn a_disabled_key_may_only_be_looked_at_and_managed() {
    let key = KeyFacts { enabled: false, ..facts() };
    for operation in ALL {
        let got = authorize(*operation, Some(Permissions::all()), &key, NOW);
        assert_eq!(got.is_ok(), matches!(operation, Operation::Info | Operation::Manage), "{operation:?}");
        if let Err(refused) = got {
            assert_eq!((refused.status, &*refused.message), (403, text::DISABLED));
        }
    }
}
