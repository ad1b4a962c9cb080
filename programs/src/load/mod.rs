//! What a server bears: each command loads one as a part of the open internet would, and says what
//! came of it. The server is started as a process of its own, in an empty directory that is gone
//! afterwards. Linux.
//!
//! ```text
//! cargo build --release --examples
//! cargo run --release --example load -- all
//! ```
//!
//! `docs/operations.md` has the figures, and what each is to show.

mod client;
mod figures;
mod floods;
mod full;
mod idle;
mod kill;
mod options;
mod process;
mod transfers;
mod uploads;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use figures::Figures;
use options::{Command, Options};

/// Whatever keeps a load from being one.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Loads a server as the command line says. Gives the exit code.
pub fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether all bounds were held.
fn run(options: &Options) -> Result<bool, Failure> {
    crate::open_files::raise()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let commands = match &options.command {
        Command::All => Command::each(),
        command => vec![command.clone()],
    };
    let mut all_held = true;
    for command in commands {
        let mut figures = Figures::default();
        runtime.block_on(load(options, &command, &mut figures))?;
        println!("{figures}");
        all_held &= figures.are_held();
    }
    Ok(all_held)
}

async fn load(options: &Options, command: &Command, figures: &mut Figures) -> Result<(), Failure> {
    match command {
        Command::Idle { connections } => idle::load(options, *connections, figures).await,
        Command::Transfers { transfers, mib } => {
            transfers::load(options, *transfers, *mib, figures).await
        }
        Command::Loris { clients } => floods::loris(options, *clients, figures).await,
        Command::Garbage { clients } => floods::garbage(options, *clients, figures).await,
        Command::Uploads { clients, seconds } => {
            uploads::load(options, *clients, *seconds, figures).await
        }
        Command::Kill { rounds } => kill::load(options, *rounds, figures).await,
        Command::Full { directory } => Box::pin(full::load(options, directory, figures)).await,
        Command::All => Ok(()),
    }
}
