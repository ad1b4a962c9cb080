//! Dispatches the command line to the commands, and opens the server's key.

use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory as _;
use fss::crypto::{PrivateKey, default_provider};
use fss::key_file::{KeyDirectory, KeyEncoding, KeyRole};
use fss::{Config, Password, SystemRng};

use crate::reference::Manual;
use crate::server::Runtime;
use crate::server::listen::listen_at_all;
use crate::server::options::{Command, EXAMPLES, EXIT_CODES, Options};
use crate::server::service::Service;
use crate::server::{prometheus, users, verify};
use crate::terminal::failure::Failure;
use crate::terminal::print;
use crate::terminal::secrets::Wanted;

const CODE: Wanted = Wanted { name: "operation code", variable: "FSS_CODE" };
const NEW_CODE: Wanted = Wanted { name: "operation code", variable: "FSS_NEW_CODE" };

const MANUAL: Manual = Manual {
    section: "8",
    examples: EXAMPLES,
    exit_codes: EXIT_CODES,
    secrets: &[
        (CODE, "The operation code, which opens the server's key"),
        (NEW_CODE, "The new operation code of change-code"),
    ],
    variables: &[],
    files: &[(
        "fss-data",
        "The files, the database and the key, unless --data names another directory.",
    )],
    see_also: "fss(1)",
};

/// Does what the command line says. Gives the exit code.
pub fn main(usual: Runtime) -> ExitCode {
    let done = Options::read().and_then(|options| {
        options.log_format.start();
        run(&options, options.runtime.unwrap_or(usual))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(options: &Options, runtime: Runtime) -> Result<(), Failure> {
    let locked = KeyDirectory::new(&options.data, KeyRole::Server);
    match &options.command {
        Some(Command::Fingerprint) => {
            print::line(locked.open(&CODE.get()?, &*default_provider())?.public_key().fingerprint())
        }
        Some(Command::ChangeCode) => {
            locked.encoding()?;
            let old = CODE.get()?;
            locked.open(&old, &*default_provider())?;
            locked.change_code(&old, &NEW_CODE.get_new()?, &mut SystemRng)?;
            print::line("The operation code is changed.")
        }
        Some(Command::Verify) => verify::run(&options.data),
        Some(Command::Users(command)) => users::run(&options.data, command),
        Some(Command::Reference(reference)) => reference.run(Options::command(), &MANUAL),
        None => {
            // The store first: it holds the lock of the directory, and a foreign directory must not
            // get a key.
            let store = options.open_store()?;
            // And the ports, so that nobody is asked for a code in vain.
            let listeners = listen_at_all(&options.listen, "--listen")?;
            if let Some(address) = options.metrics {
                prometheus::expose(address)?;
            }
            let identity = identity(options, &locked)?;
            let config = Config::new(default_provider(), identity)
                .with_limits(options.limits(runtime))
                .with_versions(options.versions());
            let (service, server) = Service::start(options, runtime, config, store, &listeners)?;
            runtime.serve(&server, listeners)?;
            service.rest();
            service.outcome()
        }
    }
}

/// The server's key: opened with the operation code, or made where there is none.
fn identity(options: &Options, locked: &KeyDirectory) -> Result<Arc<dyn PrivateKey>, Failure> {
    if locked.exists() {
        let code = CODE.get()?;
        let key = locked.open(&code, &*default_provider())?;
        if options.upgrade_key {
            locked.upgrade(&code, &mut SystemRng)?;
            tracing::info!("the key is locked in the modern form");
        } else if locked.encoding()? == KeyEncoding::Legacy {
            tracing::warn!(
                "the key is locked in the form of 2019, which can be guessed fast; --upgrade-key converts it"
            );
        }
        return Ok(key);
    }
    let code: Password = CODE.get_new()?;
    let key = default_provider().generate_private_key(&mut SystemRng);
    let key =
        key.map_err(|error| Failure::new(1, "no key could be made", error.to_string(), ""))?;
    locked.create(options.key_form.into(), &*key, &code, &mut SystemRng)?;
    tracing::info!(data = %options.data.display(), "made a new key");
    Ok(key)
}
