//! The programs as people run them: built, started as processes, judged by what they print and by
//! their exit codes.

mod client;
mod directories;
#[cfg(target_os = "linux")]
mod faults;
mod hostile;
mod hostile_servers;
mod known_servers;
mod leftovers;
mod legacy;
#[cfg(target_os = "linux")]
mod load;
mod proxied;
mod reference;
mod refusals;
mod resume;
mod scripts;
mod server;
mod snapshots;
mod terminal;
mod transcript;
mod users;
