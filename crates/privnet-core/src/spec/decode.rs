//! From text to [`Spec`]s: parse, check against the tables, build.

use std::collections::{BTreeMap, BTreeSet};

use super::error::FileError;
use super::grammar::FILE;
use super::model::Spec;
use super::shape::{self, Shape};
use super::source::{Errors, Source, Span};
use super::tree::{Tree, Value};
use super::{build, tree};
use build::Scopes;

/// Decodes a file. `source_name` is how messages name it.
///
/// The text is YAML 1.2, of which JSON is a part. The function does no I/O and never panics, and its time is
/// bounded by the text's length: aliases may repeat a bounded number of values.
///
/// # Errors
/// All errors of the file, in the order of their places. A text that is no YAML has one.
pub fn decode(source_name: &str, text: &str) -> Result<Spec, Vec<FileError>> {
    decode_with_places(source_name, text, &mut Claims::default()).map(|(spec, _)| spec)
}

/// Decodes several files that one command takes together.
///
/// # Errors
/// All errors of all files; also when two files declare the same deployment, or want what only one service may have.
pub fn decode_many(files: &[(&str, &str)]) -> Result<Vec<Spec>, Vec<FileError>> {
    let mut specs: Vec<Spec> = Vec::new();
    let mut errors = Vec::new();
    let mut deployments: BTreeMap<String, String> = BTreeMap::new();
    let mut claims = Claims::default();
    for (name, text) in files {
        let (spec, place) = match decode_with_places(name, text, &mut claims) {
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

/// What the files before have.
#[derive(Default)]
struct Claims {
    scopes: Scopes,
    deployments: BTreeSet<String>,
}

/// The spec, and where the deployment's name is.
fn decode_with_places(
    source_name: &str,
    text: &str,
    claims: &mut Claims,
) -> Result<(Spec, Span), Vec<FileError>> {
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
    let deployment = tree.get(root, "deployment").and_then(|id| tree.text(id));
    // A second file of one deployment wants what the first does: that it is the second is all there is to say of it.
    let is_second = deployment.is_some_and(|name| !claims.deployments.insert(name.to_owned()));
    let scopes = if is_second { &mut Scopes::default() } else { &mut claims.scopes };
    let spec = build::file(&tree, &mut errors, scopes);
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
