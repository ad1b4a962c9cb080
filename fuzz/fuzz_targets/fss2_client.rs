//! A whole client of FSS/2, after the hellos.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fss_test_support::fuzz::fss2_client(data));
