//! Users, who belong to no account, and their memberships in accounts.

use std::collections::BTreeMap;

use dsma_api::{User, UserRole};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Audit, Store};
use crate::error::Error;

/// A user's membership in an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Wire name of the role.
    role: String,
    /// Invited, and has not answered yet.
    pub(crate) pending: bool,
    pub(crate) enabled: bool,
    /// Roles by group, by wire name.
    pub(crate) groups: BTreeMap<Uuid, Vec<String>>,
}

impl Member {
    /// A membership that begins now.
    pub(crate) fn new(role: UserRole, pending: bool) -> Self {
        Self { role: role.name().into(), pending, enabled: true, groups: BTreeMap::new() }
    }

    pub(crate) fn role(&self) -> UserRole {
        // Only names that `set_role` wrote are here; whatever else could be must not manage anything.
        UserRole::from_name(&self.role).unwrap_or(UserRole::Auditor)
    }

    pub(crate) fn set_role(&mut self, role: UserRole) {
        self.role = role.name().into();
    }

    /// Whether the user may enter the account.
    pub(crate) fn is_active(&self) -> bool {
        self.enabled && !self.pending
    }

    /// Role and state as the wire lists them.
    pub(crate) fn flags(&self) -> Vec<String> {
        let state = if self.pending {
            Some("PENDINGINVITE")
        } else if self.enabled {
            Some("STATEENABLED")
        } else {
            None
        };
        std::iter::once(self.role.as_str()).chain(state).map(str::to_owned).collect()
    }
}

impl Store {
    /// A user, of whatever account.
    pub(crate) fn user(&self, user_id: Uuid) -> Result<Option<User>, Error> {
        self.read(|connection| user(connection, user_id))
    }

    /// The user with this address, and the password's hash.
    pub(crate) fn user_by_email(&self, email: &str) -> Result<Option<(User, String)>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT doc, password FROM users WHERE email = ?1")?;
            let found: Option<(String, String)> = statement.query_row([email], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            found.map(|(doc, password)| Ok((serde_json::from_str(&doc)?, password))).transpose()
        })
    }

    /// Adds a user; `false` where the address is taken.
    pub(crate) fn insert_user(&self, user: &User, password: &str, audit: Audit) -> Result<bool, Error> {
        let doc = serde_json::to_string(user)?;
        let sql = "INSERT INTO users (user_id, email, doc, password) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (email) DO NOTHING";
        self.write(audit, |transaction| Ok(transaction.execute(sql, (user.user_id, &user.user_email, doc, password))? == 1))
    }

    /// Changes what describes a user in one transaction: `change` sees it as it is then.
    pub(crate) fn update_user(&self, user_id: Uuid, change: impl FnOnce(&mut User) -> Audit) -> Result<Option<User>, Error> {
        self.write_with(|transaction| {
            let Some(mut user) = user(transaction, user_id)? else {
                return Ok(None);
            };
            let audit = change(&mut user);
            let doc = serde_json::to_string(&user)?;
            transaction.execute("UPDATE users SET doc = ?2 WHERE user_id = ?1", (user_id, doc))?;
            Ok(Some((user, audit)))
        })
    }

    /// Replaces a user's password.
    pub(crate) fn set_password(&self, user_id: Uuid, password: &str, audit: Audit) -> Result<bool, Error> {
        let sql = "UPDATE users SET password = ?2 WHERE user_id = ?1";
        self.write(audit, |transaction| Ok(transaction.execute(sql, (user_id, password))? == 1))
    }

    /// Deletes a user and all memberships, where `check` allows it at that moment.
    pub(crate) fn delete_user<E: From<Error>>(
        &self,
        user_id: Uuid,
        audit: Audit,
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let deleted = self.write_with(|transaction| {
            check()?;
            let deleted = transaction.execute("DELETE FROM users WHERE user_id = ?1", [user_id]).map_err(Error::from)?;
            Ok::<_, E>((deleted == 1).then_some(((), audit)))
        })?;
        Ok(deleted.is_some())
    }

    /// The user's membership in this account.
    pub(crate) fn member(&self, user_id: Uuid) -> Result<Option<Member>, Error> {
        self.read(|connection| member(connection, user_id, self.acct_id))
    }

    /// Everybody in this account, by user id.
    pub(crate) fn members(&self) -> Result<Vec<(User, Member)>, Error> {
        self.read(|connection| {
            let sql = "SELECT users.doc, members.doc FROM members JOIN users USING (user_id) WHERE acct_id = ?1 ORDER BY user_id";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([self.acct_id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| row.map_err(Error::from).and_then(|(user, member)| Ok((serde_json::from_str(&user)?, from_doc(&member)?))))
                .collect()
        })
    }

    /// The user's memberships in all accounts.
    pub(crate) fn memberships(&self, user_id: Uuid) -> Result<Vec<(Uuid, Member)>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT acct_id, doc FROM members WHERE user_id = ?1 ORDER BY acct_id")?;
            let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
            let rows = statement.query_map([user_id], pair)?;
            rows.map(|row| row.map_err(Error::from).and_then(|(acct_id, doc)| Ok((acct_id, from_doc(&doc)?)))).collect()
        })
    }

    /// Adds a membership in this account; `false` where there is one.
    pub(crate) fn insert_member(&self, user_id: Uuid, member: &Member, audit: Audit) -> Result<bool, Error> {
        let doc = serde_json::to_string(member)?;
        let sql = "INSERT INTO members (user_id, acct_id, doc) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.write(audit, |transaction| Ok(transaction.execute(sql, (user_id, self.acct_id, doc))? == 1))
    }

    /// Changes a membership in this account in one transaction: `change` sees it as it is then, and may refuse.
    pub(crate) fn update_member<E: From<Error>>(
        &self,
        user_id: Uuid,
        change: impl FnOnce(&mut Member) -> Result<Audit, E>,
    ) -> Result<Option<Member>, E> {
        self.write_with(|transaction| {
            let Some(mut member) = member(transaction, user_id, self.acct_id)? else {
                return Ok(None);
            };
            let audit = change(&mut member)?;
            let doc = serde_json::to_string(&member).map_err(Error::from)?;
            let sql = "UPDATE members SET doc = ?3 WHERE user_id = ?1 AND acct_id = ?2";
            transaction.execute(sql, (user_id, self.acct_id, doc)).map_err(Error::from)?;
            Ok(Some((member, audit)))
        })
    }

    /// Ends a membership in this account, where `check` allows it at that moment.
    pub(crate) fn delete_member<E: From<Error>>(
        &self,
        user_id: Uuid,
        audit: Audit,
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let deleted = self.write_with(|transaction| {
            check()?;
            let sql = "DELETE FROM members WHERE user_id = ?1 AND acct_id = ?2";
            let deleted = transaction.execute(sql, (user_id, self.acct_id)).map_err(Error::from)?;
            Ok::<_, E>((deleted == 1).then_some(((), audit)))
        })?;
        Ok(deleted.is_some())
    }
}

fn user(connection: &Connection, user_id: Uuid) -> Result<Option<User>, Error> {
    let mut statement = connection.prepare_cached("SELECT doc FROM users WHERE user_id = ?1")?;
    let doc: Option<String> = statement.query_row([user_id], |row| row.get(0)).optional()?;
    Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
}

fn member(connection: &Connection, user_id: Uuid, acct_id: Uuid) -> Result<Option<Member>, Error> {
    let doc: Option<String> = connection
        .prepare_cached("SELECT doc FROM members WHERE user_id = ?1 AND acct_id = ?2")?
        .query_row((user_id, acct_id), |row| row.get(0))
        .optional()?;
    doc.map(|doc| from_doc(&doc)).transpose()
}

fn from_doc(doc: &str) -> Result<Member, Error> {
    Ok(serde_json::from_str(doc)?)
}
