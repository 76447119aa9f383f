//! `privnet validate`: decodes and checks; no network.

use std::path::Path;

use serde_json::json;

use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::render::{count, file_error_json, file_errors_text};

pub(crate) fn run(which: &Which, output: Output) -> Result<Exit, Failure> {
    let sources = files::read(&files::find(which, Path::new("."))?)?;
    let decoded = files::decode(&sources);
    if let Ok(specs) = &decoded {
        files::check_services(which, specs)?;
    }
    let errors = decoded.as_ref().err().map(Vec::as_slice).unwrap_or_default();
    output.result(
        |paint| match &decoded {
            Ok(specs) => {
                let services = specs.iter().map(|spec| spec.services.len()).sum();
                format!("{} and {}: no errors\n", count(sources.len(), "file"), count(services, "service"))
            }
            Err(errors) => file_errors_text(errors, paint),
        },
        || {
            let files = sources.iter().map(|source| {
                let own = errors.iter().filter(|error| error.file == source.name);
                let own: Vec<_> = own.map(file_error_json).collect();
                json!({"file": source.name, "errors": own})
            });
            json!({"files": files.collect::<Vec<_>>()})
        },
    );
    Ok(if errors.is_empty() { Exit::Done } else { Exit::File })
}
