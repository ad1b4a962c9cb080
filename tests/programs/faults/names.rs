//! Names of files and directories: in which order they become durable, and what becomes of those
//! that cannot be removed.

use super::{Faulty, Harness, are_possible, is_done, template};

/// Both directories are synced between the rename that publishes a file and the commit of its
/// record: a file system that keeps the old name after a power cut would have the file removed with
/// it.
#[test]
fn a_published_name_is_durable_on_both_sides_before_its_record() {
    if !are_possible() {
        return;
    }
    for new in [Harness::new, Harness::of_fss1] {
        let template = template(new);
        let mut faulty = Faulty::new(&template, new());
        faulty.start();
        faulty.harness.write("file", &[7; 5000]);
        faulty.fail("rename,sync data 1000000 before 5\n");
        assert!(is_done(&faulty.client(&["upload", "file"])));
        let calls = faulty.heal();
        let after = |start: usize, is_it: &dyn Fn(&str) -> bool| {
            calls[start..]
                .iter()
                .position(|call| is_it(call))
                .map_or_else(|| panic!("{calls:#?}"), |found| start + found)
        };
        let renamed = after(0, &|call| call.contains(" rename ") && call.contains("/.incoming/F-"));
        let published = after(renamed, &|call| call.contains(" sync ") && call.ends_with("/data"));
        let forgotten =
            after(renamed, &|call| call.contains(" sync ") && call.ends_with("/.incoming"));
        let recorded = after(renamed, &|call| call.contains(" sync ") && call.ends_with("-wal"));
        assert!(published < recorded && forgotten < recorded, "{calls:#?}");
    }
}

/// A directory that cannot be removed, such as one of another owner or a mount, costs room and
/// nothing else.
#[test]
fn what_cannot_be_removed_stops_no_server() {
    if !are_possible() {
        return;
    }
    let template = template(Harness::new);
    let mut faulty = Faulty::new(&template, Harness::new());
    faulty.start();
    for name in ["file", "other"] {
        faulty.harness.write(name, &[7; 5000]);
        assert!(is_done(&faulty.client(&["upload", name])));
    }
    let cannot_remove = "unlink,rmdir data/F- 1 before 1+\n";
    faulty.fail(cannot_remove);
    assert!(is_done(&faulty.client(&["delete", "other"])), "it is withdrawn");
    assert_eq!((faulty.stored(), faulty.files()), (2, 3));
    faulty.kill();
    faulty.start();
    assert!(is_done(&faulty.client(&["download", "file", "-o", "-"])), "the others are served");
    assert_eq!(faulty.files(), 3);
    let (code, log) = faulty.server.take().expect("it was started").stop();
    assert_eq!(code, Some(0));
    assert!(
        log.contains("cannot remove what is to be removed")
            && log.contains("Operation not permitted"),
        "{log}"
    );
    faulty.restart();
    assert_eq!((faulty.stored(), faulty.files()), (2, 2));
    faulty.verify();
}
