//! The numbers of a profile's passwords.

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};

use super::database::Sql;

/// Which of a profile's passwords: they are counted from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PasswordId(u32);

impl PasswordId {
    /// The password that the profile began with.
    pub const FIRST: Self = Self(0);

    pub(super) fn from_number(number: u32) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }
}

impl FromSql for Sql<PasswordId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        u32::column_result(value).map(PasswordId).map(Self)
    }
}
