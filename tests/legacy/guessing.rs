//! Wrong passwords are slowed down over connections, and destroy nothing (`docs/protocol.md` §16).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fss::client::legacy::LegacySession;
use fss::server::PasswordThrottle;
use fss::{Error, MemoryStore, OpaqueCookie, Password, Refusal, ServerSession};
use fss_test_support::clock::Clock;
use fss_test_support::sim_net::{Outcome, Wire, run};

use crate::{Scenario, cookie, password, store};

struct Guesser {
    scenario: Scenario,
    store: MemoryStore,
    clock: Clock,
}

impl Guesser {
    /// A server with one file.
    fn new() -> Self {
        let (mut scenario, clock) = (Scenario::fast(), Clock::default());
        scenario.server =
            scenario.server.with_throttle(Arc::new(PasswordThrottle::new(clock.clone())));
        let store = store();
        assert_eq!(scenario.upload(store.clone(), b"a file", Wire::default()).client, Ok(()));
        Self { scenario, store, clock }
    }

    /// A connection of its own, from some address.
    fn ask(&self, from: [u8; 4], cookie: &OpaqueCookie, password: &str) -> Outcome {
        let source: IpAddr = Ipv4Addr::from(from).into();
        let mut server =
            ServerSession::with_state(self.store.clone(), &self.scenario.server).with_peer(source);
        let password = Password::new(password).expect("valid");
        let mut client =
            LegacySession::download(self.scenario.client.clone(), cookie, &password, None);
        run(&mut server, &mut client, &[], Wire::default())
    }

    fn refusal(&self, from: [u8; 4], cookie: &OpaqueCookie, password: &str) -> Error {
        self.ask(from, cookie, password).server.expect_err("it is refused")
    }
}

#[test]
fn guessing_a_cookies_password_is_slowed_down_from_wherever_it_comes_and_the_file_stays() {
    let guesser = Guesser::new();
    for host in 0..4 {
        assert_eq!(
            guesser.refusal([10, 0, 0, host], &cookie(), "wrong"),
            Refusal::WrongPassword.into()
        );
    }
    let right = String::from_utf8(password().expose().to_vec()).expect("it is UTF-8");
    let delayed = guesser.ask([10, 0, 0, 9], &cookie(), &right);
    assert_eq!(delayed.server, Err(Refusal::TooManyAttempts { retry: 1 }.into()));
    let Err(Error::PeerRefused(refused)) = delayed.client else { panic!("{:?}", delayed.client) };
    assert_eq!(
        refused.text.as_str(),
        "Failed to proceed with the selected operation",
        "1.0 has no other text for it"
    );
    guesser.clock.advance(1);
    let outcome = guesser.ask([10, 0, 0, 9], &cookie(), &right);
    assert_eq!((outcome.client, outcome.file.as_slice()), (Ok(()), b"a file".as_slice()));
    assert_eq!(
        guesser.refusal([10, 0, 0, 9], &cookie(), "wrong"),
        Refusal::WrongPassword.into(),
        "its count began anew"
    );
}

#[test]
fn guessing_cookies_is_slowed_down_for_a_source_and_for_no_other() {
    let guesser = Guesser::new();
    for number in 100..111 {
        let unknown = fss::Cookie::from_index(number).into();
        assert_eq!(
            guesser.refusal([10, 0, 0, 1], &unknown, "wrong"),
            Refusal::UnknownCookie.into()
        );
    }
    let slow = guesser.refusal([10, 0, 0, 1], &cookie(), "wrong");
    assert_eq!(
        slow,
        Refusal::TooManyAttempts { retry: 1 }.into(),
        "a cookie that is known is not looked up either"
    );
    assert_eq!(guesser.refusal([10, 0, 0, 2], &cookie(), "wrong"), Refusal::WrongPassword.into());
}
