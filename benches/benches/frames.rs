//! Parsing and writing frames, the innermost layer: far from any limit, and here to stay there.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fss::wire::legacy_frame::{Base64, CHUNK, ClientFrame, ServerFrame};

/// The longest frame there is.
fn chunk() -> Vec<u8> {
    let (mut text, mut plaintext) = (String::new(), Vec::new());
    let base64 = Base64::encode(&[0x5a; CHUNK], &mut text).expect("a chunk has 1024 bytes");
    ServerFrame::Chunk(base64).encode(&mut plaintext).expect("base64 has no NUL");
    plaintext
}

fn frames(criterion: &mut Criterion) {
    let cases = [
        ("chunk", chunk()),
        ("upload request", b"U\0correct horse battery staple\0".to_vec()),
        ("download request", b"D\x00092071145115023241154224062033185071071177098114\0correct horse battery staple\0".to_vec()),
        ("acknowledgement", b"D\0OK\0".to_vec()),
    ];
    let mut group = criterion.benchmark_group("frames");
    for (name, plaintext) in &cases {
        group.throughput(Throughput::Bytes(plaintext.len() as u64));
        group.bench_with_input(BenchmarkId::new("parse", name), plaintext, |bencher, plaintext| {
            bencher.iter(|| ClientFrame::parse(black_box(plaintext)));
        });
        let frame = ClientFrame::parse(plaintext).expect("it is a frame");
        let mut written = Vec::with_capacity(plaintext.len());
        group.bench_with_input(BenchmarkId::new("encode", name), &frame, |bencher, frame| {
            bencher.iter(|| {
                written.clear();
                black_box(frame).encode(&mut written)
            });
        });
    }

    // What a chunk costs whole: the frame, and the base64 in it.
    group.throughput(Throughput::Bytes(CHUNK as u64));
    let plaintext = chunk();
    group.bench_function("decode chunk", |bencher| {
        let mut bytes = [0; CHUNK];
        bencher.iter(|| match ClientFrame::parse(black_box(&plaintext)) {
            Ok(ClientFrame::Chunk(base64)) => base64.decode(&mut bytes),
            other => panic!("not a chunk: {other:?}"),
        });
    });
    group.bench_function("encode chunk", |bencher| {
        let (mut text, mut written) = (String::new(), Vec::new());
        bencher.iter(|| {
            written.clear();
            let base64 = Base64::encode(black_box(&[0x5a; CHUNK]), &mut text)?;
            ClientFrame::Chunk(base64).encode(&mut written)
        });
    });
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
