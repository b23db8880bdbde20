//! Conversions between lanes or stream sequences and their columns.

use crate::error::{Error, Result, Source};
use tiris_domain::lane::{EventStream, LaneKey};

/// The columns of a [`LaneKey`].
#[derive(sqlx::FromRow)]
pub(crate) struct KeyColumns {
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

/// Returns the streams this version knows. A newer version may have inserted rows of others, which it ignores.
pub(crate) fn known_streams() -> Vec<&'static str> {
    EventStream::ALL.map(EventStream::name).to_vec()
}

/// Returns the columns of lanes, for `UNNEST`.
pub(crate) fn of_keys<'a>(
    keys: impl IntoIterator<Item = &'a LaneKey>,
) -> (Vec<&'static str>, Vec<i32>) {
    keys.into_iter()
        .map(|key| (key.stream.name(), i32::from(key.lane)))
        .unzip()
}

/// Converts a number, such as a sequence to or from `bigint`.
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

/// Returns stream sequences as `bigint[]`.
pub(crate) fn sequences(seqs: impl IntoIterator<Item = u64>) -> Result<Vec<i64>> {
    seqs.into_iter().map(convert).collect()
}
