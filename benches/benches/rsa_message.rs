//! One message of RSA blocks: the longest that FSS 1.0 sends, a chunk of 1024 bytes. Opening it is
//! what 1.0 costs.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fss::SystemRng;
use fss::wire::rsa_message::{Opened, Receiver, seal_message};
use fss_benches::providers;
use fss_test_support::keys;

/// Plaintext of a chunk's frame.
const MESSAGE: usize = 1371;

fn rsa_message(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rsa_message");
    group.throughput(Throughput::Bytes(MESSAGE as u64)).sample_size(20);
    for provider in providers() {
        let private = keys::server(&*provider);
        let public =
            provider.load_public_key(private.public_key()).expect("its own provider takes it");
        let plaintext = [b'A'; MESSAGE];
        let mut sealed = Vec::new();
        seal_message(&*public, &plaintext, &mut SystemRng, &mut sealed)
            .expect("it is short enough");

        group.bench_function(BenchmarkId::new("seal", provider.name()), |bencher| {
            let mut output = Vec::with_capacity(sealed.len());
            bencher.iter(|| {
                output.clear();
                seal_message(&*public, &plaintext, &mut SystemRng, &mut output)
            });
        });
        group.bench_function(BenchmarkId::new("open", provider.name()), |bencher| {
            let new = || Receiver::new(private.clone());
            bencher.iter_batched_ref(
                new,
                |receiver| open(receiver, &sealed),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn open(receiver: &mut Receiver, mut sealed: &[u8]) {
    loop {
        let (used, opened) =
            receiver.open_block(sealed, &mut SystemRng).expect("it was sealed to this key");
        sealed = &sealed[used..];
        if opened == Opened::Message {
            assert_eq!(receiver.take_message().len(), MESSAGE);
            return;
        }
    }
}

criterion_group!(benches, rsa_message);
criterion_main!(benches);
