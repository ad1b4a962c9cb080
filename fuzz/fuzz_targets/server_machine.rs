//! A whole server, fed by a client that says anything.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fss_test_support::fuzz::server(data));
