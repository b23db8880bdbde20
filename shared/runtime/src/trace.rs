//! The trace that work belongs to: one id from a request or a bot's publish to the last line that tells of it.
//!
//! Owns: reading it from headers, writing it into messages and SQL, and which one the running task works for. Must not
//! know: HTTP, NATS, or who collects spans. Both transports name it by the same two headers: `X-Request-ID`, any sane
//! text, which is then the id in every line, and the `traceparent` of W3C.

mod w3c;

pub use w3c::Parent;

use std::sync::{Arc, OnceLock};
use tiris_domain::ids::UserId;

/// Header of the request id.
pub const REQUEST_ID: &str = "x-request-id";
/// Header of the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Longest request id that is taken, in characters.
const REQUEST_ID_LENGTH_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: Trace;
}

/// A trace, and the part of it that is done here.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    id: String,
    here: Parent,
    parent: Option<Parent>,
    /// Whom the work is for, once that is known.
    user: OnceLock<UserId>,
}

impl Trace {
    /// A trace that begins here.
    #[must_use]
    pub fn begin() -> Self {
        let trace: [u8; 16] = rand::random();
        Self::with(hex::encode(trace), trace, None)
    }

    /// The trace the headers name: its id is a sane request id, else that of the trace context. None when they name none.
    #[must_use]
    pub fn of_headers(request_id: Option<&str>, traceparent: Option<&str>) -> Option<Self> {
        let parent: Option<Parent> = traceparent.and_then(|text| text.parse().ok());
        let id = match request_id.filter(|id| is_sane(id)) {
            Some(id) => id.to_owned(),
            None => hex::encode(parent?.trace),
        };
        let trace = parent.map_or_else(|| w3c::trace_of(&id), |parent| parent.trace);
        Some(Self::with(id, trace, parent))
    }

    fn with(id: String, trace: [u8; 16], parent: Option<Parent>) -> Self {
        let here = Parent {
            trace,
            span: rand::random(),
            sampled: parent.is_none_or(|parent| parent.sampled),
        };
        Self::of(id, here, parent)
    }

    fn of(id: String, here: Parent, parent: Option<Parent>) -> Self {
        Self(Arc::new(Parts {
            id,
            here,
            parent,
            user: OnceLock::new(),
        }))
    }

    /// The id that every line of the trace carries.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What to send on as `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.here().to_string()
    }

    /// The part that is done here, as others see it.
    #[must_use]
    pub fn here(&self) -> Parent {
        self.0.here
    }

    /// The part that asked for this one.
    #[must_use]
    pub fn parent(&self) -> Option<Parent> {
        self.0.parent
    }

    /// The trace as it came, for work that goes on with it elsewhere and has no part of its own here.
    #[must_use]
    pub fn passed_on(&self) -> Self {
        match self.0.parent {
            Some(parent) => Self::of(self.0.id.clone(), parent, None),
            None => self.clone(),
        }
    }

    /// Keeps whom the work is for; the first one stays.
    pub fn is_for(&self, user: UserId) {
        self.0.user.get_or_init(|| user);
    }

    /// Whom the work is for, as far as that is known.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.0.user.get().copied()
    }

    /// Runs `work` for this trace.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

/// The trace the running task works for.
#[must_use]
pub fn current() -> Option<Trace> {
    CURRENT.try_with(Clone::clone).ok()
}

/// What begins a transaction of the running task, with a comment that names its trace and user for the log of the server.
/// BEGIN is never prepared, so that a text that is always another costs nothing; the comment of a prepared statement
/// would make each one new to the server.
#[must_use]
pub fn begin_statement() -> String {
    let Some(trace) = current() else {
        return "BEGIN".to_owned();
    };
    // A sane id cannot end the comment.
    let user = trace
        .user()
        .map(|user| format!(",user_id='{user}'"))
        .unwrap_or_default();
    format!("BEGIN /*trace_id='{}'{user}*/", trace.id())
}

/// Whether an id is fit for lines, headers and comments.
fn is_sane(id: &str) -> bool {
    let fits = (1..=REQUEST_ID_LENGTH_MAX).contains(&id.len());
    fits && id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiris_domain::ids::new_id;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_replaced() {
        for wrong in ["", "a b", "a\"b", "a\u{e9}", "*/", &"x".repeat(129)] {
            assert!(Trace::of_headers(Some(wrong), None).is_none(), "{wrong:?}");
        }
        assert_eq!(
            Trace::of_headers(Some("req-1.2_3:4"), None)
                .expect("a trace")
                .id(),
            "req-1.2_3:4"
        );
    }

    #[test]
    fn the_request_id_is_what_is_read_and_the_trace_context_what_is_sent_on() {
        let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let plain = Trace::of_headers(None, Some(&header)).expect("a trace");
        assert_eq!(plain.id(), TRACE);

        let both = Trace::of_headers(Some("mine"), Some(&header)).expect("a trace");
        assert_eq!(both.id(), "mine");

        for trace in [plain, both] {
            let sent = trace.traceparent();
            assert!(
                sent.starts_with(&format!("00-{TRACE}-")) && sent != header,
                "{sent}"
            );
        }
    }

    #[test]
    fn the_same_request_id_is_the_same_trace_everywhere() {
        let trace = |id: &str| {
            let trace = Trace::of_headers(Some(id), None).expect("a trace");
            hex::encode(trace.here().trace)
        };

        assert_eq!(trace("mine"), trace("mine"));
        assert_eq!(trace(TRACE), TRACE);
    }

    #[tokio::test]
    async fn a_transaction_begins_with_the_names_of_its_trace_and_user() {
        assert_eq!(begin_statement(), "BEGIN");

        let trace = Trace::of_headers(Some("mine"), None).expect("a trace");
        let user = UserId(new_id());
        trace
            .clone()
            .scope(async {
                assert_eq!(begin_statement(), "BEGIN /*trace_id='mine'*/");
                trace.is_for(user);
                let expected = format!("BEGIN /*trace_id='mine',user_id='{user}'*/");
                assert_eq!(begin_statement(), expected);
            })
            .await;
    }
}
