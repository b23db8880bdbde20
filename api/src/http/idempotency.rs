//! The header `Idempotency-Key`: a repeated request changes nothing and returns the first response.
//!
//! Every POST and PUT except those of signing in takes [`Idempotency`], after the caller and before the body, and runs its
//! transaction through it. None of them returns credentials, because the response is stored. A dry run changes nothing, so
//! it stores no response and runs again.

use super::body;
use super::free_text;
use super::problem::Problem;
use super::reply::Reply;
use super::transaction::{Tx, body_of};
use crate::state::State;
use bytes::Bytes;
use poem::http::{HeaderMap, Method};
use poem::{Body, FromRequest, PathPattern, Request, RequestBody};
use serde::Serialize;
use sqlx::PgConnection;
use std::sync::Arc;
use tiris_domain::ids::UserId;
use tiris_store::error::{Error, Result};
use tiris_store::idempotency::{self, Call, Found, Kept, Stored};
use tiris_store::race::retried;

pub(crate) const HEADER: &str = "Idempotency-Key";
/// Longest key, in characters.
pub(crate) const KEY_LENGTH_MAX: usize = 128;

/// The idempotency key of a request, if any.
pub(crate) struct Idempotency(Option<Keyed>);

struct Keyed {
    key: String,
    method: Method,
    path: String,
    body: Bytes,
}

impl<'a> FromRequest<'a> for Idempotency {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let Some(key) = key_of(request.headers()).map_err(Problem::from)? else {
            return Ok(Self(None));
        };
        let bytes = body::read(request, body).await?;
        *body = RequestBody::new(Body::from(bytes.clone()));

        Ok(Self(Some(Keyed {
            key,
            method: request.method().clone(),
            path: scope(request),
            body: bytes,
        })))
    }
}

/// Returns the path of the operation with its parsed parameters: the same for every spelling of a URL.
fn scope(request: &Request) -> String {
    let Some(pattern) = request.data::<PathPattern>() else {
        return request.uri().path().to_owned();
    };
    let parts = pattern.0.split('/').map(|part| {
        let parameter = part.strip_prefix(':');
        let value = parameter.and_then(|name| request.raw_path_param(name));
        value.unwrap_or(part)
    });
    parts.collect::<Vec<_>>().join("/")
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };

    let bytes = key.as_bytes();
    let is_printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if given.next().is_some() || !is_printable || !(1..=KEY_LENGTH_MAX).contains(&bytes.len()) {
        let length = bytes.len();
        let why = format!(
            "must be given once, with 1 to {KEY_LENGTH_MAX} printable ASCII characters (given: {length} bytes)"
        );
        return Err(Error::invalid(HEADER, why));
    }
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

/// Returns the response to a claimed call.
async fn stored(tx: &mut Tx, call: &Call) -> Result<Found> {
    let found = idempotency::find(tx, call).await?;
    found.ok_or_else(|| Error::internal("a claimed idempotency key cannot be found"))
}

/// Returns the response of an operation that always stores it, with the free texts that may be missing.
async fn kept(connection: &mut PgConnection, user: UserId, found: Found) -> Result<Kept> {
    match found {
        Found::Kept(kept) => Ok(kept),
        Found::WithoutFreeText(kept, booked_at) => {
            free_text::restored(connection, user, kept, booked_at).await
        }
        Found::Reread(_) => Err(Error::internal(
            "an idempotency key was committed without its response",
        )),
    }
}

impl Idempotency {
    /// For work without a request of its own.
    pub(crate) const NONE: Self = Self(None);

    /// Runs `work` in a transaction of `user`, with retries on deadlocks and serialization failures. With a key, the
    /// response is committed with the effect; when it is stored already, it is returned and `work` does not run. A
    /// concurrent request with the same key waits for the first one, at most for the statement timeout of the database.
    pub(crate) async fn run<T, W, F, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
        work: W,
    ) -> Result<Reply<T, STATUS>>
    where
        W: Fn(Tx) -> F,
        F: Future<Output = Result<Reply<T, STATUS>>>,
    {
        let call = self.call(state, user);

        retried(async || {
            let mut tx = Tx::begin(state, Some(user), call.clone()).await?;
            if let Some(call) = &call
                && !idempotency::claim(&mut tx, call).await?
            {
                let found = stored(&mut tx, call).await?;
                return kept(&mut tx, user, found).await.map(Reply::Kept);
            }
            work(tx).await
        })
        .await
    }

    /// Like [`Self::run`], for a change of one resource: `reread` reads it again for a repeated call whose response is
    /// not stored, because it is large or nothing had changed.
    pub(crate) async fn run_or_reread<T, W, F, R, G>(
        &self,
        state: &State,
        user: UserId,
        work: W,
        reread: R,
    ) -> Result<Reply<T>>
    where
        T: Serialize,
        W: Fn(Tx) -> F,
        F: Future<Output = Result<Reply<T>>>,
        R: Fn() -> G,
        G: Future<Output = Result<T>>,
    {
        let call = self.call(state, user);

        retried(async || {
            let mut tx = Tx::begin(state, Some(user), call.clone()).await?;
            if let Some(call) = &call
                && !idempotency::claim(&mut tx, call).await?
            {
                let found = stored(&mut tx, call).await?;
                let Found::Reread(status) = found else {
                    return kept(&mut tx, user, found).await.map(Reply::Kept);
                };
                drop(tx);
                let body = body_of(&reread().await?)?;
                return Ok(Reply::Kept(Kept { status, body }));
            }
            work(tx.with_reread()).await
        })
        .await
    }

    /// Returns the stored response, for work of more than one transaction.
    pub(crate) async fn stored<T, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
    ) -> Result<Option<Reply<T, STATUS>>> {
        let Some(call) = self.call(state, user) else {
            return Ok(None);
        };
        let mut connection = state.pool.acquire().await?;
        let Some(found) = idempotency::find(&mut connection, &call).await? else {
            return Ok(None);
        };
        let kept = kept(&mut connection, user, found).await?;
        Ok(Some(Reply::Kept(kept)))
    }

    /// Stores the response of work of several transactions, each of which is safe to repeat. Two concurrent requests both
    /// return the response that is stored first.
    pub(crate) async fn store<T: Serialize, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
        data: T,
    ) -> Result<Reply<T, STATUS>> {
        if self.0.is_none() {
            return Ok(Reply::done(data));
        }

        let shared = &data;
        let stored: Reply<&T, STATUS> = self
            .run(state, user, async |tx: Tx| {
                // Each transaction of the work has recorded its action.
                tx.continued().finish(shared).await
            })
            .await?;

        Ok(match stored {
            Reply::Kept(kept) => Reply::Kept(kept),
            Reply::Read(_) | Reply::List(..) | Reply::Done(_) => Reply::Done(data),
        })
    }

    /// Replaces the stored response of a committed request.
    pub(crate) async fn amend<T: Serialize, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
        data: T,
    ) -> Result<Reply<T, STATUS>> {
        if let Some(call) = self.call(state, user) {
            let mut connection = state.pool.acquire().await?;
            let body = body_of(&data)?;
            let stored = Stored::Whole(&body);
            idempotency::keep(&mut connection, &call, STATUS, stored, None).await?;
        }
        Ok(Reply::done(data))
    }

    fn call(&self, state: &State, user: UserId) -> Option<Arc<Call>> {
        let keyed = self.0.as_ref()?;
        let body_hmac = state.secrets.fingerprints.of_body(user.0, &keyed.body);

        Some(Arc::new(Call {
            user,
            method: keyed.method.to_string(),
            path: keyed.path.clone(),
            key: keyed.key.clone(),
            body_hmac: body_hmac.to_vec(),
        }))
    }
}
