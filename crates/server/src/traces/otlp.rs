//! Spans as OTLP has them: `ExportTraceServiceRequest` in protobuf.
//!
//! Only what is sent is here: no events and links, which our spans have none of. Crates that write all of
//! OTLP bring a compiler of protobuf into every build.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Key, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

/// The media type of a request.
pub(super) const MEDIA_TYPE: &str = "application/x-protobuf";

/// The flag that says that it is known whether the parent is elsewhere, and the one that it is.
const PARENT_KNOWN: u32 = 0x100;
const PARENT_ELSEWHERE: u32 = 0x200;

/// How a field is written.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// A message of protobuf, as far as it is written. What is zero or empty is left out, as readers take it
/// for that.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u32, wire: Wire) {
        self.varint(u64::from(field) << 3 | wire as u64);
    }

    fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.key(field, Wire::Varint);
            self.varint(number);
        }
    }

    fn fixed64(&mut self, field: u32, number: u64) {
        self.key(field, Wire::Fixed64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u32, number: u32) {
        self.key(field, Wire::Fixed32);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.inner(field, bytes);
        }
    }

    /// A message in it, which is there though it is empty.
    fn message(&mut self, field: u32, message: &Self) {
        self.inner(field, &message.0);
    }

    fn inner(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, Wire::Bytes);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// A request that brings these spans.
pub(super) fn request(resource: &Resource, spans: &[SpanData]) -> Vec<u8> {
    let mut about = Message::default();
    for (key, value) in resource.iter() {
        about.message(1, &attribute(key, value));
    }
    let mut of_scope = Message::default();
    if let Some(first) = spans.first() {
        let mut scope = Message::default();
        scope.bytes(1, first.instrumentation_scope.name().as_bytes());
        of_scope.message(1, &scope);
    }
    for span in spans {
        of_scope.message(2, &message(span));
    }
    let mut of_resource = Message::default();
    of_resource.message(1, &about);
    of_resource.message(2, &of_scope);
    let mut request = Message::default();
    request.message(1, &of_resource);
    request.0
}

fn message(span: &SpanData) -> Message {
    let context = &span.span_context;
    let mut message = Message::default();
    message.bytes(1, &context.trace_id().to_bytes());
    message.bytes(2, &context.span_id().to_bytes());
    message.bytes(3, context.trace_state().header().as_bytes());
    let parent = span.parent_span_id.to_bytes();
    if parent != [0; 8] {
        message.bytes(4, &parent);
    }
    message.bytes(5, span.name.as_bytes());
    let kind = match span.span_kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    message.number(6, kind);
    message.fixed64(7, nanoseconds(span.start_time));
    message.fixed64(8, nanoseconds(span.end_time));
    for one in &span.attributes {
        message.message(9, &attribute(&one.key, &one.value));
    }
    message.number(10, u64::from(span.dropped_attributes_count));
    let mut status = Message::default();
    match &span.status {
        Status::Unset => {}
        Status::Ok => status.number(3, 1),
        Status::Error { description } => {
            status.bytes(2, description.as_bytes());
            status.number(3, 2);
        }
    }
    if !status.0.is_empty() {
        message.message(15, &status);
    }
    let elsewhere = match span.parent_span_is_remote {
        true => PARENT_ELSEWHERE,
        false => 0,
    };
    let flags = u32::from(context.trace_flags().to_u8());
    message.fixed32(16, flags | PARENT_KNOWN | elsewhere);
    message
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn attribute(key: &Key, value: &Value) -> Message {
    let mut any = Message::default();
    // Here zero and the empty text are values, so they are written.
    match value {
        Value::Bool(it) => {
            any.key(2, Wire::Varint);
            any.varint(u64::from(*it));
        }
        Value::I64(it) => {
            any.key(3, Wire::Varint);
            any.varint(it.cast_unsigned());
        }
        Value::F64(it) => any.fixed64(4, it.to_bits()),
        other => any.inner(1, other.as_str().as_bytes()),
    }
    let mut attribute = Message::default();
    attribute.bytes(1, key.as_str().as_bytes());
    attribute.message(2, &any);
    attribute
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use opentelemetry::{InstrumentationScope, KeyValue};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    /// The bytes that a compiler of protobuf makes of the same request.
    #[test]
    fn a_request_is_the_bytes_that_the_protocol_says() {
        let span = SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes([0x11; 16]),
                SpanId::from_bytes([0x22; 8]),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::from_bytes([0x33; 8]),
            parent_span_is_remote: true,
            span_kind: SpanKind::Server,
            name: "GET /x".into(),
            start_time: UNIX_EPOCH + Duration::from_nanos(1),
            end_time: UNIX_EPOCH + Duration::from_nanos(2),
            attributes: vec![
                KeyValue::new("a", 200),
                KeyValue::new("b", ""),
                KeyValue::new("c", false),
            ],
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::error("x"),
            instrumentation_scope: InstrumentationScope::builder("confman").build(),
        };
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", "s"))
            .build();
        let bytes = request(&resource, &[span]);
        let text: Vec<String> = bytes
            .chunks(24)
            .map(|part| data_encoding::HEXLOWER.encode(part))
            .collect();
        insta::assert_snapshot!(text.join("\n"), @"
        0a91010a150a130a0c736572766963652e6e616d6512030a
        017312780a090a07636f6e666d616e126b0a101111111111
        111111111111111111111112082222222222222222220833
        333333333333332a06474554202f78300239010000000000
        00004102000000000000004a080a0161120318c8014a070a
        016212020a004a070a0163120210007a0512017818028501
        01030000
        ");
    }
}
