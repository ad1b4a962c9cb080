//! Writing to a database from many threads, with group commit: a commit waits for the disk, so
//! concurrent transactions share one.
//!
//! Each caller's work runs in its own savepoint, so that a failure undoes only that work.
//! [`Writer::write`] returns only after the commit of the whole group, so what it has returned is
//! durable (`synchronous=full`: SQLite syncs the log in each commit). Readers use other
//! connections, so they do not see the work before that either.
//!
//! **A failed commit stays failed.** SQLite rolls it back in memory, but its frames may be complete
//! in the log, where the next process would read them. So before any caller gets the error, another
//! commit overwrites them. If that fails too, it is unknown what the next process will find: then
//! the store stops, and every call fails until the database is opened again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use rusqlite::Connection;

use super::values::{Failure, database_error};
use crate::store::{StoreError, StoreErrorKind};

/// The most transactions in one commit, so that the first caller does not wait for ever while
/// others keep coming.
const MOST_AT_ONCE: usize = 64;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    state: Mutex<State>,
    /// Threads that wait for the state's lock to write. The thread that finds none commits for its
    /// group: while there are others, they can still join, and one of them commits.
    coming: AtomicUsize,
    committed: Condvar,
    /// Why the store has stopped.
    stopped: OnceLock<StoreError>,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    group: Option<Arc<Group>>,
    members: usize,
    /// When `BEGIN` failed last, and why.
    failed: Option<(Instant, StoreError)>,
}

/// Transactions that are committed together, and what came of it.
#[derive(Debug, Default)]
struct Group(OnceLock<Result<(), StoreError>>);

impl Writer {
    pub(super) fn new(path: PathBuf, connection: Connection) -> Self {
        let state = Mutex::new(State { connection, group: None, members: 0, failed: None });
        Self {
            path,
            state,
            coming: AtomicUsize::new(0),
            committed: Condvar::new(),
            stopped: OnceLock::new(),
        }
    }

    /// Fails once the store has stopped: it is then unknown what the database holds.
    ///
    /// # Errors
    /// [`StoreErrorKind::Stopped`]
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.stopped.get().map_or(Ok(()), |stopped| Err(stopped.clone()))
    }

    /// Does some work as one step, durably or not at all. After an error it is not done, and no
    /// crash will bring it back.
    ///
    /// # Errors
    /// [`StoreErrorKind::Stopped`] if that is not known; others are those of the work and of
    /// SQLite.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let came = Instant::now();
        self.coming.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state();
        self.coming.fetch_sub(1, Ordering::SeqCst);
        let group = self.enter(&mut state, came)?;
        // Other threads of the group may wait for this one to commit, so a panic of `work` must not
        // skip the commit. It is resumed after it.
        let worked = catch_unwind(AssertUnwindSafe(|| in_savepoint(&mut state.connection, work)));
        if state.connection.is_autocommit() {
            // Some errors, such as a full disk, make SQLite roll back the whole transaction, and so
            // the work of the whole group.
            let detail =
                format!("database {}: the transaction was rolled back", self.path.display());
            let undone = match &worked {
                Ok(Err(Failure::Database(error))) => database_error(&self.path, error),
                _ => StoreError::new(StoreErrorKind::Unavailable, detail),
            };
            self.settle(&mut state, Err(undone));
        } else if self.coming.load(Ordering::SeqCst) == 0 || state.members >= MOST_AT_ONCE {
            let committed = self.commit(&state.connection);
            self.settle(&mut state, committed);
        }
        while group.0.get().is_none() {
            state = self.committed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let done = worked.unwrap_or_else(|panic| resume_unwind(panic));
        let done = done.map_err(|failure| failure.into_error(&self.path))?;
        group.0.get().cloned().unwrap_or(Ok(())).map(|()| done)
    }

    /// Uses the connection between two transactions.
    pub(super) fn alone<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check()?;
        let mut state = self.state();
        while state.group.is_some() {
            state = self.committed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        work(&state.connection).map_err(|error| database_error(&self.path, &error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the group that is open, or opens one.
    fn enter(&self, state: &mut State, came: Instant) -> Result<Arc<Group>, StoreError> {
        self.check()?;
        if state.group.is_none() {
            // `BEGIN` waits up to [`BUSY_TIMEOUT`] for another process. Callers that queued
            // meanwhile have waited as long, so they share the error instead of each waiting again
            // in turn.
            if let Some((_, error)) = state.failed.as_ref().filter(|(failed, _)| came < *failed) {
                return Err(error.clone());
            }
            state.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| {
                let error = database_error(&self.path, &error);
                state.failed = Some((Instant::now(), error.clone()));
                error
            })?;
            state.members = 0;
        }
        state.members += 1;
        Ok(Arc::clone(state.group.get_or_insert_default()))
    }

    fn commit(&self, connection: &Connection) -> Result<(), StoreError> {
        commit(connection).map_err(|failed| {
            let failed = database_error(&self.path, &failed);
            match overwrite(connection) {
                // On a full disk the frames cannot be complete, so no process will read them.
                Err(error) if failed.kind() != StoreErrorKind::Full => {
                    let detail = format!("{failed}; whether it was committed is unknown ({error}), open the store again");
                    self.stopped.get_or_init(|| StoreError::new(StoreErrorKind::Stopped, detail)).clone()
                }
                _ => failed,
            }
        })
    }

    fn settle(&self, state: &mut State, outcome: Result<(), StoreError>) {
        if let Some(group) = state.group.take() {
            // The group was taken out of the state, so no other thread sets its outcome.
            let _ = group.0.set(outcome);
        }
        self.committed.notify_all();
    }
}

fn commit(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("COMMIT").inspect_err(|_| {
        if !connection.is_autocommit() {
            // An error here must not hide the first one.
            let _ = connection.execute_batch("ROLLBACK");
        }
    })
}

/// Commits a change that writes a page at the end of the valid log, where the frames of a failed
/// commit may be. SQLite does not read the frames after it: each frame's checksum continues the one
/// before.
fn overwrite(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let version = "SELECT user_version + 1 FROM pragma_user_version";
    let marked = connection
        .query_row(version, [], |row| row.get::<_, i32>(0))
        .and_then(|version| connection.pragma_update(None, "user_version", version));
    match marked {
        Ok(()) => commit(connection),
        Err(error) => {
            let _ = connection.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// Does some work in a savepoint, which is rolled back if it fails.
fn in_savepoint<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let savepoint = connection.savepoint()?;
    let done = work(&savepoint)?;
    savepoint.commit()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> (tempfile::TempDir, Writer) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("database");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t(n INTEGER)").unwrap();
        (directory, Writer::new(path, connection))
    }

    fn insert(number: usize) -> impl FnOnce(&Connection) -> Result<(), Failure> {
        move |connection| {
            connection.execute("INSERT INTO t VALUES (?1)", [i64::try_from(number).unwrap()])?;
            Ok(())
        }
    }

    fn numbers(writer: &Writer) -> Vec<i64> {
        let reader = Connection::open(&writer.path).unwrap();
        let mut statement = reader.prepare("SELECT n FROM t ORDER BY n").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn everything_that_was_acknowledged_is_there_and_nothing_that_failed() {
        let (_directory, writer) = writer();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let writer = &writer;
                scope.spawn(move || {
                    for round in 0..50 {
                        let number = thread * 50 + round;
                        match number % 5 {
                            0 => {
                                let refused = StoreError::new(StoreErrorKind::Quota, "none");
                                let failed = writer.write(|connection| {
                                    insert(number)(connection)?;
                                    Err::<(), _>(refused.clone().into())
                                });
                                assert_eq!(failed, Err(refused.clone()));
                            }
                            1 => {
                                let panicked = catch_unwind(AssertUnwindSafe(|| {
                                    writer.write(|connection| -> Result<(), Failure> {
                                        let _ = insert(number)(connection);
                                        resume_unwind(Box::new("on purpose"))
                                    })
                                }));
                                assert!(panicked.is_err());
                            }
                            _ => {
                                assert_eq!(writer.write(insert(number)), Ok(()));
                                assert!(
                                    numbers(writer).contains(&i64::try_from(number).unwrap()),
                                    "it is durable"
                                );
                            }
                        }
                    }
                });
            }
        });
        let expected: Vec<i64> = (0..400).filter(|number| number % 5 > 1).collect();
        assert_eq!(numbers(&writer), expected);
    }

    /// A full disk in the middle of a group rolls back all of it, and none of it is acknowledged.
    #[test]
    fn what_sqlite_undoes_is_acknowledged_to_nobody() {
        let (_directory, writer) = writer();
        writer.state().connection.execute_batch("PRAGMA max_page_count = 8").unwrap();
        let big = |connection: &Connection| {
            Ok(connection.execute("INSERT INTO t VALUES (zeroblob(100000))", [])?)
        };
        writer.coming.fetch_add(1, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| writer.write(insert(1)));
            while writer.state().group.is_none() {
                std::thread::yield_now();
            }
            let second = writer.write(big);
            assert_eq!(second.map_err(|error| error.kind()), Err(StoreErrorKind::Full));
            writer.coming.fetch_sub(1, Ordering::SeqCst);
            let first_went = writer.state().group.is_none();
            if !first_went {
                // Only the statement was undone: somebody has to commit what is left.
                writer.write(insert(3)).unwrap();
            }
            let first = first.join().unwrap();
            assert_eq!(first.is_ok(), numbers(&writer).contains(&1), "{first:?}");
        });
        assert_eq!(writer.write(insert(2)), Ok(()));
        assert!(numbers(&writer).contains(&2));
    }

    /// However many threads come, a commit is not delayed for ever.
    #[test]
    fn a_group_is_committed_when_it_is_large() {
        let (_directory, writer) = writer();
        // Somebody is always coming, and never comes.
        writer.coming.fetch_add(1, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for number in 0..MOST_AT_ONCE {
                let writer = &writer;
                scope.spawn(move || assert_eq!(writer.write(insert(number)), Ok(())));
            }
        });
        assert_eq!(numbers(&writer).len(), MOST_AT_ONCE);
    }

    /// The first cannot commit while others are coming, so they are one commit; and when it fails,
    /// it fails for all.
    #[test]
    fn a_commit_that_fails_fails_for_all_of_its_group() {
        let (_directory, writer) = writer();
        writer
            .write(|connection| {
                Ok(connection.execute_batch("CREATE TABLE u(n INTEGER PRIMARY KEY)")?)
            })
            .unwrap();
        let foreign = "PRAGMA foreign_keys = on;
            CREATE TABLE child(n INTEGER REFERENCES u(n) DEFERRABLE INITIALLY DEFERRED)";
        writer.state().connection.execute_batch(foreign).unwrap();
        // Somebody is always coming, until both are in.
        writer.coming.fetch_add(1, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| writer.write(insert(1)));
            while writer.state().members == 0 || writer.state().group.is_none() {
                std::thread::yield_now();
            }
            writer.coming.fetch_sub(1, Ordering::SeqCst);
            // Its reference leads nowhere, which shows when it is committed.
            let second = writer
                .write(|connection| Ok(connection.execute_batch("INSERT INTO child VALUES (7)")?));
            assert!(second.is_err());
            assert_eq!(first.join().unwrap(), second);
        });
        assert_eq!(numbers(&writer), Vec::<i64>::new());
        assert_eq!(writer.write(insert(2)), Ok(()));
        assert_eq!(numbers(&writer), [2]);
    }
}
