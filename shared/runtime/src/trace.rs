//! The trace of a unit of work: one id from a request or a bot's publish to the last log line about it.
//!
//! HTTP and NATS carry it in the same two headers: `X-Request-ID`, any well-formed text, which then is the id in every
//! log line, and the W3C `traceparent`.

mod w3c;

pub use w3c::TraceContext;

use std::sync::{Arc, OnceLock};
use tiris_domain::ids::UserId;

/// Header of the request id.
pub const REQUEST_ID: &str = "x-request-id";
/// Header of the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Longest accepted request id, in bytes.
const REQUEST_ID_LENGTH_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: Trace;
}

/// A trace with this process's span in it; clones are cheap and share the user.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    id: String,
    context: TraceContext,
    parent: Option<TraceContext>,
    user: OnceLock<UserId>,
}

impl Trace {
    /// Begins a new trace.
    #[must_use]
    pub fn begin() -> Self {
        let trace: [u8; 16] = rand::random();
        Self::child(hex::encode(trace), trace, None)
    }

    /// Continues the trace that the headers name; None when they name none. Its id is the request id when that is
    /// well-formed, otherwise the id of the trace context.
    #[must_use]
    pub fn of_headers(request_id: Option<&str>, traceparent: Option<&str>) -> Option<Self> {
        let parent = traceparent.and_then(TraceContext::parse);
        let id = match request_id.filter(|id| is_well_formed(id)) {
            Some(id) => id.to_owned(),
            None => hex::encode(parent?.trace),
        };
        let trace = parent.map_or_else(|| w3c::trace_of(&id), |parent| parent.trace);
        Some(Self::child(id, trace, parent))
    }

    fn child(id: String, trace: [u8; 16], parent: Option<TraceContext>) -> Self {
        let context = TraceContext {
            trace,
            span: rand::random(),
            sampled: parent.is_none_or(|parent| parent.sampled),
        };
        Self::new(id, context, parent)
    }

    fn new(id: String, context: TraceContext, parent: Option<TraceContext>) -> Self {
        Self(Arc::new(Parts {
            id,
            context,
            parent,
            user: OnceLock::new(),
        }))
    }

    /// Returns the id that every log line of the trace carries.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Returns the `traceparent` header of outgoing messages.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.0.context.traceparent()
    }

    /// Returns the span of this process.
    pub(crate) fn context(&self) -> TraceContext {
        self.0.context
    }

    /// Returns the span that caused this one; None when the trace begins here.
    #[must_use]
    pub fn parent(&self) -> Option<TraceContext> {
        self.0.parent
    }

    /// Returns the trace as received, for work that continues it elsewhere without a span of this process.
    #[must_use]
    pub fn passed_on(&self) -> Self {
        match self.0.parent {
            Some(parent) => Self::new(self.0.id.clone(), parent, None),
            None => self.clone(),
        }
    }

    /// Sets the user the work is for; the first one set stays.
    pub fn set_user(&self, user: UserId) {
        self.0.user.get_or_init(|| user);
    }

    /// Returns the user the work is for; None while that is unknown.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.0.user.get().copied()
    }

    /// Runs `work` as part of this trace.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

/// Returns the trace of the running task.
#[must_use]
pub fn current() -> Option<Trace> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Returns the statement that begins a transaction of the running task, with a comment that names its trace and user in
/// the log of the server. Only BEGIN can carry it: it is never prepared, so a new text each time costs nothing.
#[must_use]
pub fn begin_statement() -> String {
    let Some(trace) = current() else {
        return "BEGIN".to_owned();
    };
    // A well-formed id cannot end the comment.
    let user = trace.user().map(|user| format!(",user_id='{user}'"));
    let user = user.unwrap_or_default();
    format!("BEGIN /*trace_id='{}'{user}*/", trace.id())
}

/// Reports whether an id is safe in log lines, headers and SQL comments.
fn is_well_formed(id: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=REQUEST_ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(is_safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiris_domain::ids::new_id;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn ignores_a_request_id_that_could_forge_a_log_line() {
        for wrong in ["", "a b", "a\"b", "a\u{e9}", "*/", &"x".repeat(129)] {
            assert!(Trace::of_headers(Some(wrong), None).is_none(), "{wrong:?}");
        }
        let trace = Trace::of_headers(Some("req-1.2_3:4"), None).expect("a trace");
        assert_eq!(trace.id(), "req-1.2_3:4");
    }

    #[test]
    fn logs_the_request_id_and_sends_the_trace_context() {
        let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let plain = Trace::of_headers(None, Some(&header)).expect("a trace");
        assert_eq!(plain.id(), TRACE);

        let both = Trace::of_headers(Some("mine"), Some(&header)).expect("a trace");
        assert_eq!(both.id(), "mine");

        for trace in [plain, both] {
            let sent = trace.traceparent();
            assert!(sent.starts_with(&format!("00-{TRACE}-")), "{sent}");
            assert_ne!(sent, header);
        }
    }

    #[test]
    fn equal_request_ids_give_equal_trace_ids() {
        let trace = |id: &str| {
            let trace = Trace::of_headers(Some(id), None).expect("a trace");
            hex::encode(trace.context().trace)
        };

        assert_eq!(trace("mine"), trace("mine"));
        assert_eq!(trace(TRACE), TRACE);
    }

    #[tokio::test]
    async fn a_transaction_names_its_trace_and_user() {
        assert_eq!(begin_statement(), "BEGIN");

        let trace = Trace::of_headers(Some("mine"), None).expect("a trace");
        let user = UserId(new_id());
        trace
            .clone()
            .scope(async {
                assert_eq!(begin_statement(), "BEGIN /*trace_id='mine'*/");
                trace.set_user(user);
                let expected = format!("BEGIN /*trace_id='mine',user_id='{user}'*/");
                assert_eq!(begin_statement(), expected);
            })
            .await;
    }
}
