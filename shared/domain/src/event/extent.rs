//! The size of the free JSON of an event, and its limits.

use serde_json::{Map, Value as Json};
use std::io;

/// Most bytes of an event's `metadata`, and of its unknown fields, that are stored.
pub const FREE_BYTES_MAX: usize = 16 * 1024;
/// Most keys of an event's `metadata`, and of its unknown fields, that are stored; of all levels together.
pub const FREE_KEYS_MAX: usize = 256;
/// The part of an event's info that says which parts were too large.
pub const LEFT_OUT: &str = "left_out";

/// The size of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    bytes: usize,
    keys: usize,
}

impl Extent {
    pub(super) fn of(object: &Map<String, Json>) -> Self {
        let mut counter = ByteCounter(0);
        // Writing to the counter cannot fail.
        let _written = serde_json::to_writer(&mut counter, object);

        Self {
            bytes: counter.0,
            keys: keys_of_object(object),
        }
    }

    /// Returns why the object is too large to be stored; `None` when it is not.
    pub(super) fn excess(self) -> Option<String> {
        let Self { bytes, keys } = self;
        let is_excessive = bytes > FREE_BYTES_MAX || keys > FREE_KEYS_MAX;

        is_excessive.then(|| {
            format!(
                "{bytes} bytes with {keys} keys; at most {FREE_BYTES_MAX} bytes and {FREE_KEYS_MAX} keys are stored"
            )
        })
    }
}

struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Documents nest at most [`JSON_DEPTH_MAX`](crate::json::JSON_DEPTH_MAX) levels.
fn keys_of_object(object: &Map<String, Json>) -> usize {
    let inner = object.values().map(keys_of);
    object.len() + inner.sum::<usize>()
}

fn keys_of(value: &Json) -> usize {
    match value {
        Json::Object(object) => keys_of_object(object),
        Json::Array(items) => items.iter().map(keys_of).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 0,
    }
}
