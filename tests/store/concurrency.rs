//! Many at once, and a disk with no room.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fss::store::conformance::{get, key, new_upload, write};
use fss::store::{NewFile, OpenOptions, Store, StoreErrorKind, UserName, Users};

use super::{directory, kind, open};

/// Threads that write, threads that read, and the operator's commands, which are another process:
/// no caller gets `database is locked`, and all that was acknowledged is there.
#[test]
fn many_writers_readers_and_the_operator_do_not_lock_each_other_out() {
    const THREADS: u8 = 8;
    const FILES: u8 = 12;
    let directory = directory();
    let store = open(directory.path());
    let users = Users::open(directory.path()).expect("it is a store");
    let over = AtomicBool::new(false);
    let cookies: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    let put = |number: u8| {
                        let content = [thread, number];
                        let file =
                            NewFile::Sealed { upload: new_upload(&content), owner: key(thread) };
                        let mut upload = store.create(&file).expect("created");
                        write(&mut *upload, 0, &content).expect("written");
                        let cookie = upload.cookie().clone();
                        upload.commit().expect("committed");
                        assert_eq!(
                            get(store, &cookie),
                            Ok(Some(content.to_vec())),
                            "what is acknowledged is there"
                        );
                        (cookie, content)
                    };
                    (0..FILES).map(put).collect::<Vec<_>>()
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                store.list(&key(0), None).expect("readable");
                store.remove_expired().expect("readable");
            }
        });
        let operator = scope.spawn(|| {
            for number in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let name = UserName::parse(b"anna").expect("a name");
                users.add(&key(200), &name, Some(number)).expect("added");
                users.set_quota(&name, None).expect("changed");
                assert_eq!(users.remove(&name), Ok(true));
            }
        });
        let cookies =
            writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect();
        over.store(true, Ordering::Relaxed);
        reader.join().expect("no panic");
        operator.join().expect("no panic");
        cookies
    });
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.count(), Ok(usize::from(THREADS) * usize::from(FILES)));
    for (cookie, content) in cookies {
        assert_eq!(get(&store, &cookie), Ok(Some(content.to_vec())));
    }
}

#[test]
fn without_room_uploads_are_refused_and_all_else_goes_on() {
    let directory = directory();
    let store = open(directory.path());
    let file = |content: &[u8]| NewFile::Sealed { upload: new_upload(content), owner: key(0) };
    let put = |content: &'static [u8]| {
        let mut upload = store.create(&file(content)).expect("created");
        write(&mut *upload, 0, content).expect("written");
        let cookie = upload.cookie().clone();
        upload.commit().expect("committed");
        cookie
    };
    let cookies = [put(b"one"), put(b"two")];
    drop(store);
    // More than any disk has free.
    let store =
        OpenOptions::default().minimum_free(1 << 62).open(directory.path()).expect("it opens");
    assert_eq!(kind(store.create(&file(b"three"))), StoreErrorKind::Full);
    assert_eq!(get(&store, &cookies[0]), Ok(Some(b"one".to_vec())));
    assert_eq!(store.remove(&cookies[1]), Ok(true));
    assert_eq!(store.list(&key(0), None).expect("readable").expect("known").files.len(), 1);
    drop(store);
    let store = open(directory.path());
    let mut upload = store.create(&file(b"three")).expect("there is room again");
    assert_eq!(upload.write(0, Bytes::from_static(b"three")), Ok(()));
    upload.commit().expect("committed");
}
