//! What the standard variables of OpenTelemetry say of traces.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::url::hex_byte;

/// How long a request to the collector may take where nothing else is said.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The one protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";

/// Where spans go.
#[derive(Debug)]
pub(crate) struct TraceSettings {
    pub(super) endpoint: Url,
    /// With what lets us in, so they are marked as sensitive.
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    /// Whether the environment says what the service is called.
    pub(super) is_named: bool,
}

impl TraceSettings {
    /// What the environment says; `None` where it names no collector, or turns traces off.
    ///
    /// # Errors
    /// Says which variable is wrong. Headers are not repeated.
    pub(crate) fn from_environment(
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        // What is said of traces counts before what is said of everything.
        let of_traces = |rest: &str| {
            let names = [
                format!("OTEL_EXPORTER_OTLP_TRACES_{rest}"),
                format!("OTEL_EXPORTER_OTLP_{rest}"),
            ];
            names
                .into_iter()
                .find_map(|name| set(&name).map(|value| (name, value)))
        };
        let is_off = set("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"))
            || set("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter == "none");
        let Some((name, endpoint)) = of_traces("ENDPOINT").filter(|_| !is_off) else {
            return Ok(None);
        };
        let is_whole = name.contains("_TRACES_");
        let whole = match is_whole {
            true => endpoint,
            false => format!("{}/v1/traces", endpoint.trim_end_matches('/')),
        };
        let endpoint = Url::parse(&whole)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| format!("{name} is no URL of http or https"))?;
        if let Some((name, protocol)) = of_traces("PROTOCOL")
            && protocol != PROTOCOL
        {
            return Err(format!(
                "{name} is `{protocol}`, only `{PROTOCOL}` is spoken"
            ));
        }
        let timeout = match of_traces("TIMEOUT") {
            None => TIMEOUT_DEFAULT,
            Some((name, text)) => {
                let ms = text.parse().ok().filter(|ms| *ms > 0);
                Duration::from_millis(ms.ok_or_else(|| format!("{name} is no number of ms"))?)
            }
        };
        let headers = match of_traces("HEADERS") {
            None => HeaderMap::new(),
            Some((name, text)) => {
                headers(&text).ok_or_else(|| format!("{name} is not `NAME=VALUE,…`"))?
            }
        };
        let attributes = set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let is_named = set("OTEL_SERVICE_NAME").is_some()
            || attributes
                .split(',')
                .any(|pair| pair.trim_start().starts_with("service.name="));
        Ok(Some(Self {
            endpoint,
            headers,
            timeout,
            is_named,
        }))
    }
}

/// `NAME=VALUE,…`, with escapes in values as in URLs.
fn headers(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_bytes(&unescaped(value.trim())?).ok()?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Some(headers)
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_first_chunk::<2>()?;
            bytes.push(hex_byte(digits)?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&str, &str)]) -> Result<Option<TraceSettings>, String> {
        TraceSettings::from_environment(&|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn endpoint(set: &[(&str, &str)]) -> Option<String> {
        let settings = settings(set).unwrap();
        settings.map(|settings| settings.endpoint.to_string())
    }

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");

    #[test]
    fn traces_are_off_unless_a_collector_is_named() {
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[("OTEL_SERVICE_NAME", "x")]), None);
        assert_eq!(endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
        assert_eq!(endpoint(&[ALL, ("OTEL_SDK_DISABLED", "True")]), None);
        assert_eq!(endpoint(&[ALL, ("OTEL_TRACES_EXPORTER", "none")]), None);
        let found = endpoint(&[ALL, ("OTEL_TRACES_EXPORTER", "otlp")]);
        assert_eq!(found.as_deref(), Some("http://c:4318/v1/traces"));
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/other");
        let found = endpoint(&[ALL, of_traces]);
        assert_eq!(found.as_deref(), Some("https://t/other"));
    }

    #[test]
    fn headers_and_limits_are_taken_and_stay_out_of_sight() {
        let found = settings(&[
            ALL,
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            (
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
                "authorization=Bearer%20canary, x=y=z",
            ),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=eu"),
        ]);
        let found = found.unwrap().unwrap();
        assert_eq!(found.headers["authorization"], "Bearer canary");
        assert_eq!(
            (found.headers.len(), &found.headers["x"]),
            (2, &HeaderValue::from_static("y=z"))
        );
        assert_eq!(
            (found.timeout, found.is_named),
            (Duration::from_millis(250), true)
        );
        assert!(!format!("{found:?}").contains("canary"));
    }

    #[test]
    fn what_is_wrong_names_its_variable() {
        let wrong = |set: (&str, &str)| settings(&[ALL, set]).unwrap_err();
        let said = [
            settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318")]).unwrap_err(),
            wrong(("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c")),
            wrong(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")),
            wrong(("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")),
            wrong(("OTEL_EXPORTER_OTLP_HEADERS", "canary")),
            wrong(("OTEL_EXPORTER_OTLP_HEADERS", "a=%f")),
        ];
        insta::assert_snapshot!(said.join("\n"), @"
        OTEL_EXPORTER_OTLP_ENDPOINT is no URL of http or https
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no URL of http or https
        OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`, only `http/protobuf` is spoken
        OTEL_EXPORTER_OTLP_TIMEOUT is no number of ms
        OTEL_EXPORTER_OTLP_HEADERS is not `NAME=VALUE,…`
        OTEL_EXPORTER_OTLP_HEADERS is not `NAME=VALUE,…`
        ");
    }
}
