//! Which files a command is about, and what they say.

use std::path::{Path, PathBuf};

use privnet::{FileError, Spec};

use crate::args::Which;
use crate::failure::Failure;
use crate::render::count;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name as the user gave it.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
}

/// The default file's name.
const DEFAULT: &str = "privnet.yaml";

/// The files that the user gave, or else the ones that are here.
pub(crate) fn find(which: &Which, here: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !which.files.is_empty() {
        return Ok(which.files.clone());
    }
    if here.join(DEFAULT).is_file() {
        return Ok(vec![PathBuf::from(DEFAULT)]);
    }
    let entries = std::fs::read_dir(here).map_err(|cause| Failure::io("cannot list this folder", &cause))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // A named pipe that nobody writes to is not waited for.
        .filter(|path| path.is_file())
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| begins_a_deployment(&text)))
        .filter_map(|path| path.file_name().map(PathBuf::from))
        .collect();
    found.sort();
    if found.is_empty() {
        let message =
            format!("no FILE was given, and there is no {DEFAULT} and no other *.yaml of a deployment here");
        return Err(Failure::usage(message).hint("name a file: privnet plan aws.yaml"));
    }
    Ok(found)
}

/// Whether a text has privnet's two first keys at its top level.
fn begins_a_deployment(text: &str) -> bool {
    let key = |wanted: &str| {
        text.lines().any(|line| line.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(':')))
    };
    key("version") && key("deployment")
}

/// Files that are read again and again must be regular ones: a pipe has its text once, and one that nobody writes to never.
pub(crate) fn demand_regular(paths: &[PathBuf]) -> Result<(), Failure> {
    let is_other = |path: &&PathBuf| {
        path.as_path() != Path::new("-") && std::fs::metadata(path).is_ok_and(|there| !there.is_file())
    };
    let Some(path) = paths.iter().find(is_other) else { return Ok(()) };
    let failure = Failure::file(format!(
        "{} is no regular file, and a watch reads its files again and again",
        path.display()
    ));
    Err(if path.is_dir() {
        failure.hint("run the command in that folder without FILE: files that come later are watched, too")
    } else {
        failure.hint("give a regular file; or `-` for standard input, which is read once")
    })
}

/// Reads the files; `-` is standard input.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<Source, Failure> {
    let name = path.display().to_string();
    let read = if name == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read(path).and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        })
    };
    let text = read.map_err(|cause| Failure::file(format!("cannot read {name}")).because(&cause))?;
    Ok(Source { name, text })
}

/// Decodes all files, or gives all errors of all of them.
pub(crate) fn decode(sources: &[Source]) -> Result<Vec<Spec>, Vec<FileError>> {
    let pairs: Vec<(&str, &str)> = sources.iter().map(|s| (s.name.as_str(), s.text.as_str())).collect();
    privnet_core::spec::decode_many(&pairs)
}

/// Decodes, and fails with the errors rendered.
pub(crate) fn decode_or_fail(sources: &[Source]) -> Result<Vec<Spec>, Failure> {
    decode(sources).map_err(|errors| {
        let mut failure = Failure::file(format!("{} in what the files say", count(errors.len(), "error")));
        failure.code = errors.first().map(|error| error.code.to_owned());
        failure.causes = errors.iter().map(ToString::to_string).collect();
        failure.shown = Some(errors);
        failure
    })
}

/// Each service that was asked for is in one of the files.
pub(crate) fn check_services(which: &Which, specs: &[Spec]) -> Result<(), Failure> {
    for name in &which.services {
        if !specs.iter().any(|spec| spec.service(name).is_some()) {
            let known: Vec<&str> =
                specs.iter().flat_map(|s| s.services.iter().map(|s| s.name.as_str())).collect();
            return Err(Failure::usage(format!("no service is named `{name}`"))
                .hint(format!("the services are: {}", known.join(", "))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_privnet_yaml_before_others_and_only_deployments() {
        let dir = tempfile::tempdir().unwrap();
        let which = Which::default();
        assert_eq!(find(&which, dir.path()).unwrap_err().exit, crate::exit::Exit::Usage);
        std::fs::write(dir.path().join("b.yaml"), "version: 1\ndeployment: d\n").unwrap();
        std::fs::write(dir.path().join("a.yaml"), "kind: Pod\nversion: 1\n").unwrap();
        assert_eq!(find(&which, dir.path()).unwrap(), [PathBuf::from("b.yaml")]);
        std::fs::write(dir.path().join("privnet.yaml"), "").unwrap();
        assert_eq!(find(&which, dir.path()).unwrap(), [PathBuf::from("privnet.yaml")]);
    }

    #[test]
    fn what_is_read_again_is_a_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        std::fs::write(&file, "").unwrap();
        let missing = dir.path().join("missing.yaml");
        assert!(demand_regular(&[file.clone(), PathBuf::from("-"), missing]).is_ok());
        let refused = demand_regular(&[file, dir.path().to_owned()]).unwrap_err();
        assert_eq!(refused.exit, crate::exit::Exit::File);
        assert!(refused.hints[0].contains("without FILE"), "{refused:?}");
    }
}
