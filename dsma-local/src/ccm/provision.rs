//! What the first start makes: an account that trusts this machine's emulated NSM, its zone, and a user who manages it.

use dsma_api::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::model::{Account, Member, NodeEnrollment, Role, User, Zone};
use super::zone_ca;
use crate::error::Error;
use crate::store::{Record, Records, Store};
use crate::{passwords, secrets};

const USER: &str = "operator@dsma.local";
const ACCOUNT: &str = "Default account (INSECURE: trusts the emulated NSM)";
const ZONE: &str = "Default zone";
/// Random bytes in the user's password.
const PASSWORD_SIZE: u32 = 24;

/// What a person and the node agent need to begin.
pub(crate) struct CcmAccount {
    pub(crate) acct_id: Uuid,
    /// CCM has no groups of its own: an id that apps and builds carry.
    pub(crate) group_id: Uuid,
    /// The user's address.
    pub(crate) username: String,
    pub(crate) password: Zeroizing<String>,
    /// The certificate of the zone's CA that signs now.
    #[allow(dead_code, reason = "the Trusted-CA app, which needs it, follows")]
    pub(crate) zone_ca_der: Vec<u8>,
    /// With it a node enrols in the zone.
    pub(crate) join_token: Zeroizing<String>,
}

/// What was made, to be found again. Its secret is the password.
#[derive(Serialize, Deserialize)]
struct Provisioned {
    acct_id: Uuid,
    user_id: Uuid,
    zone_id: Uuid,
    group_id: Uuid,
}

impl Record for Provisioned {
    const KIND: &'static str = "provisioned";

    fn id(&self) -> Uuid {
        Uuid::nil()
    }

    fn acct_id(&self) -> Uuid {
        Uuid::nil()
    }

    fn key(&self) -> Option<String> {
        None
    }
}

/// Makes account, zone and user at the first start; the next ones find them. What was deleted since is made again, all of it.
///
/// # Errors
/// Where the store fails.
pub(crate) fn provision(store: &Store) -> Result<CcmAccount, Error> {
    if let Some(found) = store.records(find)? {
        return Ok(found);
    }
    let password = secrets::make_secret(PASSWORD_SIZE)?;
    let hash = passwords::hash_generated(&password)?;
    store.change_records(|records| make(records, &password, &hash))
}

fn find(records: &Records<'_>) -> Result<Option<CcmAccount>, Error> {
    let Some(made) = records.get::<Provisioned>(Uuid::nil())? else {
        return Ok(None);
    };
    let (account, user) = (records.get::<Account>(made.acct_id)?, records.get::<User>(made.user_id)?);
    let (zone, password) = (records.get::<Zone>(made.zone_id)?, records.secret::<Provisioned>(Uuid::nil())?);
    let (Some(account), Some(user), Some(zone), Some(password)) = (account, user, zone, password) else {
        return Ok(None);
    };
    let password = Zeroizing::new(String::from_utf8_lossy(&password).into_owned());
    describe(records, account.acct_id, made.group_id, user.user_email, password, &zone).map(Some)
}

fn make(records: &Records<'_>, password: &Zeroizing<String>, hash: &str) -> Result<CcmAccount, Error> {
    let (now, group_id) = (Time::now().0, Uuid::new_v4());
    let account = Account {
        acct_id: Uuid::new_v4(),
        name: ACCOUNT.into(),
        created_at: now,
        node_enrollment: NodeEnrollment { attestation_enforcement_disabled_insecure: true },
        default_group_id: Some(group_id),
        custom_logo: None,
    };
    records.insert(&account)?;
    let zone = Zone::create(records, account.acct_id, ZONE)?;
    // The address may be left over from before.
    let user = match records.find::<User>(USER)? {
        Some(user) => user,
        None => {
            let user = User {
                user_id: Uuid::new_v4(),
                user_email: USER.into(),
                first_name: None,
                last_name: None,
                created_at: now,
                last_logged_in_at: None,
            };
            records.insert(&user)?;
            user
        }
    };
    records.set_secret::<User>(user.user_id, hash.as_bytes())?;
    records.insert(&Member::new(account.acct_id, user.user_id, Role::Manager))?;
    records.delete::<Provisioned>(Uuid::nil())?;
    records.insert(&Provisioned { acct_id: account.acct_id, user_id: user.user_id, zone_id: zone.zone_id, group_id })?;
    records.set_secret::<Provisioned>(Uuid::nil(), password.as_bytes())?;
    describe(records, account.acct_id, group_id, user.user_email, password.clone(), &zone)
}

fn describe(
    records: &Records<'_>,
    acct_id: Uuid,
    group_id: Uuid,
    username: String,
    password: Zeroizing<String>,
    zone: &Zone,
) -> Result<CcmAccount, Error> {
    let zone_ca_der = zone_ca::der(&zone.certificate).ok_or(rcgen::Error::CouldNotParseCertificate)?.to_vec();
    let join_token = Zeroizing::new(zone.secrets(records)?.join_token.clone());
    Ok(CcmAccount { acct_id, group_id, username, password, zone_ca_der, join_token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_dir::StateDir;

    #[test]
    fn a_second_start_finds_what_the_first_made() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let store = Store::open(&state).unwrap();
        let (first, again) = (provision(&store).unwrap(), provision(&store).unwrap());
        assert_eq!((first.acct_id, first.group_id, &first.username), (again.acct_id, again.group_id, &again.username));
        assert_eq!((&*first.password, &first.zone_ca_der, &*first.join_token), (&*again.password, &again.zone_ca_der, &*again.join_token));
        let file = std::fs::read(state.path("store.db")).unwrap();
        let wal = std::fs::read(state.path("store.db-wal")).unwrap();
        for secret in [first.password.as_bytes(), first.join_token.as_bytes()] {
            assert!(![&file, &wal].iter().any(|bytes| bytes.windows(secret.len()).any(|window| window == secret)), "in clear on the disk");
        }
    }
}
