//! `privnet validate`: decodes and checks; no network.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files::{self, Source};
use crate::output::Output;
use crate::render::{count, file_error_json, file_errors_text};

pub(crate) fn run(which: &Which, output: Output) -> Result<Exit, Failure> {
    let (sources, unread) =
        read(&files::find(which, "validate", Path::new("."), |text| output.remark(text))?);
    let decoded = files::decode(&sources);
    if let (Ok(specs), true) = (&decoded, unread.is_empty()) {
        files::check_services(which, specs)?;
    }
    let errors = decoded.as_ref().err().map(Vec::as_slice).unwrap_or_default();
    for (_, failure) in &unread {
        output.failure(failure);
    }
    output.result(
        |paint| match &decoded {
            Ok(_) if sources.is_empty() => String::new(),
            Ok(specs) => {
                let services = specs.iter().map(|spec| spec.services.len()).sum();
                format!("{} and {}: no errors\n", count(sources.len(), "file"), count(services, "service"))
            }
            Err(errors) => file_errors_text(errors, paint),
        },
        || {
            let read = sources.iter().map(|source| {
                let own = errors.iter().filter(|error| error.file == source.name);
                let own: Vec<_> = own.map(file_error_json).collect();
                json!({"file": source.name, "errors": own})
            });
            let unread = unread.iter().map(|(file, failure)| {
                let message = [std::slice::from_ref(&failure.message), &failure.causes[..]].concat().join(": ");
                let hint = failure.hints.first();
                let error = json!({"code": "unreadable", "message": message, "line": null, "column": null, "hint": hint});
                json!({"file": file, "errors": [error]})
            });
            json!({"files": read.chain(unread).collect::<Vec<_>>()})
        },
    );
    Ok(if errors.is_empty() && unread.is_empty() { Exit::Done } else { Exit::File })
}

/// The files that can be read, and what is wrong with the others: one does not hide what there is to say of the rest.
fn read(paths: &[PathBuf]) -> (Vec<Source>, Vec<(String, Failure)>) {
    let (mut sources, mut unread) = (Vec::new(), Vec::new());
    for path in paths {
        match files::read_one(path) {
            Ok(source) => sources.push(source),
            Err(failure) => unread.push((path.display().to_string(), failure)),
        }
    }
    (sources, unread)
}
