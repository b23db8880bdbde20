//! Does a request once, however often it is sent: the header `Idempotency-Key`.
//!
//! Owns: the header, what tells two requests apart, and that an answer is kept in the transaction of its effect. Must not
//! know: single operations.
//!
//! Every POST and PUT except those of signing in takes [`Once`], after the caller and before the body, and commits by it.
//! None of them answers credentials, which must not be kept: they are told by a GET alone. A dry run changes nothing, so it
//! keeps no answer and is run again.

use crate::body;
use crate::envelope::Reply;
use crate::error::Problem;
use crate::ledger::{self, Work};
use crate::state::State;
use bytes::Bytes;
use poem::http::{HeaderMap, Method};
use poem::{Body, FromRequest, Request, RequestBody};
use serde::Serialize;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_runtime::crypto::FINGERPRINT_BYTES;
use tiris_store::error::{Error, Result};
use tiris_store::idempotency::{self, Call, Kept};

/// The header.
pub(crate) const HEADER: &str = "Idempotency-Key";
/// Longest key, in characters.
pub(crate) const KEY_LENGTH_MAX: usize = 128;

/// What a request has to say about being sent again.
pub(crate) struct Once(Option<Asked>);

/// A request with a key.
struct Asked {
    key: String,
    method: Method,
    path: String,
    body: Bytes,
}

impl<'a> FromRequest<'a> for Once {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let Some(key) = key_of(request.headers())? else {
            return Ok(Self(None));
        };
        let bytes = body::read(request, body).await?;
        *body = RequestBody::new(Body::from(bytes.clone()));
        let path = request.original_uri().path().to_owned();
        Ok(Self(Some(Asked {
            key,
            method: request.method().clone(),
            path,
            body: bytes,
        })))
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    let bytes = key.as_bytes();
    let is_printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if given.next().is_some() || !is_printable || !(1..=KEY_LENGTH_MAX).contains(&bytes.len()) {
        return Err(Problem::InvalidParameter(format!(
            "{HEADER} must be given once, with 1 to {KEY_LENGTH_MAX} printable ASCII characters (given: {} bytes)",
            bytes.len()
        )));
    }
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

impl Once {
    /// For what a request does besides what it asks for.
    pub(crate) const NO_KEY: Self = Self(None);

    /// Runs `work` in a transaction and commits, as [`ledger::commit`] does. With a key the answer is committed with the
    /// effect; when there is one already, nothing is done and it is given again. A request that comes while another
    /// with its key is at work waits for it, at most as long as the database lets a statement wait.
    pub(crate) async fn commit<W, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
        work: &W,
    ) -> Result<Reply<W::Output, STATUS>>
    where
        W: Work,
        W::Output: Serialize + Sync,
    {
        let Some(asked) = &self.0 else {
            return Ok(Reply::new(ledger::commit(&state.pool, work).await?));
        };
        let body_hmac = asked.hmac(state, user);
        let keyed = Keyed {
            call: asked.call(user, &body_hmac),
            status: STATUS,
            work,
        };
        Ok(match ledger::commit(&state.pool, &keyed).await? {
            Done::Now(output) => Reply::new(output),
            Done::Before(kept) => Reply::kept(kept),
        })
    }

    /// The answer to the same request before, for what is more than a transaction: to be asked for before it begins.
    pub(crate) async fn before<T, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
    ) -> Result<Option<Reply<T, STATUS>>> {
        let Some(asked) = &self.0 else {
            return Ok(None);
        };
        let mut connection = state.pool.acquire().await?;
        let kept =
            idempotency::find(&mut connection, &asked.call(user, &asked.hmac(state, user))).await?;
        Ok(kept.map(Reply::kept))
    }

    /// Keeps the answer of what was done in several transactions, of which none does anything when it is repeated.
    /// Of two requests at once the answer that is kept first is given to both.
    pub(crate) async fn keep<T: Serialize + Sync, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
        data: T,
    ) -> Result<Reply<T, STATUS>> {
        if self.0.is_none() {
            return Ok(Reply::new(data));
        }
        let kept: Reply<&T, STATUS> = self.commit(state, user, &Ready(&data)).await?;
        Ok(match kept.into_kept() {
            Some(kept) => Reply::kept(kept),
            None => Reply::new(data),
        })
    }

    /// Answers a request that is committed in another way than it was committed with, and keeps this answer instead.
    pub(crate) async fn amended<T: Serialize, const STATUS: u16>(
        &self,
        state: &State,
        user: UserId,
        data: T,
    ) -> Result<Reply<T, STATUS>> {
        if let Some(asked) = &self.0 {
            let mut connection = state.pool.acquire().await?;
            let body_hmac = asked.hmac(state, user);
            idempotency::keep(
                &mut connection,
                &asked.call(user, &body_hmac),
                &text(&data)?,
                None,
            )
            .await?;
        }
        Ok(Reply::new(data))
    }
}

impl Asked {
    fn hmac(&self, state: &State, user: UserId) -> [u8; FINGERPRINT_BYTES] {
        state.secrets.fingerprints.of_body(user.0, &self.body)
    }

    fn call<'a>(&'a self, user: UserId, body_hmac: &'a [u8]) -> Call<'a> {
        Call {
            user,
            method: self.method.as_str(),
            path: &self.path,
            key: &self.key,
            body_hmac,
        }
    }
}

fn text(data: &impl Serialize) -> Result<String> {
    serde_json::to_string(data).map_err(|error| Error::Internal(error.into()))
}

/// A work with the key of its request.
struct Keyed<'a, W> {
    call: Call<'a>,
    status: u16,
    work: &'a W,
}

enum Done<T> {
    Now(T),
    Before(Kept),
}

impl<W: Work> Work for Keyed<'_, W>
where
    W::Output: Serialize + Sync,
{
    type Output = Done<W::Output>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Output> {
        if !idempotency::claim(connection, &self.call, self.status).await? {
            let kept = idempotency::find(connection, &self.call).await?;
            let missing = || Error::internal("an idempotency key that is taken cannot be found");
            return Ok(Done::Before(kept.ok_or_else(missing)?));
        }
        let output = self.work.run(connection).await?;
        // The last statement: it checks when the work booked.
        idempotency::keep(
            connection,
            &self.call,
            &text(&output)?,
            W::booked_at(&output),
        )
        .await?;
        Ok(Done::Now(output))
    }
}

/// A work that is done.
struct Ready<'a, T>(&'a T);

impl<'a, T: Sync> Work for Ready<'a, T> {
    type Output = &'a T;

    async fn run(&self, _connection: &mut PgConnection) -> Result<&'a T> {
        Ok(self.0)
    }
}
