# The steps of .ci/run, which has all of the logic.

# every step
ci:
    .ci/run

# formatting (cargo fmt --all mends it)
fmt:
    .ci/run fmt

# dependencies: licences, sources, duplicates
deny:
    .ci/run deny

# clippy, for each set of features
lint:
    .ci/run lint

# that docs/public-api.txt lists the public API (API=overwrite just api renews it)
api:
    .ci/run api

# tests, with the Python peer
test:
    .ci/run test

# documentation without warnings
doc:
    .ci/run doc

# that the benchmarks run (cargo bench -p fss-benches for figures)
bench:
    .ci/run bench

# each fuzz target for ten seconds
fuzz:
    .ci/run fuzz
