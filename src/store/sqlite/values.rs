//! Values of rows, and their errors.

use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{ErrorCode, Row};

use super::{StoreError, StoreErrorKind};

/// Why a transaction failed.
pub(in crate::store) enum Failure {
    /// An error of SQLite.
    Database(rusqlite::Error),
    /// A refusal of our own.
    Refused(StoreError),
}

impl Failure {
    pub(super) fn into_error(self, path: &Path) -> StoreError {
        match self {
            Self::Database(error) => database_error(path, &error),
            Self::Refused(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

pub(crate) fn database_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    let kind = match (error.sqlite_error_code(), error) {
        (Some(ErrorCode::DiskFull), _) => StoreErrorKind::Full,
        (Some(ErrorCode::ConstraintViolation), _) => StoreErrorKind::Exists,
        (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => StoreErrorKind::Busy,
        (Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied), _) => StoreErrorKind::Denied,
        (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), _)
        | (
            None,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..),
        ) => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, format!("database {}: {error}", path.display()))
}

/// SQLite's integers are signed; no date or size of ours is beyond them.
pub(crate) fn sql_integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a number from a row. None of ours is negative.
pub(super) fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    value
        .map(|value| {
            u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, value))
        })
        .transpose()
}

/// As [`number`], where there must be one.
pub(super) fn required_number(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let missing = || rusqlite::Error::InvalidColumnType(0, column.to_owned(), Type::Null);
    number(row, column)?.ok_or_else(missing)
}

/// Converts the error of parsing a column's bytes or text.
pub(super) fn parsed<T, E>(kind: Type, result: Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    result.map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error)))
}
