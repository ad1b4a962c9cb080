//! What a file costs its owner, and what it costs to know that.

use bytes::Bytes;
use fss::chain::CHECKPOINT;
use fss::store::conformance::{key, new_upload, put_file, put_sealed};
use fss::store::indexed::FreeSpace;
use fss::store::{
    EmbeddedStore, FILE_CHARGE, NewFile, OpenOptions, Store, StoreErrorKind, UserName, Users,
};
use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;

use super::{database, directory, entries, kind, open, unsettled};

fn user(directory: &std::path::Path, quota: u64) -> Users {
    let users = Users::open(directory).expect("there is a database");
    users.add(&key(0), &UserName::parse(b"alice").expect("a name"), Some(quota)).expect("added");
    users
}

fn empty() -> NewFile {
    NewFile::Sealed { upload: new_upload(b"").with_size(Some(0)), owner: key(0) }
}

/// A member with a quota of one byte stored 3000 empty files.
#[test]
fn no_file_is_free() {
    let directory = directory();
    let store = open(directory.path());
    let users = user(directory.path(), 1);
    assert_eq!(kind(store.create(&empty()).map(drop)), StoreErrorKind::Quota);
    users
        .set_quota(&UserName::parse(b"alice").expect("a name"), Some(3 * FILE_CHARGE))
        .expect("set");
    let stored: Vec<_> =
        (0..3).map(|_| put_file(&store, &empty(), b"").expect("it fits")).collect();
    assert_eq!(kind(store.create(&empty()).map(drop)), StoreErrorKind::Quota);
    assert_eq!(
        store.account(&key(0)).map(|account| account.expect("a user").used),
        Ok(3 * FILE_CHARGE)
    );
    assert_eq!(store.remove(&stored[0]), Ok(true));
    put_file(&store, &empty(), b"").expect("it fits again");
}

#[test]
fn a_key_has_a_limited_number_of_files() {
    let directory = directory();
    let store =
        OpenOptions::default().files_per_owner(3).open(directory.path()).expect("the store opens");
    let stored = put_sealed(&store, b"one").expect("stored");
    let pending = store.create(&empty()).expect("it begins");
    put_sealed(&store, b"three").expect("stored");
    assert_eq!(kind(put_sealed(&store, b"four")), StoreErrorKind::TooManyFiles);
    let of_another = NewFile::Sealed { upload: new_upload(b""), owner: key(1) };
    put_file(&store, &of_another, b"").expect("another key has its own");
    pending.commit().expect("stored");
    assert_eq!(kind(put_sealed(&store, b"four")), StoreErrorKind::TooManyFiles);
    assert_eq!(store.remove(&stored), Ok(true));
    put_sealed(&store, b"four").expect("stored");
}

/// What is kept as a running total, and what it comes to when all is counted.
fn totals(directory: &std::path::Path) -> [Vec<(Vec<u8>, i64, i64)>; 2] {
    let database = database(directory);
    let all = |select: &str| -> Vec<(Vec<u8>, i64, i64)> {
        let mut statement = database.prepare(select).expect("our tables");
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("readable");
        rows.collect::<Result<_, _>>().expect("readable")
    };
    let counted = format!(
        "SELECT owner, count(*), sum(size + {FILE_CHARGE}) FROM (
             SELECT owner, size FROM fss_file WHERE owner IS NOT NULL UNION ALL SELECT owner, reserved FROM fss_pending
         ) GROUP BY owner ORDER BY owner"
    );
    [all("SELECT key, files, used FROM fss_owner ORDER BY key"), all(&counted)]
}

/// Whatever is done to files and uploads, in whatever order.
#[test]
fn running_totals_are_what_is_there() {
    for seed in 0..20 {
        let (directory, mut rng) = (directory(), SeededRng(seed));
        let mut store = open(directory.path());
        let (mut files, mut uploads) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            let owner = key(u8::try_from(rng.next_u32() % 3).expect("it is small"));
            match rng.next_u32() % 7 {
                0 | 1 => {
                    let size = (rng.next_u32() % 2 == 0).then_some(5);
                    let upload = new_upload(b"bytes").with_size(size);
                    uploads.push(
                        store.create(&NewFile::Sealed { upload, owner }).expect("there is room"),
                    );
                }
                2 => {
                    if let Some(mut upload) = uploads.pop() {
                        upload.write(0, Bytes::from_static(b"bytes")).expect("written");
                        files.push(upload.cookie().clone());
                        upload.commit().expect("stored");
                    }
                }
                3 => {
                    if let Some(upload) = uploads.pop() {
                        let cookie = upload.cookie().clone();
                        drop(upload);
                        let resumed =
                            store.resume(&cookie, 0).expect("readable").expect("it is pending");
                        uploads.extend(resumed.upload);
                    }
                }
                4 => drop(files.pop().map(|cookie| store.remove(&cookie).expect("removed"))),
                5 => {
                    uploads.clear();
                    drop(store);
                    store = open(directory.path());
                }
                _ => drop(store.remove_expired().expect("swept")),
            }
            let [kept, counted] = totals(directory.path());
            assert_eq!(kept, counted, "seed {seed}");
        }
    }
}

/// However many files there are, one row tells what they come to: it is believed while the store is
/// open.
#[test]
fn an_upload_does_not_add_up_what_is_there() {
    let directory = directory();
    let store = open(directory.path());
    user(directory.path(), 1 << 30);
    put_sealed(&store, b"a file").expect("stored");
    let set = |used: u64| {
        database(directory.path())
            .execute("UPDATE fss_owner SET used = ?1", [i64::try_from(used).expect("it is small")])
            .expect("our table")
    };
    set(1 << 30);
    assert_eq!(kind(put_sealed(&store, b"another")), StoreErrorKind::Quota);
    drop(store);
    put_sealed(&open(directory.path()), b"another").expect("it is counted anew at the start");
}

fn remove_user(users: &Users) {
    assert_eq!(users.remove(&UserName::parse(b"alice").expect("a name")), Ok(true));
}

/// 300 MiB were stored by an upload whose user had been removed.
#[test]
fn the_uploads_of_a_removed_user_end() {
    for members in [false, true] {
        let directory = directory();
        let open = || {
            OpenOptions::default()
                .members_only(members)
                .open(directory.path())
                .expect("the store opens")
        };
        let store: EmbeddedStore = open();
        let users = user(directory.path(), 1 << 40);
        let begin = || {
            store
                .create(&NewFile::Sealed { upload: new_upload(b""), owner: key(0) })
                .expect("it begins")
        };
        let (mut running, complete, broken) = (begin(), begin(), begin().cookie().clone());
        remove_user(&users);
        let checkpoint = Bytes::from(vec![0; usize::try_from(CHECKPOINT).expect("it is small")]);
        assert_eq!(kind(running.write(0, checkpoint)), StoreErrorKind::NotAMember);
        assert_eq!(kind(complete.commit()), StoreErrorKind::NotAMember);
        assert!(
            store.resume(&broken, 0).expect("readable").is_none()
                && store.find_upload(&broken) == Ok(None)
        );
        drop(running);
        store.remove_expired().expect("swept");
        assert_eq!((store.count(), unsettled(directory.path())), (Ok(0), 0));
        assert_eq!(entries(directory.path()), Vec::<String>::new());
        let [kept, counted] = totals(directory.path());
        assert_eq!((kept, counted), (vec![], vec![]));
    }
}

/// A disk may have bytes and no inodes.
#[test]
fn a_disk_without_inodes_is_full() {
    let limited = |bytes, files| super::crashes::on_a_disk(FreeSpace::new(bytes, files));
    for (free, is_full) in [
        ((1 << 40, Some(255)), true),
        ((1 << 40, Some(256)), false),
        ((1 << 40, None), false),
        ((1, None), true),
    ] {
        let (_directory, store) = limited(free.0, free.1);
        let stored = put_sealed(&store, b"a file").map_err(|error| error.kind());
        assert_eq!(stored.err(), is_full.then_some(StoreErrorKind::Full), "{free:?}");
    }
}
