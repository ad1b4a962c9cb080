//! Ctrl-C and SIGTERM: a part of a download is removed, or kept to be resumed, and the user is told
//! which.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::client::report::Reporter;
use crate::terminal::failure::code;

static STATE: Mutex<State> = Mutex::new(State { part: None, hint: "" });
/// Held by who makes or writes a part. The signal takes it and never gives it back, so nothing is
/// made after the removal.
static WRITING: Mutex<()> = Mutex::new(());
/// A signal came: nobody else takes [`WRITING`] any more.
static ENDING: AtomicBool = AtomicBool::new(false);

struct State {
    part: Option<Part>,
    hint: &'static str,
}

/// The file or directory that is being written of a download.
pub struct Part {
    pub path: PathBuf,
    /// Whether the download can go on with it.
    pub keep: bool,
}

/// From now on both signals end the program in peace.
pub fn watch(reporter: Reporter) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            ENDING.store(true, Ordering::SeqCst);
            let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
            let hint = drop_part().unwrap_or(state().hint);
            reporter.interrupted(hint);
            std::process::exit(code::INTERRUPTED.into());
        }
    });
    Ok(())
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is done while this is held is done to its end, or not begun, before a signal ends the
/// program.
pub fn writing() -> MutexGuard<'static, ()> {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to tell the user if it ends now; nothing if it is empty.
pub fn hint(hint: &'static str) {
    state().hint = hint;
}

/// Notes the file that is being written.
pub fn set_part(part: Option<Part>) {
    state().part = part;
}

/// The path of the file that is being written.
pub fn part_path() -> Option<PathBuf> {
    state().part.as_ref().map(|part| part.path.clone())
}

/// Whether the download can go on with what has been written.
pub fn keep_part(keep: bool) {
    if let Some(part) = &mut state().part {
        part.keep = keep;
    }
}

/// Removes what has been written, unless it is to be kept; gives what the user is to hear.
pub fn drop_part() -> Option<&'static str> {
    let part = state().part.take();
    match part {
        Some(Part { keep: true, .. }) => {
            return Some("what was received is kept: the same command again resumes");
        }
        // If it cannot be removed now, the next command removes it.
        Some(Part { path, .. }) if path.is_dir() => drop(fs::remove_dir_all(path)),
        Some(Part { path, .. }) => drop(fs::remove_file(path)),
        None => return None,
    }
    Some("nothing of it is kept")
}
