//! A disk without a free byte: what is there can still be had, counted and deleted, and the server
//! starts.

use super::{Faulty, Harness, are_possible, is_done, template};

/// Nothing can be made larger or be created. (What SQLite keeps in shared memory is made anew by
/// each start, in the room that it had.)
const FULL: &str = "grow !-shm 1 before 28+\n";

#[test]
fn deletes_claims_and_starts_need_no_room() {
    if !are_possible() {
        return;
    }
    let template = template(Harness::new);
    let mut faulty = Faulty::new(&template, Harness::new());
    faulty.start();
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        faulty.harness.write(name, &[7; 5000]);
        assert!(is_done(&faulty.client(&["upload", name, "--downloads", "2"])));
    }
    let does = |faulty: &Faulty, arguments: &[&str]| {
        let output = faulty.client(arguments);
        assert!(is_done(&output), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let mut stored = faulty.stored();
    for (name, how) in
        names.into_iter().zip(["lives on", "is stopped", "is killed", "is stopped", "is killed"])
    {
        faulty.fail(FULL);
        does(&faulty, &["download", name, "-o", "-"]);
        does(&faulty, &["delete", name]);
        does(&faulty, &["list", "--remote"]);
        stored -= 1;
        assert_eq!((faulty.stored(), faulty.files()), (stored, stored), "the server {how}");
        faulty.harness.write("more", &[7; 5000]);
        assert!(!is_done(&faulty.client(&["upload", "more"])), "the disk is full");
        match how {
            "is stopped" => drop(faulty.server.take().expect("it was started").stop()),
            "is killed" => faulty.kill(),
            _ => continue,
        }
        faulty.start();
    }
    faulty.restart();
    does(&faulty, &["upload", "more"]);
    faulty.verify();
}
