//! Users (`fss_user`), what they use, and invites (`fss_invite`).

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha384};

use super::values::{Failure, number, parsed, required_number, sql_integer};
use super::{StoreError, StoreErrorKind, owners};
use crate::crypto::Fingerprint;
use crate::store::indexed::SignUp;
use crate::store::{Account, Invite, UserName};

/// A key that has signed up (`docs/protocol.md` §19.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The key, by its fingerprint.
    pub key: Fingerprint,
    /// The name, which no other user has.
    pub name: UserName,
    /// Bytes that it may use; `None` if that is not limited.
    pub quota: Option<u64>,
    /// Bytes of its files, and those reserved for its uploads.
    pub used: u64,
    /// When it signed up, in Unix seconds.
    pub created: u64,
}

/// Seconds that an invite is good for (`docs/protocol.md` §19.6).
const INVITE_LASTS: u64 = 7 * 24 * 60 * 60;

pub(super) fn sign_up(transaction: &Connection, wish: &SignUp<'_>) -> Result<Account, Failure> {
    let SignUp { key, name, invite, by_invite_only, now } = *wish;
    if let Some(account) = account(transaction, key)? {
        return Ok(account);
    }
    let quota = match invite {
        None if by_invite_only => return Err(bad_invite("this server needs an invite")),
        None => None,
        Some(invite) => use_up(transaction, invite, now)?,
    };
    add(transaction, key, name, quota, now)?;
    account(transaction, key)?.ok_or_else(|| {
        StoreError::new(StoreErrorKind::Unavailable, "the new user is not there").into()
    })
}

/// Uses up an invite, and returns its quota. A failure after this rolls it back.
fn use_up(transaction: &Connection, invite: &Invite, now: u64) -> Result<Option<u64>, Failure> {
    forget_old_invites(transaction, now)?;
    let delete = "DELETE FROM fss_invite WHERE token = ?1 RETURNING quota";
    let quota =
        transaction.query_row(delete, [token(invite)], |row| number(row, "quota")).optional()?;
    quota.ok_or_else(|| bad_invite("the invite is unknown, used or too old"))
}

fn bad_invite(why: &str) -> Failure {
    StoreError::new(StoreErrorKind::BadInvite, why).into()
}

fn forget_old_invites(transaction: &Connection, now: u64) -> Result<(), Failure> {
    transaction.execute(
        "DELETE FROM fss_invite WHERE created + ?1 <= ?2",
        [INVITE_LASTS, now].map(sql_integer),
    )?;
    Ok(())
}

/// What is stored of an invite: a hash, so that the database does not contain usable invites.
fn token(invite: &Invite) -> [u8; 48] {
    Sha384::digest(invite.expose()).into()
}

pub(in crate::store) fn invite(
    transaction: &Connection,
    invite: &Invite,
    quota: Option<u64>,
    now: u64,
) -> Result<(), Failure> {
    forget_old_invites(transaction, now)?;
    let insert = "INSERT INTO fss_invite(token, created, quota) VALUES (?1, ?2, ?3)";
    transaction
        .execute(insert, params![token(invite), sql_integer(now), quota.map(sql_integer)])?;
    Ok(())
}

pub(in crate::store) fn add(
    transaction: &Connection,
    key: &Fingerprint,
    name: &UserName,
    quota: Option<u64>,
    now: u64,
) -> Result<(), Failure> {
    let taken = "SELECT EXISTS(SELECT 1 FROM fss_user WHERE name = ?1)";
    if transaction.query_row(taken, [name.as_str()], |row| row.get(0))? {
        return Err(StoreError::new(
            StoreErrorKind::NameTaken,
            format!("there is a user {}", name.as_str()),
        )
        .into());
    }
    let insert =
        "INSERT OR IGNORE INTO fss_user(key, name, quota, created) VALUES (?1, ?2, ?3, ?4)";
    let values = params![key.as_bytes(), name.as_str(), quota.map(sql_integer), sql_integer(now)];
    if transaction.execute(insert, values)? == 0 {
        return Err(StoreError::new(
            StoreErrorKind::Exists,
            format!("the key {key} is another user's"),
        )
        .into());
    }
    Ok(())
}

/// Removes a user, and returns its key. The caller ends its uploads that are not complete.
pub(in crate::store) fn remove(
    transaction: &Connection,
    name: &UserName,
) -> Result<Option<Fingerprint>, Failure> {
    let delete = "DELETE FROM fss_user WHERE name = ?1 RETURNING key";
    let key = transaction.query_row(delete, [name.as_str()], |row| row.get("key")).optional()?;
    Ok(key.map(Fingerprint::from_bytes))
}

pub(in crate::store) fn set_quota(
    transaction: &Connection,
    name: &UserName,
    quota: Option<u64>,
) -> Result<bool, Failure> {
    let update = "UPDATE fss_user SET quota = ?2 WHERE name = ?1";
    Ok(transaction.execute(update, params![name.as_str(), quota.map(sql_integer)])? > 0)
}

pub(in crate::store) fn list(connection: &Connection) -> Result<Vec<User>, Failure> {
    let mut statement = connection.prepare("SELECT * FROM fss_user ORDER BY name")?;
    let users = statement.query_map([], user)?.collect::<Result<Vec<_>, _>>()?;
    users
        .into_iter()
        .map(|user| Ok(User { used: owners::totals(connection, &user.key)?.used, ..user }))
        .collect()
}

fn find(connection: &Connection, key: &Fingerprint) -> Result<Option<User>, Failure> {
    let find = "SELECT * FROM fss_user WHERE key = ?1";
    Ok(connection.query_row(find, [key.as_bytes()], user).optional()?)
}

/// A user, with what it uses not counted yet.
fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    let name: String = row.get("name")?;
    Ok(User {
        key: Fingerprint::from_bytes(row.get("key")?),
        name: parsed(Type::Text, UserName::parse(name.as_bytes()))?,
        quota: number(row, "quota")?,
        used: 0,
        created: required_number(row, "created")?,
    })
}

pub(super) fn account(
    connection: &Connection,
    key: &Fingerprint,
) -> Result<Option<Account>, Failure> {
    let Some(User { name, quota, .. }) = find(connection, key)? else { return Ok(None) };
    let used = owners::totals(connection, key)?.used;
    Ok(Some(Account::new(name, used).with_quota(quota)))
}

/// Whether so many more bytes of an owner's fit into its quota. Strangers have none that could be
/// used up.
pub(super) fn has_room(
    connection: &Connection,
    owner: &Fingerprint,
    more: u64,
) -> Result<bool, Failure> {
    match find(connection, owner)?.and_then(|user| user.quota) {
        Some(quota) => Ok(owners::totals(connection, owner)?.used.saturating_add(more) <= quota),
        None => Ok(true),
    }
}

pub(super) fn over_quota() -> StoreError {
    StoreError::new(StoreErrorKind::Quota, "the owner's quota is used up")
}
