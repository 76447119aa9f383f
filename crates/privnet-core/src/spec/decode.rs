//! From text to [`Spec`]s: parse, check against the tables, build.

use std::collections::BTreeMap;

use super::error::FileError;
use super::grammar::FILE;
use super::model::Spec;
use super::shape::{self, Shape};
use super::source::{Errors, Source, Span};
use super::tree::{Tree, Value};
use super::{build, tree};

/// Decodes a file. `source_name` is how messages name it.
///
/// The text is YAML 1.2, of which JSON is a part. The function does no I/O and never panics, and its time is
/// bounded by the text's length: aliases may repeat a bounded number of values.
///
/// # Errors
/// All errors of the file, in the order of their places. A text that is no YAML has one.
pub fn decode(source_name: &str, text: &str) -> Result<Spec, Vec<FileError>> {
    decode_with_places(source_name, text).map(|(spec, _)| spec)
}

/// Decodes several files that one command takes together.
///
/// # Errors
/// All errors of all files; also when two files declare the same deployment.
pub fn decode_many(files: &[(&str, &str)]) -> Result<Vec<Spec>, Vec<FileError>> {
    let mut specs: Vec<Spec> = Vec::new();
    let mut errors = Vec::new();
    let mut deployments: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in files {
        let (spec, place) = match decode_with_places(name, text) {
            Ok(decoded) => decoded,
            Err(found) => {
                errors.extend(found);
                continue;
            }
        };
        let deployment = spec.deployment.as_str().to_owned();
        if let Some(first) = deployments.get(&deployment) {
            let mut all = Errors::new(Source::new(name, text));
            let message = format!("the deployment `{deployment}` is declared by {first} already");
            let hint = "a deployment is one file: put the services together, or take another name";
            all.add_hint("duplicate-deployment", place, message, hint);
            errors.extend(all.finish());
        } else {
            deployments.insert(deployment, spec.source.clone());
        }
        specs.push(spec);
    }
    if errors.is_empty() { Ok(specs) } else { Err(errors) }
}

/// The spec, and where the deployment's name is.
fn decode_with_places(source_name: &str, text: &str) -> Result<(Spec, Span), Vec<FileError>> {
    let mut errors = Errors::new(Source::new(source_name, text));
    let Some(tree) = tree::Tree::read(text, &mut errors) else {
        return Err(errors.finish());
    };
    let root = tree.root();
    if nothing(&tree) {
        errors.add_hint(
            "empty-file",
            Span::default(),
            "the file declares nothing",
            "begin with `version: 1`",
        );
        return Err(errors.finish());
    }
    shape::check(&tree, root, &Shape::Map(&FILE), "the file", Span::default(), &mut errors);
    let spec = build::file(&tree, &mut errors);
    match spec {
        Some(spec) if errors.is_empty() => {
            let place = tree.get(root, "deployment").map_or(Span::default(), |id| tree.node(id).span);
            Ok((spec, place))
        }
        _ => {
            if errors.is_empty() {
                let message = "the file cannot be read, and privnet cannot say why: please report it";
                errors.add("internal", Span::default(), message);
            }
            Err(errors.finish())
        }
    }
}

/// A document without content is a plain empty scalar.
fn nothing(tree: &Tree) -> bool {
    matches!(&tree.node(tree.root()).value, Value::Scalar { text, plain: true } if text.is_empty() || text == "~" || text == "null")
}
