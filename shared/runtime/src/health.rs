//! The health of a process: the checks of its dependencies, their history, and whether the process is draining.

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A check that takes longer has failed.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// The name under which a draining process appears among its checks.
const SHUTDOWN: &str = "shutdown";

/// The outcome of a check: a note, or the reason why the dependency is unusable.
pub type CheckResult = Result<String, String>;
type CheckFn = dyn Fn() -> BoxFuture<'static, CheckResult> + Send + Sync;

/// The named checks of a process; clones are cheap and share their history.
#[derive(Clone, Default)]
pub struct Health {
    checks: BTreeMap<&'static str, Arc<Check>>,
    is_draining: Arc<AtomicBool>,
    shared: Arc<tokio::sync::Mutex<Option<SharedRun>>>,
}

/// The latest run for several callers.
struct SharedRun {
    began: Instant,
    report: Report,
}

struct Check {
    run: Box<CheckFn>,
    is_needed: bool,
    last: Mutex<Option<Found>>,
}

/// The outcome of one check, as the admin listener shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    state: State,
    needed: bool,
    /// The note of the check, or the reason for its failure.
    pub detail: String,
    since: Option<DateTime<Utc>>,
    checked_at: DateTime<Utc>,
    latency_micros: Option<u64>,
    last_error: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Up,
    Down,
}

/// The outcomes of all checks of one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outcomes by the name of the check.
    pub found: BTreeMap<&'static str, Found>,
}

impl Report {
    /// Reports whether every needed dependency is up.
    pub(crate) fn is_ready(&self) -> bool {
        self.failing().next().is_none()
    }

    /// Returns the needed dependencies that are down, each with the reason.
    pub fn failing(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let found = self.found.iter();
        let failing = found.filter(|(_, found)| found.needed && found.state == State::Down);
        failing.map(|(name, found)| (*name, found.detail.as_str()))
    }

    /// Returns the outcomes as `{name: {"ok": bool, "detail": text}}`.
    pub(crate) fn checks(&self) -> Value {
        let checks = self.found.iter().map(|(name, found)| {
            let check = json!({"ok": found.state == State::Up, "detail": found.detail});
            ((*name).to_owned(), check)
        });
        Value::Object(checks.collect())
    }
}

impl Health {
    /// Adds a check of a dependency without which the process is not ready.
    #[must_use]
    pub fn with<F>(self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
    {
        self.add(name, true, Box::new(move || check().boxed()))
    }

    /// Adds a check of a dependency that is reported but does not decide whether the process is ready.
    #[must_use]
    pub fn with_optional<F>(
        self,
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
    {
        self.add(name, false, Box::new(move || check().boxed()))
    }

    fn add(mut self, name: &'static str, is_needed: bool, run: Box<CheckFn>) -> Self {
        let check = Check {
            run,
            is_needed,
            last: Mutex::default(),
        };
        self.checks.insert(name, Arc::new(check));
        self
    }

    /// Makes the process report from now on that it is not ready, so that it receives no new work.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Like [`Self::run`], but only one at a time: callers that wait while one is under way share the next one, so that any
    /// number of them keeps a single connection of the database busy.
    pub async fn run_shared(&self) -> Report {
        let called = Instant::now();
        let mut shared = self.shared.lock().await;
        if let Some(run) = shared.as_ref().filter(|run| run.began >= called) {
            return run.report.clone();
        }

        let began = Instant::now();
        let report = self.run().await;
        *shared = Some(SharedRun {
            began,
            report: report.clone(),
        });
        report
    }

    /// Runs all checks.
    pub async fn run(&self) -> Report {
        let mut found = BTreeMap::new();
        for (name, check) in &self.checks {
            found.insert(*name, check.run(name).await);
        }

        if self.is_draining.load(Ordering::Acquire) {
            let stopping = Found {
                state: State::Down,
                needed: true,
                detail: "the process is about to stop".to_owned(),
                since: None,
                checked_at: Utc::now(),
                latency_micros: Some(0),
                last_error: None,
            };
            found.insert(SHUTDOWN, stopping);
        }

        Report { found }
    }
}

impl Check {
    async fn run(&self, name: &'static str) -> Found {
        let started = Instant::now();
        let result = tokio::time::timeout(CHECK_LIMIT, (self.run)())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_LIMIT.as_secs())));
        let latency = started.elapsed();
        let at = Utc::now();

        let needed = if self.is_needed { "true" } else { "false" };
        metrics::gauge!("dependency_up", "dependency" => name, "needed" => needed)
            .set(f64::from(u8::from(result.is_ok())));
        metrics::gauge!("dependency_check_seconds", "dependency" => name)
            .set(latency.as_secs_f64());

        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = last.as_ref().and_then(|last| last.last_error.clone());
        let (state, last_error) = match &result {
            Ok(_) => (State::Up, earlier),
            Err(detail) => (State::Down, Some(json!({"at": at, "detail": detail}))),
        };
        let unchanged = last.as_ref().filter(|last| last.state == state);
        let since = unchanged.map_or(Some(at), |last| last.since);

        let (Ok(detail) | Err(detail)) = result;
        let found = Found {
            state,
            needed: self.is_needed,
            detail,
            since,
            checked_at: at,
            latency_micros: u64::try_from(latency.as_micros()).ok(),
            last_error,
        };
        last.insert(found).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[tokio::test]
    async fn readiness_follows_needed_checks_and_remembers_errors() {
        let is_up = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&is_up);
        let health = Health::default()
            .with("needed", move || {
                let is_up = switch.load(Ordering::Acquire);
                async move {
                    if is_up {
                        Ok("well".into())
                    } else {
                        Err("broken".to_owned())
                    }
                }
            })
            .with_optional("spare", async || Err("away".to_owned()));

        let report = health.run().await;
        assert_eq!(report.failing().collect::<Vec<_>>(), [("needed", "broken")]);

        is_up.store(true, Ordering::Release);
        let report = health.run().await;
        assert!(report.is_ready(), "{report:?}");
        let needed = json!(report.found["needed"]);
        assert_eq!(needed["state"], "up", "{needed}");
        assert_eq!(needed["detail"], "well", "{needed}");
        assert_eq!(needed["last_error"]["detail"], "broken", "{needed}");
        let spare = json!(report.found["spare"]);
        assert_eq!(spare["state"], "down", "{spare}");
        assert_eq!(spare["needed"], false, "{spare}");

        health.clone().drain();
        let report = health.run().await;
        let failing: Vec<&str> = report.failing().map(|(name, _)| name).collect();
        assert_eq!(failing, [SHUTDOWN]);
    }

    #[tokio::test]
    async fn many_callers_share_a_run_that_began_after_their_call() {
        let runs = Arc::new(AtomicU32::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let counted = Arc::clone(&runs);
        let opened = Arc::clone(&gate);
        let health = Health::default().with("slow", move || {
            counted.fetch_add(1, Ordering::AcqRel);
            let opened = Arc::clone(&opened);
            async move {
                opened.acquire().await.expect("open").forget();
                Ok("well".to_owned())
            }
        });

        let mut callers: Vec<_> = std::iter::repeat_with(|| health.run_shared().boxed())
            .take(50)
            .collect();
        for caller in &mut callers {
            assert!(
                caller.now_or_never().is_none(),
                "the first run is under way"
            );
        }
        gate.add_permits(2);
        futures_util::future::join_all(callers).await;

        assert_eq!(runs.load(Ordering::Acquire), 2);
        gate.add_permits(1);
        health.run_shared().await;
        assert_eq!(runs.load(Ordering::Acquire), 3, "a later call runs again");
    }
}
