//! A commit of the database fails, while its frames may lie in the log and be read again by the
//! next start.

use super::{Faulty, Harness, are_possible, is_done, is_refused, sample, template};
use fss_test_support::harness::run;

const CONTENT: [u8; 5000] = [7; 5000];
/// Files in a template.
const BEFORE: usize = 1;

/// A rule that fails the sync of a commit: which one, and whether before or after it was done.
fn failed_commit(nth: usize, when: &str) -> String {
    format!("sync -wal {nth} {when} 5\n")
}

/// What happens to the server after a commit has failed.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// It lives on, and the client tries once more.
    LivesOn,
    /// It is killed when the client has its answer.
    IsKilled,
    /// It is killed at one of the calls that follow, be it in the next command.
    DiesAt(usize),
}

/// An upload of which a commit fails. Afterwards it is there if it was acknowledged and not if it
/// was refused, and the same command again leaves one copy.
fn upload_with_a_failed_commit(
    template: &Harness,
    new: fn() -> Harness,
    commit: usize,
    when: &str,
    then: Then,
) -> usize {
    let case = format!("commit {commit} fails {when} its sync, the server {then:?}");
    let mut faulty = Faulty::new(template, new());
    faulty.start();
    faulty.harness.write("file", &CONTENT);
    let death = match then {
        Then::DiesAt(call) => format!("* data {call} before exit\n"),
        _ => "* data 1000000 before exit\n".to_owned(),
    };
    faulty.fail(&(failed_commit(commit, when) + &death));
    let first = faulty.client(&["upload", "file"]);
    let mut done = is_done(&first);
    // A connection that breaks tells a client of FSS 1.0 nothing.
    let tries_again = is_refused(&first) || !faulty.is_fss1;
    if !done && tries_again && !matches!(then, Then::IsKilled) {
        done = is_done(&faulty.client(&["upload", "file"]));
    }
    let calls = faulty.heal().iter().filter(|call| call.starts_with('2')).count();
    faulty.restart();
    if done {
        assert_eq!(faulty.stored(), BEFORE + 1, "{case}: what was acknowledged is there");
    } else {
        if is_refused(&first) && matches!(then, Then::IsKilled) {
            assert_eq!(faulty.stored(), BEFORE, "{case}: what was refused is not there: {first:?}");
        }
        let before = faulty.stored();
        let again = faulty.client(&["upload", "file"]);
        assert!(is_done(&again), "{case}: {again:?}");
        // FSS 1.0 cannot query the result of an upload whose connection broke.
        let lost = if faulty.is_fss1 { before - BEFORE } else { 0 };
        assert!(lost <= 1);
        assert_eq!(faulty.stored(), BEFORE + 1 + lost, "{case}: there is one copy");
    }
    faulty.verify();
    calls
}

fn uploads_with_failed_commits(new: fn() -> Harness, commits: usize) {
    if !are_possible() {
        return;
    }
    let template = template(new);
    for commit in 1..=commits {
        for when in ["before", "after"] {
            let calls = upload_with_a_failed_commit(&template, new, commit, when, Then::LivesOn);
            upload_with_a_failed_commit(&template, new, commit, when, Then::IsKilled);
            for call in sample((1..=calls).collect(), 2) {
                upload_with_a_failed_commit(&template, new, commit, when, Then::DiesAt(call));
            }
        }
    }
}

#[test]
fn an_upload_survives_a_failed_commit() {
    uploads_with_failed_commits(Harness::new, 2);
}

#[test]
fn an_upload_of_fss1_survives_a_failed_commit() {
    uploads_with_failed_commits(Harness::of_fss1, 2);
}

/// If the commit that overwrites a failed one fails too, it is unknown what the next start will
/// find: the server says nothing about the upload and stops, and the next one knows.
#[test]
fn a_server_that_does_not_know_what_was_committed_stops() {
    if !are_possible() {
        return;
    }
    let (here, new): (_, [fn() -> Harness; 2]) =
        (template(Harness::new), [Harness::new, Harness::of_async_server]);
    for (new, commit, when) in
        new.into_iter().flat_map(|new| [(new, 1, "before"), (new, 2, "after")])
    {
        let mut faulty = Faulty::new(&here, new());
        faulty.start();
        faulty.harness.write("file", &CONTENT);
        faulty.fail(&format!("sync -wal {commit} {when} 5+\n"));
        let output = faulty.client(&["upload", "file"]);
        assert_eq!(output.status.code(), Some(75), "{output:?}");
        let (code, log) = faulty.server.take().expect("it was started").wait();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("the storage has stopped"), "{log}");
        faulty.restart();
        let stored = faulty.stored();
        assert!(stored < BEFORE + commit);
        assert!(is_done(&faulty.client(&["upload", "file"])));
        assert_eq!(faulty.stored(), BEFORE + 1, "there is one copy");
        faulty.verify();
    }
}

/// Commands that change what is stored are done when that was told, and not done when it was
/// refused.
#[test]
fn deletes_downloads_and_sign_ups_survive_a_failed_commit() {
    if !are_possible() {
        return;
    }
    let template = template(Harness::new);
    for (commit, when) in [(1, "before"), (1, "after"), (2, "before"), (3, "after")] {
        let faulty = || {
            let mut faulty = Faulty::new(&template, Harness::new());
            faulty.start();
            faulty
        };

        let mut deletes = faulty();
        deletes.harness.write("file", &CONTENT);
        assert!(is_done(&deletes.client(&["upload", "file"])));
        deletes.fail(&failed_commit(commit, when));
        let output = deletes.client(&["delete", "file"]);
        deletes.restart();
        let there = BEFORE + usize::from(!is_done(&output));
        assert_eq!(is_done(&output), commit > 1, "only its first commit matters: {output:?}");
        assert_eq!((deletes.stored(), deletes.files()), (there, there));
        deletes.verify();

        let mut downloads = faulty();
        downloads.harness.write("once", &CONTENT);
        assert!(is_done(&downloads.client(&["upload", "once", "--downloads", "1"])));
        downloads.fail(&failed_commit(commit, when));
        let output = downloads.client(&["download", "once", "-o", "-"]);
        downloads.restart();
        // A claim that was refused was not made. A delivery that could not be recorded may be made
        // once more.
        let again = is_done(&downloads.client(&["download", "once", "-o", "-"]));
        assert!(again || is_done(&output), "commit {commit} {when}");
        assert!(!again || !is_done(&output) || commit == 2, "commit {commit} {when}");
        assert_eq!(downloads.client(&["download", "once", "-o", "-"]).status.code(), Some(10));
        downloads.verify();

        let mut sign_ups = faulty();
        let invite = String::from_utf8(sign_ups.harness.users(&["invite"]).stdout).expect("text");
        let sign_up = |sign_ups: &Faulty| {
            let mut command = sign_ups.harness.client_command(sign_ups.server());
            run(command.args(["sign-up", "alice"]).env("FSS_INVITE", invite.trim_end()))
        };
        sign_ups.fail(&failed_commit(1, when));
        let output = sign_up(&sign_ups);
        sign_ups.restart();
        let listed = String::from_utf8(sign_ups.harness.users(&["list"]).stdout).expect("text");
        assert_eq!(listed.contains("alice"), is_done(&output), "{listed}");
        assert!(is_done(&sign_up(&sign_ups)), "the invite was not used up");
    }
}

/// Wherever the server dies while it deletes a file, the same command again is done, be the file
/// there or gone.
#[test]
fn a_delete_can_be_repeated_after_the_server_died() {
    if !are_possible() {
        return;
    }
    let template = template(Harness::new);
    let delete = |call: usize| {
        let mut faulty = Faulty::new(&template, Harness::new());
        faulty.start();
        faulty.harness.write("file", &CONTENT);
        let uploaded = faulty.client(&["upload", "file"]);
        assert!(is_done(&uploaded));
        let cookie = String::from_utf8(uploaded.stdout).expect("text");
        faulty.fail(&format!("* data {call} after exit\n"));
        let told = is_done(&faulty.client(&["delete", cookie.trim_end()]));
        let calls = faulty.heal().len();
        faulty.restart();
        // What was told is off the list, and then no name of a file.
        assert!(
            told || is_done(&faulty.client(&["delete", cookie.trim_end()])),
            "dead at call {call}"
        );
        assert_eq!((faulty.stored(), faulty.files()), (BEFORE, BEFORE), "dead at call {call}");
        faulty.verify();
        calls
    };
    let calls = delete(1_000_000);
    assert!(calls > 4);
    for call in sample((1..=calls).collect(), 5) {
        delete(call);
    }
}
