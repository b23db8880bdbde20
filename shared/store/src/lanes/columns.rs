//! How lanes and stream sequences stand in columns.

use crate::error::{Error, Result, Source};
use tiris_domain::lane::{EventStream, LaneKey};

/// The columns of a [`LaneKey`].
#[derive(sqlx::FromRow)]
pub struct KeyColumns {
    #[sqlx(try_from = "String")]
    stream: EventStream,
    #[sqlx(try_from = "i32")]
    lane: u16,
}

impl From<KeyColumns> for LaneKey {
    fn from(KeyColumns { stream, lane }: KeyColumns) -> Self {
        Self { stream, lane }
    }
}

/// The streams this version knows. A newer one beside it may have rows of others, which are none of its business.
pub(crate) fn known_streams() -> Vec<&'static str> {
    EventStream::ALL.map(EventStream::name).to_vec()
}

/// The columns of many lanes, for `UNNEST`.
pub(crate) fn of_keys<'a>(
    keys: impl IntoIterator<Item = &'a LaneKey>,
) -> (Vec<&'static str>, Vec<i32>) {
    keys.into_iter()
        .map(|key| (key.stream.name(), i32::from(key.lane)))
        .unzip()
}

/// A number in another type, such as a sequence as `bigint` or a count that was read as one.
///
/// # Errors
/// [`Error::Internal`] when it does not fit.
pub(crate) fn convert<A: TryInto<B>, B>(number: A) -> Result<B>
where
    A::Error: Into<Source>,
{
    number
        .try_into()
        .map_err(|error| Error::Internal(error.into()))
}

/// Stream sequences as `bigint[]`.
pub(crate) fn sequences(seqs: impl IntoIterator<Item = u64>) -> Result<Vec<i64>> {
    seqs.into_iter().map(convert).collect()
}
