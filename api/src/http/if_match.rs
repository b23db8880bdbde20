//! Strong ETags of resources, and the header `If-Match` of a change.
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
use tiris_store::error::{Error, Result};

/// Returns the strong tag of the data without its envelope, whose metadata differs in every response: half of its hash.
pub(crate) fn etag(data: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(data).into();
    let half = hash.first_chunk().copied().unwrap_or_default();
    format!("\"{:032x}\"", u128::from_be_bytes(half))
}

/// The header `If-Match`: the tags of the versions that may be changed, `None` for any. A weak tag counts like a strong
/// one, because proxies that compress a response make its tag weak.
pub(crate) struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Fails unless the header names the version of the resource, as GET returns it. The row must be locked.
    pub(crate) fn check<T: Serialize>(&self, current: &T) -> Result<()> {
        let Some(tags) = &self.0 else {
            return Ok(());
        };
        let data = serde_json::to_vec(current).map_err(|error| Error::Internal(error.into()))?;
        if tags.contains(&etag(&data)) {
            Ok(())
        } else {
            Err(Error::StaleVersion)
        }
    }

    fn of<'a>(lines: impl Iterator<Item = Option<&'a str>>) -> Result<Self> {
        let malformed = || Error::invalid("If-Match", "must be * or ETags as GET returns them");
        let mut tags = Vec::new();

        for line in lines {
            for tag in line.ok_or_else(malformed)?.split(',').map(str::trim) {
                match (tag, tag.strip_prefix("W/").unwrap_or(tag).as_bytes()) {
                    ("*", _) => return Ok(Self(None)),
                    (_, strong @ [b'"', .., b'"']) => {
                        tags.push(String::from_utf8_lossy(strong).into_owned());
                    }
                    _ => return Err(malformed()),
                }
            }
        }

        Ok(Self(Some(tags).filter(|tags| !tags.is_empty())))
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
        let seen = Self::of(lines.iter().map(|line| line.to_str().ok()));
        Ok(seen.map_err(Problem::from)?)
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
    fn accepts_the_current_tag_a_star_and_no_header() {
        let tag = etag(b"1");

        for good in [
            None,
            Some("*".to_owned()),
            Some(tag.clone()),
            Some(format!("W/{tag}")),
            Some(format!("\"x\" , {tag}")),
        ] {
            check(good.as_deref()).unwrap_or_else(|error| panic!("{good:?}: {error}"));
        }

        for stale in ["\"x\"".to_owned(), etag(b"2"), "\"\"".to_owned()] {
            assert!(
                matches!(check(Some(&stale)), Err(Error::StaleVersion)),
                "{stale}"
            );
        }
    }

    #[test]
    fn rejects_malformed_tags() {
        for malformed in ["", "x", "\"", "\"x\",", "\"x\", y", "W/", "W/*"] {
            assert!(
                IfMatch::of([Some(malformed)].into_iter()).is_err(),
                "{malformed}"
            );
        }
        assert!(IfMatch::of([None].into_iter()).is_err());
    }
}
