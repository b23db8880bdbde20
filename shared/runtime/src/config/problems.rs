//! Collects mistakes in settings, so that all of them are reported at once.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// The mistakes found so far, each with its variable.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Records a mistake in `variable`.
    pub fn add(&mut self, variable: &str, why: impl Display) {
        self.0.push(format!("{variable}: {why}"));
    }

    /// Parses `text`; records the mistake and returns None when that fails.
    pub fn parse<T: FromStr>(&mut self, variable: &str, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        text.trim()
            .parse()
            .map_err(|error| self.add(variable, format_args!("{error} (given: {text:?})")))
            .ok()
    }

    /// Parses a count from `min` to `max`.
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

    /// Parses `on` or `off`.
    pub fn parse_switch(&mut self, variable: &str, text: &str) -> Option<bool> {
        self.parse_choice(variable, text, &[("on", true), ("off", false)])
    }

    /// Parses one of several words.
    pub(super) fn parse_choice<T: Copy>(
        &mut self,
        variable: &str,
        text: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let chosen = choices.iter().find(|(word, _)| *word == text);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let why = format_args!("must be {} (given: {text:?})", words.join(" or "));
            self.add(variable, why);
        }
        chosen.map(|(_, value)| *value)
    }

    /// Returns `value`, or every mistake when there are any.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// All mistakes in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} mistake(s):\n  {}\nsee --help for every setting", .0.len(), .0.join("\n  "))]
pub struct ConfigError(Vec<String>);

/// Returns the entries of a comma-separated list.
pub fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}
