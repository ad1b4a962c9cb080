//! Which connection writes which upload: at most one, and the latest wins (`docs/protocol.md`
//! §17.12).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::types::cookie::Cookie;

/// What the writer of an upload needs, until another connection takes it. Locked for every step of
/// the upload.
type Slot<T> = Arc<Mutex<Option<T>>>;

/// The uploads that connections are writing.
///
/// The table is locked only briefly. A thread that waits for a slot holds only its own, which is
/// newer, so there is no deadlock, and an upload waits only for its own older holders.
pub(super) struct Active<T>(Mutex<HashMap<Cookie, Slot<T>>>);

impl<T> Default for Active<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Active<T> {
    /// Takes an upload from its present holder, after the step that is running. `prepare` then
    /// returns what the new holder needs; others that want the upload wait meanwhile.
    pub(super) fn take_over<R, E>(
        self: &Arc<Self>,
        cookie: &Cookie,
        prepare: impl FnOnce() -> Result<Option<(T, R)>, E>,
    ) -> Result<Option<(Hold<T>, R)>, E> {
        let hold = Hold { table: Arc::clone(self), cookie: cookie.clone(), slot: Slot::default() };
        let mut ours = lock(&hold.slot);
        let older = lock(&self.0).insert(cookie.clone(), Arc::clone(&hold.slot));
        if let Some(older) = older {
            lock(&older).take();
        }
        let Some((upload, prepared)) = prepare()? else { return Ok(None) };
        *ours = Some(upload);
        drop(ours);
        Ok(Some((hold, prepared)))
    }

    /// Holds an upload that no other connection can take over.
    pub(super) fn alone(self: &Arc<Self>, cookie: &Cookie, upload: T) -> Hold<T> {
        Hold {
            table: Arc::clone(self),
            cookie: cookie.clone(),
            slot: Arc::new(Mutex::new(Some(upload))),
        }
    }

    /// Ends an upload that no connection is writing, and returns whether there was one. One in
    /// progress does not end, whatever the time is: a clock may jump.
    pub(super) fn end_idle<E>(
        &self,
        cookie: &Cookie,
        end: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let slot = lock(&self.0).get(cookie).map(Arc::clone).unwrap_or_default();
        let held = lock(&slot);
        if held.is_some() { Ok(false) } else { end() }
    }
}

/// The right to write an upload.
pub(super) struct Hold<T> {
    table: Arc<Active<T>>,
    cookie: Cookie,
    slot: Slot<T>,
}

impl<T> Hold<T> {
    /// What is needed for the next step, unless another connection took it. None can while this is
    /// locked.
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<T>> {
        lock(&self.slot)
    }
}

impl<T> Drop for Hold<T> {
    fn drop(&mut self) {
        let mut table = lock(&self.table.0);
        if table.get(&self.cookie).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            table.remove(&self.cookie);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each step takes out what it works with, so one that panicked has left the slot empty and not
    // inconsistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn take_over(table: &Arc<Active<u32>>, upload: u32) -> Hold<u32> {
        let taken = table.take_over(&Cookie::from_index(7), || Ok::<_, ()>(Some((upload, ()))));
        taken.expect("it is prepared").expect("it is there").0
    }

    #[test]
    fn the_latest_wins_and_the_older_one_does_not_disturb_it() {
        let table = Arc::new(Active::default());
        let older = take_over(&table, 1);
        let newer = take_over(&table, 2);
        assert_eq!((*older.lock(), *newer.lock()), (None, Some(2)));
        drop(older);
        assert!(!lock(&table.0).is_empty(), "the place is the newer one's");
        assert_eq!(table.end_idle(&Cookie::from_index(7), || Ok::<_, ()>(true)), Ok(false));
        assert_eq!(*newer.lock(), Some(2), "it is in progress");
        drop(newer);
        assert!(lock(&table.0).is_empty());
        assert_eq!(table.end_idle(&Cookie::from_index(7), || Ok::<_, ()>(true)), Ok(true));
    }

    #[test]
    fn what_cannot_be_prepared_is_nobodys() {
        let table = Arc::new(Active::default());
        let older = take_over(&table, 1);
        assert!(matches!(
            table.take_over(&Cookie::from_index(7), || Err::<Option<(u32, ())>, _>("broken")),
            Err("broken")
        ));
        assert!(matches!(
            table.take_over(&Cookie::from_index(7), || Ok::<Option<(u32, ())>, ()>(None)),
            Ok(None)
        ));
        assert_eq!(*older.lock(), None);
        assert!(lock(&table.0).is_empty());
    }

    #[test]
    fn taking_over_waits_for_the_step_that_is_running() {
        let table = Arc::new(Active::default());
        let older = take_over(&table, 1);
        let step = older.lock();
        let (taken, wait) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let newer = take_over(&table, 2);
                taken.send(()).expect("the test waits");
                newer
            });
            assert!(wait.recv_timeout(Duration::from_millis(50)).is_err(), "a step is running");
            let other = table.take_over(&Cookie::from_index(8), || Ok::<_, ()>(Some((3, ()))));
            assert!(other.is_ok(), "another upload does not wait");
            drop(step);
            wait.recv().expect("it goes on");
        });
    }
}
