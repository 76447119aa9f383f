//! Wrong files, each with everything that the decoder says about it, and right files.
//!
//! A case is a good file with one part replaced. The snapshots beside this file are the golden table: a message
//! that changes shows up there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the failure")]

mod aws;
mod azure;
mod gcp;
mod general;
mod good;
mod json_schema;

use std::fmt::Write as _;

use privnet_core::spec::{decode, render_all};
use serde_json::Value;

/// A wrong file: what is wrong, the text to replace, and what stands there instead.
pub(crate) type Case = (&'static str, &'static str, &'static str);

/// Errors of the file's structure, which the JSON schema states as well.
const STRUCTURAL: [&str; 4] = ["unknown-key", "unknown-word", "more-than-one", "too-few"];

/// Decodes each case, and renders all errors of all cases as one text.
pub(crate) fn table(file: &str, base: &str, cases: &[Case]) -> String {
    assert!(
        decode(file, base).is_ok(),
        "the base must be good: {}",
        render_all(&decode(file, base).unwrap_err(), false)
    );
    let schema = privnet_core::spec::schema();
    let mut shown = String::new();
    for (name, from, to) in cases {
        assert!(base.contains(from), "{name}: the base has no {from:?}");
        let text = base.replacen(from, to, 1);
        let Err(errors) = decode(file, &text) else { panic!("{name}: was taken for a good file:\n{text}") };
        for error in &errors {
            assert_ne!(error.code, "internal", "{name}");
            assert!(error.line >= 1 && error.column >= 1 && error.width >= 1, "{name}: {error:?}");
            assert_eq!(error.file, file);
        }
        // A reader that knows merge keys has merged them before a schema sees them.
        if !text.contains("<<") && errors.iter().all(|error| STRUCTURAL.contains(&error.code)) {
            let value: Value = serde_saphyr::from_str(&text).unwrap();
            assert!(!json_schema::problems(&schema, &value).is_empty(), "{name}: the schema takes it");
        }
        writeln!(shown, "===== {name}\n{}\n", render_all(&errors, false)).unwrap();
    }
    shown
}

/// Compares with the snapshot of that name beside this file.
macro_rules! golden {
    ($name:literal, $shown:expr) => {
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $shown);
        });
    };
}
pub(crate) use golden;

#[test]
fn there_are_as_many_cases_as_promised() {
    assert!(general::CASES.len() + general::WHOLE.len() + aws::CASES.len() >= 60);
    assert!(azure::PRIVATE_LINK.len() + azure::HOSTED.len() >= 30);
    assert!(gcp::CASES.len() >= 30);
}
