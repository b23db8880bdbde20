//! Mistakes in settings, collected so that all of them are reported at once.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Mistakes found so far, each naming its variable.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes a mistake in `variable`.
    pub fn add(&mut self, variable: &str, why: impl Display) {
        self.0.push(format!("{variable}: {why}"));
    }

    /// Parses `text`; on failure notes the mistake and what was given, and goes on with nothing.
    pub fn parse<T: FromStr>(&mut self, variable: &str, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        text.trim()
            .parse()
            .map_err(|error| self.add(variable, format_args!("{error} (given: {text:?})")))
            .ok()
    }

    /// Parses a count and holds it to its limits.
    pub fn parse_within(&mut self, variable: &str, text: &str, min: u32, max: u32) -> Option<u32> {
        let value: u32 = self.parse(variable, text)?;
        if (min..=max).contains(&value) {
            return Some(value);
        }

        let why = format_args!("must be between {min} and {max} (given: {value})");
        self.add(variable, why);
        None
    }

    /// Parses a time of 1 to `max` seconds.
    pub fn parse_seconds(&mut self, variable: &str, text: &str, max: u32) -> Option<Duration> {
        let seconds = self.parse_within(variable, text, 1, max)?;
        Some(Duration::from_secs(seconds.into()))
    }

    /// Parses a switch.
    pub fn parse_switch(&mut self, variable: &str, text: &str) -> Option<bool> {
        match text {
            "on" => Some(true),
            "off" => Some(false),
            other => {
                let why = format_args!("must be on or off (given: {other:?})");
                self.add(variable, why);
                None
            }
        }
    }

    /// `value` when nothing was wrong, else every mistake.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// Every mistake in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} mistake(s):\n  {}\nsee --help for every setting", .0.len(), .0.join("\n  "))]
pub struct ConfigError(Vec<String>);

/// The entries of a list that are separated by commas.
pub fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}
