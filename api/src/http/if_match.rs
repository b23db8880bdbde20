//! Which version of a thing a caller has seen: its strong ETag, and the header `If-Match` of a change.
//!
//! Owns: how a tag is made and compared. Must not know: single operations.
//!
//! A change takes [`IfMatch`] as a parameter named `If-Match`, and checks it in its transaction, with the row locked,
//! before it changes anything.

use super::problem::Problem;
use poem::http::header::IF_MATCH;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use tiris_store::error::{Error, Result};

/// Bytes of the hash in an ETag.
const ETAG_BYTES: usize = 16;

/// A strong tag of the data alone: the metadata around it differs in every answer.
pub(crate) fn etag(data: &[u8]) -> String {
    let digest = Sha256::digest(data);
    let mut tag = String::with_capacity(2 * ETAG_BYTES + 2);
    tag.push('"');
    for byte in &digest[..ETAG_BYTES] {
        // Writing to a string does not fail.
        write!(tag, "{byte:02x}").ok();
    }
    tag.push('"');
    tag
}

/// The header `If-Match`: which versions the caller agrees to change.
pub(crate) struct IfMatch(Seen);

enum Seen {
    /// Nothing is asked, or only that the thing exists.
    Any,
    /// One of these; weak ones among them are equal to none.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Whether the caller named a version, so that there is something to check.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self.0, Seen::Tags(_))
    }

    /// Fails unless the resource, as a GET answers it, is still the version the caller has seen. The row must be locked.
    pub(crate) fn check<T: Serialize>(&self, current: &T) -> Result<()> {
        let Seen::Tags(tags) = &self.0 else {
            return Ok(());
        };
        let data = serde_json::to_vec(current).map_err(|error| Error::Internal(error.into()))?;
        if tags.contains(&etag(&data)) {
            Ok(())
        } else {
            Err(Error::StaleVersion)
        }
    }

    fn of<'a>(lines: impl Iterator<Item = Option<&'a str>>) -> Result<Self, Problem> {
        let malformed = || {
            Problem::InvalidParameter("If-Match must be * or ETags as GET gives them".to_owned())
        };
        let mut tags = Vec::new();

        for line in lines {
            for tag in line.ok_or_else(malformed)?.split(',').map(str::trim) {
                match (tag, tag.strip_prefix("W/").unwrap_or(tag).as_bytes()) {
                    ("*", _) => return Ok(Self(Seen::Any)),
                    (_, [b'"', .., b'"']) => tags.push(tag.to_owned()),
                    _ => return Err(malformed()),
                }
            }
        }

        Ok(Self(if tags.is_empty() {
            Seen::Any
        } else {
            Seen::Tags(tags)
        }))
    }
}

impl<'a> ApiExtractor<'a> for IfMatch {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(String::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        let lines = request.headers().get_all(IF_MATCH);
        Ok(Self::of(lines.iter().map(|line| line.to_str().ok()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&str>) -> Result<()> {
        let seen = IfMatch::of(header.into_iter().map(Some)).expect("a header");
        seen.check(&1)
    }

    #[test]
    fn only_the_current_strong_tag_any_and_none_let_a_change_through() {
        let tag = etag(b"1");

        for good in [
            None,
            Some("*".to_owned()),
            Some(tag.clone()),
            Some(format!("\"x\" , {tag}")),
        ] {
            check(good.as_deref()).unwrap_or_else(|error| panic!("{good:?}: {error}"));
        }

        for stale in [
            "\"x\"".to_owned(),
            format!("W/{tag}"),
            etag(b"2"),
            "\"\"".to_owned(),
        ] {
            assert!(
                matches!(check(Some(&stale)), Err(Error::StaleVersion)),
                "{stale}"
            );
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for malformed in ["", "x", "\"", "\"x\",", "\"x\", y", "W/", "W/*"] {
            assert!(
                IfMatch::of([Some(malformed)].into_iter()).is_err(),
                "{malformed}"
            );
        }
        assert!(IfMatch::of([None].into_iter()).is_err());
    }
}
