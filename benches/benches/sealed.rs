//! What each byte of an FSS/2 transfer goes through: a chunk, a record, the chain. Their sum is
//! what crypto leaves of a link.

use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fss::SystemRng;
use fss::chain::Chain;
use fss::sealed::{CHUNK, ChunkOpener, ChunkSealer, Cost, Header, Key, MAX_SEALED_CHUNK};
use fss::wire::key_schedule::Traffic;
use fss::wire::record::{Direction, PREFIX};
use fss_benches::providers;

/// A data record as clients send it: four whole chunks.
const RECORD: usize = PREFIX + 2 + 4 * MAX_SEALED_CHUNK + 16;

fn chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk");
    group.throughput(Throughput::Bytes(CHUNK as u64)).sample_size(20);
    let header = Header::new(Cost::DEFAULT, &mut SystemRng);
    for provider in providers() {
        let key = Key::from_secrets(&[7; 32], &[8; 32], &*provider);
        let mut piece = vec![0; MAX_SEALED_CHUNK];
        group.bench_function(BenchmarkId::new("seal", provider.name()), |bencher| {
            let mut chunks = ChunkSealer::new(&header, 0);
            bencher.iter(|| {
                chunks.seal(&key, &mut piece, false, &mut SystemRng).expect("a whole piece");
            });
        });
        ChunkSealer::new(&header, 0)
            .seal(&key, &mut piece, true, &mut SystemRng)
            .expect("a whole piece");
        group.bench_function(BenchmarkId::new("open", provider.name()), |bencher| {
            let opener = ChunkOpener::new(&header);
            let open = |piece: &mut Vec<u8>| {
                opener.open(&key, piece, 0, true).expect("it was sealed so").len()
            };
            bencher.iter_batched_ref(|| piece.clone(), open, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Bytes(RECORD as u64)).sample_size(20);
    for provider in providers() {
        let direction = || Direction::new(Arc::clone(&provider), Traffic::new([7; 44]));
        let mut record = vec![0; RECORD];
        group.bench_function(BenchmarkId::new("seal", provider.name()), |bencher| {
            let mut sender = direction();
            bencher.iter(|| sender.seal(&mut record).expect("it has the right length"));
        });
        direction().seal(&mut record).expect("it has the right length");
        group.bench_function(BenchmarkId::new("open", provider.name()), |bencher| {
            let open = |(receiver, record): &mut (Direction, Vec<u8>)| {
                receiver.open(record).expect("it is the first").len()
            };
            bencher.iter_batched_ref(|| (direction(), record.clone()), open, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn chain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chain");
    let bytes = vec![7; 4 * MAX_SEALED_CHUNK];
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
    let mut chain = Chain::new(b"");
    group.bench_function("update", |bencher| bencher.iter(|| chain.update(&bytes)));
    group.finish();
}

criterion_group!(benches, chunks, records, chain);
criterion_main!(benches);
