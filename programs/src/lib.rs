//! The programs of FSS: a client, a server, and a program that loads servers. Each is a `main` of
//! its own here, so that whoever builds them in another way runs the same.

pub mod client;
mod duration;
pub mod load;
mod open_files;
mod reference;
pub mod server;
mod terminal;
