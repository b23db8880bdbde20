//! Where spans go, by the names OpenTelemetry gave these settings everywhere.

use super::problems::Problems;
use poem::http::Uri;

/// What the protocol appends to the address of a collector.
const TRACES_PATH: &str = "v1/traces";

/// Where spans go.
#[derive(clap::Args, Clone, Debug)]
pub struct TracesArgs {
    /// Collector of traces that speaks OTLP over HTTP, as http://host:4318; without it no traces are made. Headers, sampler
    /// and further attributes are set by OpenTelemetry's own OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
    /// OTEL_TRACES_SAMPLER_ARG, OTEL_RESOURCE_ATTRIBUTES and OTEL_BSP_*
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    #[arg(value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The same with the path of the traces, where it is not /v1/traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    #[arg(hide_env_values = true, value_name = "URL")]
    otlp_traces_endpoint: Option<String>,
}

/// Checked [`TracesArgs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesConfig {
    /// The whole address.
    pub endpoint: Uri,
}

impl TracesArgs {
    /// Checks the settings, noting every mistake; none when no collector is named.
    pub fn check(&self, problems: &mut Problems) -> Option<TracesConfig> {
        let base = named(&self.otlp_endpoint).and_then(|text| {
            let whole = format!("{}/{TRACES_PATH}", text.trim_end_matches('/'));
            address("OTEL_EXPORTER_OTLP_ENDPOINT", &whole, problems)
        });
        let own = named(&self.otlp_traces_endpoint)
            .and_then(|text| address("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text, problems));
        own.or(base).map(|endpoint| TracesConfig { endpoint })
    }
}

/// Empty is the same as absent, as OpenTelemetry has it.
fn named(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn address(variable: &str, text: &str, problems: &mut Problems) -> Option<Uri> {
    let parsed: Option<Uri> = text.parse().ok();
    let address = parsed
        .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if address.is_none() {
        // What was given can hold a password.
        let why = "must look like http://host:4318 or https://host:4318";
        problems.add(variable, why);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, own: &str) -> Result<Option<String>, String> {
        let args = TracesArgs {
            otlp_endpoint: Some(base.into()),
            otlp_traces_endpoint: Some(own.into()),
        };
        let mut problems = Problems::default();
        let checked = args
            .check(&mut problems)
            .map(|config| config.endpoint.to_string());
        problems
            .finish(Some(checked))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_address_of_traces_is_the_collectors_unless_they_have_their_own() {
        assert_eq!(check("", " "), Ok(None));
        assert_eq!(
            check("http://a:4318", ""),
            Ok(Some("http://a:4318/v1/traces".into()))
        );
        assert_eq!(
            check("http://a:4318/in/", ""),
            Ok(Some("http://a:4318/in/v1/traces".into()))
        );
        assert_eq!(
            check("http://a:4318", "https://b/t"),
            Ok(Some("https://b/t".into()))
        );

        for (base, own, variable) in [
            ("a:4318", "", "OTLP_ENDPOINT"),
            ("grpc://a", "", "OTLP_ENDPOINT"),
            ("", "/t", "TRACES_ENDPOINT"),
        ] {
            assert!(
                check(base, own).is_err_and(|error| error.contains(variable)),
                "{base} {own}"
            );
        }
    }
}
