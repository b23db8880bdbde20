//! Whether a process can do its work, and how each part it depends on is.
//!
//! Owns: running the checks, what is remembered of them, and that a process which is about to stop is not ready. Must not
//! know: what a check asks.

use crate::explain;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A check that takes longer has failed: a part that hangs answers as little as one that is down.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// What the end of a process is called among the checks.
const SHUTDOWN: &str = "shutdown";

/// What a check found: `Ok` with a note, or why the part cannot be used now.
pub type CheckResult = Result<String, String>;
type CheckFn = dyn Fn() -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send + Sync;

/// The named checks of a process; cloning is cheap, and clones remember together.
#[derive(Clone, Default)]
pub struct Health {
    checks: BTreeMap<&'static str, Arc<Check>>,
    is_draining: Arc<AtomicBool>,
}

struct Check {
    run: Box<CheckFn>,
    /// Whether the process is of no use without this part.
    is_needed: bool,
    memory: Mutex<Memory>,
}

/// What is remembered of a check.
#[derive(Clone, Debug, Default)]
struct Memory {
    last: Option<Found>,
    /// Since when it has been as it is.
    since: Option<DateTime<Utc>>,
    last_error: Option<(DateTime<Utc>, String)>,
}

/// What a check found, and how long it took.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it found.
    pub result: CheckResult,
    /// Whether the process is of no use without this part.
    pub is_needed: bool,
    at: DateTime<Utc>,
    took: Duration,
}

/// All checks at one moment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By name.
    pub found: BTreeMap<&'static str, Found>,
}

impl Report {
    /// Whether the process can do its work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.failing().next().is_none()
    }

    /// What keeps it from its work, and why.
    pub fn failing(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.found
            .iter()
            .filter(|(_, found)| found.is_needed)
            .filter_map(|(name, found)| {
                found.result.as_ref().err().map(|why| (*name, why.as_str()))
            })
    }

    /// Checks and their results: `{name: {"ok": bool, "detail": text}}`.
    #[must_use]
    pub fn checks(&self) -> Value {
        let checks = self.found.iter().map(|(name, found)| {
            let (ok, Ok(detail) | Err(detail)) = (found.result.is_ok(), &found.result);
            ((*name).to_owned(), json!({"ok": ok, "detail": detail}))
        });
        Value::Object(checks.collect())
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.checks.keys()).finish()
    }
}

impl Health {
    /// Adds the check of a part without which the process is not ready.
    #[must_use]
    pub fn with<F, Fut>(self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        self.add(name, true, check)
    }

    /// Adds the check of a part that nothing needs: how it is, is told and changes nothing.
    #[must_use]
    pub fn with_optional<F, Fut>(self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        self.add(name, false, check)
    }

    fn add<F, Fut>(mut self, name: &'static str, is_needed: bool, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        let run = Box::new(
            move || -> Pin<Box<dyn Future<Output = CheckResult> + Send>> { Box::pin(check()) },
        );
        self.checks.insert(
            name,
            Arc::new(Check {
                run,
                is_needed,
                memory: Mutex::default(),
            }),
        );
        self
    }

    /// From now on the process is not ready, so that nobody sends it anything new.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Runs all checks.
    pub async fn run(&self) -> Report {
        let mut found = BTreeMap::new();
        for (name, check) in &self.checks {
            found.insert(*name, check.find(name).await);
        }
        if self.is_draining.load(Ordering::Acquire) {
            let result = Err("the process is about to stop".to_owned());
            found.insert(
                SHUTDOWN,
                Found {
                    result,
                    is_needed: true,
                    at: Utc::now(),
                    took: Duration::ZERO,
                },
            );
        }
        Report { found }
    }

    /// Runs all checks, and tells of each also since when it is so, how long it took, and its last error.
    pub async fn detail(&self) -> Value {
        let report = self.run().await;
        let parts = report.found.iter().map(|(name, found)| {
            let memory = self
                .checks
                .get(name)
                .map(|check| check.memory())
                .unwrap_or_default();
            ((*name).to_owned(), part(found, &memory))
        });
        let parts = Value::Object(parts.collect());
        json!({"ready": report.is_ready(), "version": env!("CARGO_PKG_VERSION"), "parts": parts})
    }
}

fn part(found: &Found, memory: &Memory) -> Value {
    let (Ok(detail) | Err(detail)) = &found.result;
    let last_error = memory.last_error.as_ref();
    json!({
        "state": if found.result.is_ok() { "up" } else { "down" },
        "needed": found.is_needed,
        "detail": detail,
        "since": memory.since,
        "checked_at": found.at,
        "latency_micros": u64::try_from(found.took.as_micros()).unwrap_or(u64::MAX),
        "last_error": last_error.map(|(at, why)| json!({"at": at, "detail": why})),
    })
}

impl Check {
    async fn find(&self, name: &'static str) -> Found {
        let started = Instant::now();
        let checked = tokio::time::timeout(CHECK_LIMIT, (self.run)()).await;
        let late = || Err(format!("no answer within {} s", CHECK_LIMIT.as_secs()));
        let result = checked.unwrap_or_else(|_| late());
        let found = Found {
            result,
            is_needed: self.is_needed,
            at: Utc::now(),
            took: started.elapsed(),
        };
        let needed = if self.is_needed { "true" } else { "false" };
        metrics::gauge!("dependency_up", "dependency" => name, "needed" => needed)
            .set(f64::from(u8::from(found.result.is_ok())));
        metrics::gauge!("dependency_check_seconds", "dependency" => name)
            .set(found.took.as_secs_f64());
        self.remember(&found);
        found
    }

    fn remember(&self, found: &Found) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let was = memory.last.as_ref().map(|last| last.result.is_ok());
        if was != Some(found.result.is_ok()) {
            memory.since = Some(found.at);
        }
        if let Err(why) = &found.result {
            memory.last_error = Some((found.at, why.clone()));
        }
        memory.last = Some(found.clone());
    }

    fn memory(&self) -> Memory {
        self.memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What a check of the database says.
pub fn of_database(checked: Result<(), impl std::error::Error>) -> CheckResult {
    checked
        .map(|()| "reachable and migrated".to_owned())
        .map_err(|error| explain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_needed_makes_a_process_not_ready_and_errors_are_remembered() {
        let is_well = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_well);
        let health = Health::default()
            .with("needed", move || {
                let is_well = asked.load(Ordering::Acquire);
                async move {
                    if is_well {
                        Ok("well".into())
                    } else {
                        Err("broken".to_owned())
                    }
                }
            })
            .with_optional("spare", async || Err("away".to_owned()));
        let report = health.run().await;
        assert_eq!(report.failing().collect::<Vec<_>>(), [("needed", "broken")]);
        is_well.store(true, Ordering::Release);
        let detail = health.detail().await;
        assert_eq!(detail["ready"], true, "{detail}");
        let (needed, spare) = (&detail["parts"]["needed"], &detail["parts"]["spare"]);
        assert_eq!(
            (&needed["state"], &needed["detail"]),
            (&json!("up"), &json!("well")),
            "{detail}"
        );
        assert_eq!(needed["last_error"]["detail"], "broken", "{detail}");
        assert_eq!(
            (&spare["state"], &spare["needed"]),
            (&json!("down"), &json!(false)),
            "{detail}"
        );
        health.clone().drain();
        let report = health.run().await;
        assert_eq!(
            report.failing().map(|(name, _)| name).collect::<Vec<_>>(),
            [SHUTDOWN]
        );
    }
}
