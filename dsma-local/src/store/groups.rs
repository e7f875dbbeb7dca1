//! Groups.

use dsma_api::{Group, GroupApprovalPolicy, GroupPolicies};
use rusqlite::{OptionalExtension, params_from_iter};
use uuid::Uuid;

use super::{Audit, Condition, Store};
use crate::error::Error;

impl Store {
    /// A group.
    pub(crate) fn group(&self, group_id: Uuid) -> Result<Option<Group>, Error> {
        let doc: Option<String> = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT doc FROM groups WHERE group_id = ?1 AND acct_id = ?2")?;
            Ok(statement.query_row((group_id, self.acct_id), |row| row.get(0)).optional()?)
        })?;
        Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
    }

    /// A group's approval policy. Read for every protected operation: the rest of the group is not parsed.
    pub(crate) fn approval_policy(&self, group_id: Uuid) -> Result<Option<GroupApprovalPolicy>, Error> {
        let policy: Option<Option<String>> = self.read(|connection| {
            let sql = "SELECT doc -> '$.approval_policy' FROM groups WHERE group_id = ?1 AND acct_id = ?2";
            Ok(connection.prepare_cached(sql)?.query_row((group_id, self.acct_id), |row| row.get(0)).optional()?)
        })?;
        Ok(policy.flatten().map(|policy| serde_json::from_str(&policy)).transpose()?)
    }

    /// A group's policies on its sobjects.
    pub(crate) fn group_policies(&self, group_id: Uuid) -> Result<GroupPolicies, Error> {
        let found: Option<Option<String>> = self.read(|connection| {
            // Most groups have none: these are not read at all.
            let sql = "SELECT CASE WHEN doc -> '$.cryptographic_policy' IS NULL AND doc -> '$.export_policy' IS NULL \
                       AND doc -> '$.key_metadata_policy' IS NULL AND doc -> '$.custodian_policy' IS NULL THEN NULL ELSE doc END \
                       FROM groups WHERE group_id = ?1 AND acct_id = ?2";
            Ok(connection.prepare_cached(sql)?.query_row((group_id, self.acct_id), |row| row.get(0)).optional()?)
        })?;
        Ok(found.flatten().map(|doc| serde_json::from_str(&doc)).transpose()?.unwrap_or_default())
    }

    /// The approval policies of the account's groups, of those that have one.
    pub(crate) fn approval_policies(&self) -> Result<Vec<(Uuid, GroupApprovalPolicy)>, Error> {
        self.read(|connection| {
            let sql =
                "SELECT group_id, doc -> '$.approval_policy' FROM groups WHERE acct_id = ?1 AND doc -> '$.approval_policy' IS NOT NULL";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([self.acct_id], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| row.map_err(Error::from).and_then(|(id, policy)| Ok((id, serde_json::from_str(&policy)?)))).collect()
        })
    }

    /// All groups, by name.
    pub(crate) fn groups(&self) -> Result<Vec<Group>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT doc FROM groups WHERE acct_id = ?1 ORDER BY name")?;
            let docs = statement.query_map([self.acct_id], |row| row.get::<_, String>(0))?;
            docs.map(|doc| Ok(serde_json::from_str(&doc?)?)).collect()
        })
    }

    /// The groups that fit, by name.
    pub(crate) fn groups_where(&self, condition: &Condition) -> Result<Vec<Group>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare(&format!("SELECT doc FROM groups WHERE {} AND acct_id = ? ORDER BY name", condition.sql()))?;
            let parameters = condition.parameters().iter().cloned().chain([self.acct_id.as_bytes().to_vec().into()]);
            let docs = statement.query_map(params_from_iter(parameters), |row| row.get::<_, String>(0))?;
            docs.map(|doc| Ok(serde_json::from_str(&doc?)?)).collect()
        })
    }

    /// Adds a group, with a member who administers it where one is given; `false` where the name is taken.
    pub(crate) fn insert_group(&self, group: &Group, administrator: Option<(Uuid, &str)>, audit: Audit) -> Result<bool, Error> {
        self.write(audit, |transaction| {
            let doc = serde_json::to_string(group)?;
            let inserted = transaction.execute(
                "INSERT INTO groups (group_id, acct_id, name, doc) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (acct_id, name) DO NOTHING",
                (group.group_id, self.acct_id, &group.name, doc),
            )?;
            if let Some((user_id, role)) = administrator.filter(|_| inserted == 1) {
                let sql = "UPDATE members SET doc = json_set(doc, '$.groups.' || json_quote(?3), json_array(?4)) \
                           WHERE user_id = ?1 AND acct_id = ?2";
                transaction.execute(sql, (user_id, self.acct_id, group.group_id.to_string(), role))?;
            }
            Ok(inserted == 1)
        })
    }

    /// Changes a group in one transaction: `change` sees it as it is then, and may refuse. `None`: there is no such group; an error of
    /// `taken`: its new name belongs to another one.
    pub(crate) fn update_group<E: From<Error>>(
        &self,
        group_id: Uuid,
        change: impl FnOnce(&mut Group) -> Result<Audit, E>,
        taken: impl FnOnce() -> E,
    ) -> Result<Option<Group>, E> {
        self.write_with(|transaction| {
            let sql = "SELECT doc FROM groups WHERE group_id = ?1 AND acct_id = ?2";
            let doc: Option<String> =
                transaction.query_row(sql, (group_id, self.acct_id), |row| row.get(0)).optional().map_err(Error::from)?;
            let Some(doc) = doc else {
                return Ok(None);
            };
            let mut group: Group = serde_json::from_str(&doc).map_err(Error::from)?;
            let audit = change(&mut group)?;
            let doc = serde_json::to_string(&group).map_err(Error::from)?;
            let sql = "UPDATE OR IGNORE groups SET name = ?2, doc = ?3 WHERE group_id = ?1";
            if transaction.execute(sql, (group_id, &group.name, doc)).map_err(Error::from)? == 0 {
                return Err(taken());
            }
            Ok(Some((group, audit)))
        })
    }

    /// Deletes a group that holds no sobject, where `check` allows it at that moment. Memberships end with it. `false` where it is not
    /// empty or gone.
    pub(crate) fn delete_group<E: From<Error>>(
        &self,
        group_id: Uuid,
        audit: Audit,
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let deleted = self.write_with(|transaction| {
            check()?;
            let sql = "DELETE FROM groups WHERE group_id = ?1 AND acct_id = ?2 AND NOT EXISTS (SELECT 1 FROM sobjects WHERE group_id = ?1)";
            let deleted = transaction.execute(sql, (group_id, self.acct_id)).map_err(Error::from)?;
            let path = format!("$.groups.\"{group_id}\"");
            let sql = "UPDATE members SET doc = json_remove(doc, ?2) WHERE acct_id = ?1 AND doc -> ?2 IS NOT NULL";
            transaction.execute(sql, (self.acct_id, path)).map_err(Error::from)?;
            Ok::<_, E>((deleted == 1).then_some(((), audit)))
        })?;
        Ok(deleted.is_some())
    }
}
