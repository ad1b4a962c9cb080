//! Which server it is: known by its key from the first meeting on, or from its operator.

use fss_test_support::harness::{Harness, NONE, Server, cookie, fails, run};

/// A client's harness, whose first server is gone, and another one that has taken its address.
fn supplanted() -> (Harness, Harness, Server, [String; 2]) {
    let (harness, impostor) = (Harness::new(), Harness::new());
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"secret");
    let address = server.address.clone();
    let (_, log) = server.stop();
    let supplanter = impostor.serve_at(&address);
    let fingerprints = [key_in(&log), impostor.fingerprint()];
    (harness, impostor, supplanter, fingerprints)
}

#[test]
fn a_server_with_another_key_gets_nothing_and_both_keys_are_shown() {
    let (harness, _impostor, supplanter, [known, got]) = supplanted();
    let tells = [
        "is not the server that it was",
        &known,
        &got,
        "a man in the middle may be present",
        "forget-server",
    ];
    for arguments in [
        ["upload", "file"].as_slice(),
        &["download", "file", "-o", "-"],
        &["info"],
        &["delete", "file"],
    ] {
        let output = harness.client(&supplanter, arguments);
        fails(&output, 13, &tells);
        assert_eq!(output.stdout, b"");
    }
    let (_, log) = supplanter.stop();
    assert!(!log.contains(" stored "), "{log}");
}

#[test]
fn a_key_that_was_changed_is_accepted_once_the_old_one_is_forgotten() {
    let (harness, _impostor, supplanter, [_, got]) = supplanted();
    assert_eq!(
        harness.does(&supplanter, &["forget-server"]),
        format!("{} is forgotten.\n", supplanter.address)
    );
    let upload = harness.client(&supplanter, &["upload", "file"]);
    fails(&upload, 0, &["is new here", &got]);
    fails(
        &harness.client(&supplanter, &["--server", "127.0.0.1:1", "forget-server"]),
        2,
        &["127.0.0.1:1 is not known"],
    );
}

#[test]
fn a_fingerprint_from_the_operator_is_the_only_key_that_is_taken() {
    let (harness, elsewhere) = (Harness::new(), Harness::new());
    let server = harness.serve(&NONE);
    elsewhere.serve(&NONE).stop();
    let (right, wrong) = (harness.fingerprint(), elsewhere.fingerprint());
    harness.write("file", b"x");
    let upload = |fingerprint: &str| {
        run(harness.client_command(&server).args(["--fingerprint", fingerprint, "upload", "file"]))
    };
    // Whether the server is new or known: it has not changed, the fingerprint is another's.
    for told in [
        "is not the server that --fingerprint says",
        "is known by another key than --fingerprint says",
    ] {
        let refused = fails(&upload(&wrong), 13, &[&right, &wrong, told]);
        assert!(!refused.contains("is not the server that it was"), "{refused}");
        cookie(&upload(&right));
    }
    let (_, log) = server.stop();
    assert_eq!(log.matches(" stored ").count(), 2, "{log}");
}

#[test]
fn a_server_that_comes_back_with_its_key_is_the_same() {
    let harness = Harness::new();
    let server = harness.serve(&NONE);
    harness.upload(&server, "file", b"x");
    let address = server.address.clone();
    server.stop();
    let server = harness.serve_at(&address);
    let again = harness.client(&server, &["download", "file", "-o", "-"]);
    assert_eq!((again.stdout.as_slice(), fails(&again, 0, &[]).as_str()), (b"x".as_slice(), ""));
}

/// The key that a server's log names.
fn key_in(log: &str) -> String {
    let key = log.split("key=").nth(1).expect("it names its key");
    key.split_whitespace().next().expect("not empty").to_owned()
}
