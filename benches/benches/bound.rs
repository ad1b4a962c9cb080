//! FSS 1.0 against its bound: the RSA private operations that a transfer cannot do without.
//!
//! In the same run, alternately, it measures one private operation and whole transfers, counts the
//! private operations of each, and prints how much of the time they are. The median over the rounds
//! counts, so that a disturbance of the machine shows in none or in both.
//!
//! ```text
//! cargo bench -p fss-benches --bench bound               prints the figures
//! cargo bench -p fss-benches --bench bound -- --check    fails if aws-lc is below 0.9 of the bound
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fss::SystemRng;
use fss::crypto::aws_lc::AwsLc;
use fss::crypto::rustcrypto::RustCrypto;
use fss::crypto::{CryptoProvider, PrivateKey, PublicKey};
use fss_benches::{Direction, Transfer};
use fss_test_support::counting::Counting;
use fss_test_support::keys;

/// What the library promises with aws-lc.
const PROMISE: f64 = 0.9;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    /// Whether the figures are worth printing.
    measuring: bool,
    rounds: usize,
    size: usize,
    operations: u32,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    // As with criterion's benches: without `--bench`, which cargo bench gives, or with `--test`, it
    // is only run once.
    let measuring = given("--bench") && !given("--test");
    let effort = if measuring {
        Effort { measuring, rounds: 25, size: 16 * 1024, operations: 60 }
    } else {
        Effort { measuring, rounds: 1, size: 1024, operations: 4 }
    };
    let mut kept = true;
    for provider in [Counting::new(AwsLc), Counting::new(RustCrypto)] {
        for direction in Direction::BOTH {
            let ratio = measure(&provider, direction, effort);
            kept &= provider.name() != "aws-lc" || ratio >= PROMISE;
        }
    }
    if given("--check") && measuring && !kept {
        eprintln!("bound: aws-lc is below {PROMISE} of the bound");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What one round came to.
struct Round {
    /// Of one private operation.
    opening: Duration,
    /// Of one public operation.
    sealing: Duration,
    transfer: Duration,
}

fn measure(provider: &Counting, direction: Direction, effort: Effort) -> f64 {
    let shared: Arc<dyn CryptoProvider> = Arc::new(provider.clone());
    let transfer = Transfer::new(&shared, effort.size);
    let before = (provider.opened(), provider.sealed());
    transfer.run(direction);
    let opened = whole(provider.opened() - before.0);
    let sealed = whole(provider.sealed() - before.1);

    let pairs = pairs(provider);
    // A library may prepare a key when it is first used.
    operations(&pairs, 2);
    let rounds: Vec<Round> = (0..effort.rounds)
        .map(|_| {
            // Half of the operations before and half after, so that a drift of the clock rate meets
            // both alike.
            let (opening, sealing) = operations(&pairs, effort.operations / 2);
            let start = Instant::now();
            transfer.run(direction);
            let transfer = start.elapsed();
            let after = operations(&pairs, effort.operations / 2);
            Round { opening: (opening + after.0) / 2, sealing: (sealing + after.1) / 2, transfer }
        })
        .collect();

    let ratio = median(&rounds, |round| share(opened, round.opening, round));
    let public = median(&rounds, |round| share(sealed, round.sealing, round));
    let opening = median(&rounds, |round| round.opening.as_secs_f64() * 1e6);
    let throughput =
        median(&rounds, |round| whole(effort.size as u64) / 1024.0 / round.transfer.as_secs_f64());
    if effort.measuring {
        println!(
            "bound: {} {} {ratio:.3} of the bound ({opened} private operations of {opening:.0} µs each; {throughput:.2} KiB/s; \
             the rest: {sealed} public operations {public:.3}, all else {:.3})",
            direction.name(),
            provider.name(),
            1.0 - ratio - public,
        );
    }
    ratio
}

type Pair = (Arc<dyn PrivateKey>, Arc<dyn PublicKey>);

/// Both keys of a connection.
fn pairs(provider: &dyn CryptoProvider) -> [Pair; 2] {
    [keys::server(provider), keys::client(provider)].map(|private| {
        let public =
            provider.load_public_key(private.public_key()).expect("its own provider takes it");
        (private, public)
    })
}

/// What one private and one public operation cost, for each key pair in turn.
fn operations(pairs: &[Pair], count: u32) -> (Duration, Duration) {
    let (mut block, mut plaintext) = (Vec::new(), Vec::new());
    let (mut opening, mut sealing) = (Duration::ZERO, Duration::ZERO);
    for (private, public) in pairs.iter().cycle().take(count as usize) {
        block.clear();
        plaintext.clear();
        let start = Instant::now();
        public.seal(&[b'A'; 214], &mut SystemRng, &mut block).expect("it fits");
        let sealed = Instant::now();
        private.open(&block, &mut SystemRng, &mut plaintext).expect("it was sealed to this key");
        opening += sealed.elapsed();
        sealing += sealed - start;
    }
    (opening / count, sealing / count)
}

/// The part of a transfer's time that so many operations are.
fn share(count: f64, cost: Duration, round: &Round) -> f64 {
    count * cost.as_secs_f64() / round.transfer.as_secs_f64()
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Counts here are far below 2^32.
fn whole(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("it is small"))
}
