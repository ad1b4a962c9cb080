//! A text goes from memory to a server and comes back: `cargo run --example memory -- HOST:PORT
//! SHA256:…`. The server's log shows its key, and so does `fss-server fingerprint`.

use std::error::Error;

use fss::remote::{Client, Put, Trust};
use fss::{Config, Password};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("which server? HOST:PORT SHA256:…".into());
    };
    let client = Client::new(Config::generate()?, server, Trust::Pinned(key.parse()?));
    let password = Password::new("correct horse battery staple")?;
    let stored = client.put(&b"a text"[..], &password, &Put::named("text"))?;
    let mut text = Vec::new();
    client.get(&stored, &password, &mut text)?;
    println!("{} came back: {}", stored.cookie, String::from_utf8(text)?);
    Ok(())
}
