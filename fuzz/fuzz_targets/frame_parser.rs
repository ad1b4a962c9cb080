//! Frames of both sides.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fss_test_support::fuzz::frame_parser(data));
