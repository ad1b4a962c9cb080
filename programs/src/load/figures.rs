//! What was measured, and whether it is within its bound.

use std::fmt;
use std::time::Duration;

#[derive(Default)]
pub struct Figures(Vec<Figure>);

struct Figure {
    what: String,
    value: String,
    /// The bound, and whether it is held.
    bound: Option<(String, bool)>,
}

impl Figures {
    /// Something that is good to know.
    pub fn tell(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.0.push(Figure { what: what.into(), value: value.into(), bound: None });
    }

    /// Something that must be so.
    pub fn check(
        &mut self,
        what: impl Into<String>,
        value: impl Into<String>,
        bound: impl Into<String>,
        is_held: bool,
    ) {
        self.0.push(Figure {
            what: what.into(),
            value: value.into(),
            bound: Some((bound.into(), is_held)),
        });
    }

    pub fn are_held(&self) -> bool {
        self.0.iter().all(|figure| figure.bound.as_ref().is_none_or(|(_, is_held)| *is_held))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Figure { what, value, bound } in &self.0 {
            write!(f, "{what:<52} {value:>14}")?;
            match bound {
                Some((bound, true)) => writeln!(f, "   held: {bound}")?,
                Some((bound, false)) => writeln!(f, "   NOT HELD: {bound}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The time that 99 of 100 do not exceed.
pub fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}
