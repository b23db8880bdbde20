//! Whether a process can do its work, and how each part it depends on is.
//!
//! Owns: running the checks, what is remembered of them, and that a process which is about to stop is not ready. Must not
//! know: what a check asks.

use crate::explain;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
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
    /// Since when it has been up, or down.
    since: Option<(bool, DateTime<Utc>)>,
    last_error: Option<(DateTime<Utc>, String)>,
}

/// What a check found, and how long it took.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it found.
    pub result: CheckResult,
    is_needed: bool,
    at: DateTime<Utc>,
    took: Duration,
    memory: Memory,
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
        let needed = self.found.iter().filter(|(_, found)| found.is_needed);
        needed.filter_map(|(name, found)| Some((*name, found.result.as_ref().err()?.as_str())))
    }

    /// Checks and their results: `{name: {"ok": bool, "detail": text}}`.
    #[must_use]
    pub fn checks(&self) -> Value {
        let checks = self.found.iter().map(|(name, found)| {
            let check = json!({"ok": found.result.is_ok(), "detail": found.detail()});
            ((*name).to_owned(), check)
        });
        Value::Object(checks.collect())
    }
}

impl Found {
    fn detail(&self) -> &str {
        let (Ok(detail) | Err(detail)) = &self.result;
        detail
    }

    fn part(&self) -> Value {
        let last_error = self.memory.last_error.as_ref();
        json!({
            "state": if self.result.is_ok() { "up" } else { "down" },
            "needed": self.is_needed,
            "detail": self.detail(),
            "since": self.memory.since.map(|(_, since)| since),
            "checked_at": self.at,
            "latency_micros": u64::try_from(self.took.as_micros()).ok(),
            "last_error": last_error.map(|(at, why)| json!({"at": at, "detail": why})),
        })
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
        let run: Box<CheckFn> = Box::new(move || Box::pin(check()));
        let check = Check {
            run,
            is_needed,
            memory: Mutex::default(),
        };
        self.checks.insert(name, Arc::new(check));
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
            let stopping = Found {
                result: Err("the process is about to stop".to_owned()),
                is_needed: true,
                at: Utc::now(),
                took: Duration::ZERO,
                memory: Memory::default(),
            };
            found.insert(SHUTDOWN, stopping);
        }

        Report { found }
    }

    /// Runs all checks, and tells of each also since when it is so, how long it took, and its last error.
    pub async fn detail(&self) -> Value {
        let report = self.run().await;
        let parts = report.found.iter();
        let parts: Map<String, Value> = parts
            .map(|(name, found)| ((*name).to_owned(), found.part()))
            .collect();
        json!({"ready": report.is_ready(), "version": env!("CARGO_PKG_VERSION"), "parts": parts})
    }
}

impl Check {
    async fn find(&self, name: &'static str) -> Found {
        let started = Instant::now();
        let result = tokio::time::timeout(CHECK_LIMIT, (self.run)())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_LIMIT.as_secs())));
        let took = started.elapsed();
        let at = Utc::now();

        let needed = if self.is_needed { "true" } else { "false" };
        metrics::gauge!("dependency_up", "dependency" => name, "needed" => needed)
            .set(f64::from(u8::from(result.is_ok())));
        metrics::gauge!("dependency_check_seconds", "dependency" => name).set(took.as_secs_f64());

        Found {
            memory: self.remember(&result, at),
            result,
            is_needed: self.is_needed,
            at,
            took,
        }
    }

    fn remember(&self, result: &CheckResult, at: DateTime<Utc>) -> Memory {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let was_up = memory.since.map(|(is_up, _)| is_up);
        if was_up != Some(result.is_ok()) {
            memory.since = Some((result.is_ok(), at));
        }
        if let Err(why) = result {
            memory.last_error = Some((at, why.clone()));
        }

        memory.clone()
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
        let needed = &detail["parts"]["needed"];
        assert_eq!(needed["state"], "up", "{detail}");
        assert_eq!(needed["detail"], "well", "{detail}");
        assert_eq!(needed["last_error"]["detail"], "broken", "{detail}");
        let spare = &detail["parts"]["spare"];
        assert_eq!(spare["state"], "down", "{detail}");
        assert_eq!(spare["needed"], false, "{detail}");

        health.clone().drain();
        let report = health.run().await;
        let failing: Vec<&str> = report.failing().map(|(name, _)| name).collect();
        assert_eq!(failing, [SHUTDOWN]);
    }
}
