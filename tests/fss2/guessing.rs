//! Password guessing is slowed down across connections, per cookie and per source, and
//! destroys nothing (§16).

use std::net::IpAddr;

use fss::client::legacy;
use fss::server::PasswordThrottle;
use fss::store::Invite;
use fss::wire::error_frame::ErrorFrame;
use fss::wire::reply::{Reply, ReplyContext};
use fss::{OpaqueCookie, Password};

use super::*;

/// A server with one file, of the recorded client, and a clock for the delays.
struct Server {
    owner: Scenario,
    stranger: Scenario,
    store: MemoryStore,
    clock: Clock,
}

/// The request that carries a guess.
#[derive(Clone, Copy)]
enum Attempt {
    Download,
    Delete,
    DeleteWithoutProof,
    Resume,
}

const ATTEMPTS: [Attempt; 4] =
    [Attempt::Download, Attempt::Delete, Attempt::DeleteWithoutProof, Attempt::Resume];

impl Attempt {
    fn request(self, password: u8, binding: &[u8; 32], cookie: &Cookie) -> Request<'static> {
        let (proof, cookie) = (proof(password, binding, cookie), cookie.clone());
        match self {
            Self::Download => Request::Download { cookie, proof, offset: 0 },
            Self::Delete => Request::Delete { cookie, proof: Some(proof) },
            Self::DeleteWithoutProof => Request::Delete { cookie, proof: None },
            Self::Resume => Request::Resume { header: header(), cookie, proof, offset: 0 },
        }
    }
}

impl Server {
    fn new() -> Self {
        let clock = Clock::default();
        let mut owner = Scenario::fast();
        owner.server = owner.server.with_throttle(Arc::new(PasswordThrottle::new(clock.clone())));
        let stranger = Scenario { server: owner.server.clone(), ..Scenario::of_stranger() };
        Self { owner, stranger, store: stored(b"secret"), clock }
    }

    /// A connection of its own.
    fn connect(
        &self,
        who: &Scenario,
        from: &str,
    ) -> ScriptedPeer<'static, ServerSession<MemoryStore>> {
        let source: IpAddr = from.parse().expect("it is an address");
        ScriptedPeer::as_client(
            who.server(self.store.clone()).with_peer(source),
            who.client.clone(),
        )
    }

    /// The refusal of one attempt by a stranger; none if it was right.
    fn attempt(
        &self,
        attempt: Attempt,
        from: &str,
        cookie: &Cookie,
        password: u8,
    ) -> Option<ErrorFrame> {
        self.attempt_of(&self.stranger, attempt, from, cookie, password)
    }

    fn attempt_of(
        &self,
        who: &Scenario,
        attempt: Attempt,
        from: &str,
        cookie: &Cookie,
        password: u8,
    ) -> Option<ErrorFrame> {
        let mut scripted = self.connect(who, from);
        let request = attempt.request(password, scripted.binding(), cookie);
        match Reply::parse(&scripted.ask(&request), ReplyContext::Other) {
            Ok(Reply::Refusal(refused)) => Some(refused),
            _ => None,
        }
    }

    /// The delay in seconds before each of some wrong guesses.
    fn waits(&self, attempts: impl Iterator<Item = (Attempt, String, Cookie)>) -> Vec<u64> {
        let wait = |(attempt, from, cookie): (Attempt, String, Cookie)| {
            let mut waited = 0;
            while let Some(refused) =
                self.attempt(attempt, &from, &cookie, 2).filter(|refused| *refused != wrong())
            {
                let seconds = refused.retry.expect("a delay says how long it is");
                assert_eq!(refused, delayed(seconds));
                self.clock.advance(seconds);
                waited += seconds;
            }
            waited
        };
        attempts.map(wait).collect()
    }
}

fn wrong() -> ErrorFrame {
    ErrorFrame::new(ErrorCode::Refused, None)
}

fn delayed(retry: u64) -> ErrorFrame {
    ErrorFrame::new(ErrorCode::TooManyAttempts, Some(retry))
}

fn host(number: u64) -> String {
    format!("10.0.{}.{}", number / 256, number % 256)
}

/// From wherever they come, on whatever connection, whether the cookie is known or not, and
/// whatever they ask for.
#[test]
fn delays_of_a_cookie_double_up_to_30_seconds() {
    for cookie in [cookie(), unknown()] {
        for attempt in ATTEMPTS {
            let waits =
                Server::new().waits((0..11).map(|number| (attempt, host(number), cookie.clone())));
            assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30], "{cookie}");
        }
    }
}

#[test]
fn all_kinds_of_attempts_are_counted_together() {
    let attempts = ATTEMPTS
        .into_iter()
        .cycle()
        .zip(0..)
        .map(|(attempt, number)| (attempt, host(number), cookie()));
    assert_eq!(Server::new().waits(attempts.take(7)), [0, 0, 0, 0, 1, 2, 4]);
}

/// From one address, or one network of IPv6, whatever the cookies are.
#[test]
fn delays_of_a_source_double_up_to_600_seconds() {
    for from in ["192.0.2.1", "2001:db8::"] {
        let waits = Server::new().waits((0..23).map(|number| {
            let address = if from.ends_with(':') { format!("{from}{number}") } else { from.into() };
            (Attempt::Download, address, Cookie::from_index(100 + number))
        }));
        assert_eq!(waits[..11], [0; 11]);
        assert_eq!(waits[11..], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    }
}

#[test]
fn the_delay_of_a_source_touches_no_other() {
    let server = Server::new();
    for number in 0..11 {
        assert_eq!(
            server.attempt(Attempt::Download, "10.0.0.1", &Cookie::from_index(100 + number), 2),
            Some(wrong())
        );
    }
    assert_eq!(
        server.attempt(Attempt::Download, "10.0.0.1", &cookie(), 1),
        Some(delayed(1)),
        "even with the right password"
    );
    assert_eq!(server.attempt(Attempt::Download, "10.0.0.2", &cookie(), 1), None);
}

/// While a delay runs nothing is looked at, counted or prolonged; then the right password is right,
/// and the count begins anew.
#[test]
fn a_delay_is_not_prolonged_and_a_success_ends_it() {
    let server = Server::new();
    server.waits((0..4).map(|number| (Attempt::Download, host(number), cookie())));
    for number in 10..60 {
        assert_eq!(
            server.attempt(Attempt::Download, &host(number), &cookie(), 1),
            Some(delayed(1))
        );
    }
    server.clock.advance(1);
    assert_eq!(server.attempt(Attempt::Download, "10.0.0.9", &cookie(), 1), None);
    let again = (0..5).map(|number| (Attempt::Download, host(100 + number), cookie()));
    assert_eq!(server.waits(again), [0, 0, 0, 0, 1]);
}

/// Right passwords are taken back from the count of their source, so that many may share one.
#[test]
fn right_passwords_do_not_slow_a_source_down() {
    let server = Server::new();
    for _ in 0..30 {
        assert_eq!(server.attempt(Attempt::Download, "10.0.0.1", &cookie(), 1), None);
    }
}

/// A `D` without a proof is neither counted nor delayed (§16.3).
#[test]
fn challenges_are_not_attempts() {
    let server = Server::new();
    let challenge = |server: &Server| {
        let mut scripted = server.connect(&server.stranger, "10.0.0.1");
        assert!(
            scripted
                .ask(&Request::Challenge { cookie: cookie() })
                .starts_with(b"S\0Challenge\0seal=")
        );
    };
    (0..50).for_each(|_| challenge(&server));
    assert_eq!(server.attempt(Attempt::Download, "10.0.0.1", &cookie(), 1), None);
    for number in 0..11 {
        server.attempt(Attempt::Download, "10.0.0.1", &Cookie::from_index(100 + number), 2);
    }
    challenge(&server);
}

/// The delay of a cookie, which strangers can cause, is not its owner's (§16.8); that of his source
/// is.
#[test]
fn strangers_do_not_lock_the_owner_out() {
    let server = Server::new();
    server.waits((0..6).map(|number| (Attempt::Download, host(number), cookie())));
    assert_eq!(server.attempt(Attempt::Download, "10.0.0.9", &cookie(), 1), Some(delayed(4)));
    for attempt in [Attempt::Download, Attempt::Resume] {
        assert_eq!(server.attempt_of(&server.owner, attempt, "10.0.0.9", &cookie(), 1), None);
    }
    assert_eq!(
        server.attempt(Attempt::Download, "10.0.0.9", &cookie(), 1),
        Some(delayed(4)),
        "nobody else gains by that"
    );
    for number in 0..11 {
        server.attempt(Attempt::Download, "10.0.0.9", &Cookie::from_index(100 + number), 2);
    }
    assert_eq!(
        server.attempt_of(&server.owner, Attempt::Download, "10.0.0.9", &cookie(), 1),
        Some(delayed(1))
    );
}

/// An `X` by the owner is not an attempt at all.
#[test]
fn the_owner_deletes_whatever_delays_run() {
    let server = Server::new();
    server.waits((0..6).map(|_| (Attempt::Download, host(1), cookie())));
    for number in 0..11 {
        server.attempt(Attempt::Download, &host(1), &Cookie::from_index(100 + number), 2);
    }
    assert_eq!(
        server.attempt_of(&server.owner, Attempt::DeleteWithoutProof, &host(1), &cookie(), 2),
        None
    );
    assert!(server.store.is_empty());
}

/// No number of failures deletes anything.
#[test]
fn guessing_destroys_nothing() {
    let server = Server::new();
    let attempts = ATTEMPTS.into_iter().cycle().zip(0..100);
    server.waits(attempts.map(|(attempt, number)| (attempt, host(number), cookie())));
    assert_eq!(
        (server.store.len(), sealed_bytes(&server.store)),
        (1, sealed_bytes(&stored(b"secret")))
    );
    server.clock.advance(30);
    assert_eq!(server.attempt(Attempt::Download, "10.0.0.9", &cookie(), 1), None);
}

/// An invite could be guessed; to sign up without one could not (§16.3).
#[test]
fn invites_are_guessed_no_faster() {
    let server = Server::new();
    let sign_up = |invite: Option<Invite>| {
        let name = UserName::parse(b"somebody").expect("it is a name");
        let mut scripted = server.connect(&server.stranger, "10.0.0.1");
        match Reply::parse(
            &scripted.ask(&Request::SignUp { name, invite }),
            ReplyContext::Information,
        ) {
            Ok(Reply::Refusal(refused)) => Some(refused),
            _ => None,
        }
    };
    for number in 0..11 {
        assert_eq!(
            sign_up(Some(Invite::from_bytes([number; 32]))),
            Some(ErrorFrame::new(ErrorCode::BadInvite, None))
        );
    }
    assert_eq!(sign_up(Some(Invite::from_bytes([99; 32]))), Some(delayed(1)));
    assert_eq!(
        server.attempt(Attempt::Download, "10.0.0.1", &cookie(), 1),
        Some(delayed(1)),
        "it is the source that is slowed down"
    );
    assert_eq!(sign_up(None), None);
}

/// The counts are a server's, whatever version is spoken: 1.0 has no words for a delay.
#[test]
fn both_versions_are_counted_together() {
    let server = Server::new();
    let guess = || {
        let password = Password::new("a guess").expect("it is valid");
        let client = server.owner.client.clone();
        let mut client = legacy::LegacySession::download(
            client,
            &OpaqueCookie::from(unknown()),
            &password,
            None,
        );
        run(&mut server.owner.server(server.store.clone()), &mut client, &[], Wire::default())
    };
    for _ in 0..2 {
        assert_eq!(guess().server, Err(Refusal::UnknownCookie.into()));
        assert_eq!(server.attempt(Attempt::Download, "10.0.0.1", &unknown(), 2), Some(wrong()));
    }
    let outcome = guess();
    assert_eq!(outcome.server, Err(Refusal::TooManyAttempts { retry: 1 }.into()));
    let Err(Error::PeerRefused(refused)) = outcome.client else { panic!("{:?}", outcome.client) };
    assert_eq!(refused.text.as_str(), "Failed to proceed with the selected operation");
    assert_eq!(server.attempt(Attempt::Download, "10.0.0.1", &unknown(), 2), Some(delayed(1)));
}

/// A count is taken before the proof is looked at, so connections at the same time win nothing
/// (§16.4).
#[test]
fn many_connections_at_once_win_nothing() {
    let server = Server::new();
    let mut hands: Vec<_> =
        (0..20).map(|number| server.connect(&server.stranger, &host(number))).collect();
    let answers: Vec<_> = hands
        .iter_mut()
        .map(|scripted| {
            let request = Attempt::Download.request(2, scripted.binding(), &cookie());
            scripted.say(&request.encode());
            scripted.hear_refusal().code
        })
        .collect();
    let refused = answers.iter().filter(|code| **code == Some(ErrorCode::Refused)).count();
    assert_eq!(refused, 4, "{answers:?}");
}
