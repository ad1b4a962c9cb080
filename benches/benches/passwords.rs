//! What a guess at a password costs: by a sealed file, and by a key file. The second must not be
//! the cheaper one.

use criterion::{Criterion, criterion_group, criterion_main};
use fss::crypto::default_provider;
use fss::key_file::{KeyDirectory, KeyEncoding, KeyRole};
use fss::sealed::{Cost, Header, MasterKey};
use fss::{Password, SystemRng};

fn guesses(criterion: &mut Criterion) {
    let (provider, password) = (default_provider(), Password::new("correct horse").expect("valid"));
    let directory = tempfile::tempdir().expect("a directory");
    let locked = KeyDirectory::new(directory.path(), KeyRole::Client);
    let key = provider.generate_private_key(&mut SystemRng).expect("a key");
    locked.create(KeyEncoding::Modern, &*key, &password, &mut SystemRng).expect("locked");
    let header = Header::new(Cost::DEFAULT, &mut SystemRng);
    let mut group = criterion.benchmark_group("a guess");
    group.sample_size(10);
    group.bench_function("sealed file", |bencher| {
        bencher.iter(|| MasterKey::derive(&password, &header).expect("derived"));
    });
    group.bench_function("key file", |bencher| {
        bencher.iter(|| locked.open(&password, &*provider).expect("it opens"));
    });
}

criterion_group!(benches, guesses);
criterion_main!(benches);
