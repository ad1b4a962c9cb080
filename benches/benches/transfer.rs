//! Whole uploads and downloads of FSS 1.0 through both machines, in memory and in virtual time:
//! pauses cost nothing.

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use fss_benches::{Direction, Transfer, providers};

const SIZE: usize = 64 * 1024;

fn transfer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transfer");
    group.throughput(Throughput::Bytes(SIZE as u64));
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(Duration::from_secs(15));
    for provider in providers() {
        let transfer = Transfer::new(&provider, SIZE);
        for direction in Direction::BOTH {
            group.bench_function(BenchmarkId::new(direction.name(), provider.name()), |bencher| {
                bencher.iter(|| transfer.run(direction));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, transfer);
criterion_main!(benches);
