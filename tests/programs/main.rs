//! The programs as people run them: built, started as processes, judged by what they print and by their exit codes.

mod client;
mod server;
mod world;
