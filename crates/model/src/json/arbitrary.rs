//! JSON values for property tests.

use proptest::prelude::*;

use super::{Json, Number};

/// Numbers with several spellings of few values, so that equal meanings are frequent.
pub(crate) fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        prop::sample::select(vec![
            "0",
            "-0",
            "1",
            "1.0",
            "10e-1",
            "2",
            "0.1",
            "1e-1",
            "9007199254740993"
        ])
        .prop_map(|token| Number::parse(token).unwrap()),
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?"
            .prop_map(|token| Number::parse(&token).unwrap()),
    ]
}

/// Values of any kind with few names, so that objects overlap.
pub(crate) fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number().prop_map(Json::Number),
        "[a-c\"\\\\\n\u{1}é😀]{0,4}".prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            object_of(inner),
        ]
    })
}

/// Objects with values of any kind.
pub(crate) fn object() -> impl Strategy<Value = Json> {
    object_of(json())
}

fn object_of(inner: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    prop::collection::btree_map("[a-d/~]{1,2}", inner, 0..4)
        .prop_map(|members| members.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(Json::Object)
}
