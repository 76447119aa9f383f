//! Which files a command is about, and what they say.

use std::io::ErrorKind;
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

/// The files of a command.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Where they are.
    pub(crate) paths: Vec<PathBuf>,
    /// What was left out of a folder and may have been meant.
    pub(crate) left_out: Vec<LeftOut>,
}

/// A file of a folder that was left out, and may have been meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Where it is.
    pub(crate) path: PathBuf,
    why: Why,
}

/// Why a file may be meant as a deployment's, and is not taken for one.
#[derive(Debug, PartialEq, Eq)]
enum Why {
    /// What it says is not enough.
    Unlike(String),
    /// Nobody knows what it says: it is there, and cannot be read.
    Unreadable(String),
}

impl LeftOut {
    /// A line for people.
    pub(crate) fn warning(&self) -> String {
        let (Why::Unlike(why) | Why::Unreadable(why)) = &self.why;
        format!("warning: {} is left out: {why}", self.path.display())
    }

    /// Whether it cannot be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self.why, Why::Unreadable(_))
    }
}

/// The files that the user gave, or else the ones that are here. Tells of each that is here, may have been meant, and is left out.
pub(crate) fn find(
    which: &Which,
    command: &str,
    here: &Path,
    tell: impl Fn(&str),
) -> Result<Vec<PathBuf>, Failure> {
    let Found { paths, left_out } = find_if_any(which, here)?;
    for left_out in &left_out {
        tell(&left_out.warning());
    }
    if paths.is_empty() {
        let message =
            format!("no FILE was given, and there is no {DEFAULT} and no other *.yaml of a deployment here");
        return Err(Failure::usage(message).hint(format!("name a file: privnet {command} aws.yaml")));
    }
    Ok(paths)
}

/// The same for a command that can wait for the first file, and tells of what is left out itself.
pub(crate) fn find_if_any(which: &Which, here: &Path) -> Result<Found, Failure> {
    swallowed(which)?;
    look(which, here)
}

/// The same, of which there may be none yet.
pub(crate) fn look(which: &Which, here: &Path) -> Result<Found, Failure> {
    let of = |paths| Found { paths, ..Found::default() };
    if !which.files.is_empty() {
        return Ok(of(which.files.clone()));
    }
    if here.join(DEFAULT).is_file() {
        return Ok(of(vec![PathBuf::from(DEFAULT)]));
    }
    let entries = std::fs::read_dir(here).map_err(|cause| Failure::io("cannot list this folder", &cause))?;
    let mut names: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // A named pipe that nobody writes to is not waited for; a link that leads nowhere is told.
        .filter(|path| std::fs::metadata(path).map_or(true, |there| there.is_file()))
        .filter_map(|path| path.file_name().map(PathBuf::from))
        .collect();
    names.sort();
    let mut found = Found::default();
    for name in names {
        match begins_a_deployment(&here.join(&name)) {
            Begins::Yes => found.paths.push(name),
            Begins::Perhaps(why) => found.left_out.push(LeftOut { path: name, why }),
            Begins::No => {}
        }
    }
    Ok(found)
}

/// Whether a file is a deployment's.
enum Begins {
    Yes,
    No,
    /// It may be meant as one, and is none for this reason.
    Perhaps(Why),
}

/// A deployment's file has privnet's two first keys at its top level.
fn begins_a_deployment(path: &Path) -> Begins {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // A link that leads nowhere is no file.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Begins::Perhaps(Why::Unlike(format!("it cannot be read: {error}")));
        }
        Err(error) => return Begins::Perhaps(Why::Unreadable(format!("it cannot be read: {error}"))),
    };
    if text.contains('\0') {
        let why = "it is not UTF-8 text: save it as that".to_owned();
        return Begins::Perhaps(Why::Unreadable(why));
    }
    // Editors of other systems begin files with a mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let key = |wanted: &str| {
        text.lines().any(|line| line.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(':')))
    };
    let lacks = |key: &str, has: &str| {
        Begins::Perhaps(Why::Unlike(format!(
            "it has `{has}:` and no `{key}:` at the beginning of a line; name it to see its errors"
        )))
    };
    match (key("version"), key("deployment")) {
        (true, true) => Begins::Yes,
        (true, false) => lacks("deployment", "version"),
        (false, true) => lacks("version", "deployment"),
        (false, false) => Begins::No,
    }
}

/// `--service` takes all that follows it: a file among that was meant as one.
fn swallowed(which: &Which) -> Result<(), Failure> {
    let is_file = |name: &&String| name.contains(['.', '/', '\\']) && Path::new(name).is_file();
    let Some(file) = which.services.iter().find(is_file) else { return Ok(()) };
    Err(Failure::usage(format!("`{file}` after --service is a file, and no service's name"))
        .hint("put FILE before --service, or write --service=NAME"))
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

/// Reads one; `-` is standard input.
pub(crate) fn read_one(path: &Path) -> Result<Source, Failure> {
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
        let find = || find(&which, "status", dir.path(), |_| {});
        let none = find().unwrap_err();
        assert_eq!(none.exit, crate::exit::Exit::Usage);
        assert_eq!(none.hints, ["name a file: privnet status aws.yaml"]);
        std::fs::write(dir.path().join("b.yaml"), "version: 1\ndeployment: d\n").unwrap();
        std::fs::write(dir.path().join("a.yaml"), "kind: Pod\nname: p\n").unwrap();
        assert_eq!(find().unwrap(), [PathBuf::from("b.yaml")]);
        std::fs::write(dir.path().join("privnet.yaml"), "").unwrap();
        assert_eq!(find().unwrap(), [PathBuf::from("privnet.yaml")]);
    }

    #[test]
    fn what_may_have_been_meant_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("a.yaml", b"version: 1\ndeployment: d\n");
        write("b.yaml", b"version: 1\ndeploymet: d\n");
        write("c.yaml", b" version: 1\ndeployment: d\n");
        write("d.yaml", b"\xff\xfev\0e\0r\0");
        write("e.yaml", b"kind: Pod\n");
        write("f.yaml", "\u{feff}version: 1\ndeployment: f\n".as_bytes());
        write("g.yaml", b"v\0e\0r\0");
        let found = look(&Which::default(), dir.path()).unwrap();
        assert_eq!(found.paths, [PathBuf::from("a.yaml"), PathBuf::from("f.yaml")]);
        let told: Vec<String> = found.left_out.iter().map(LeftOut::warning).collect();
        assert!(
            told[0].starts_with("warning: b.yaml is left out: it has `version:` and no `deployment:`"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("warning: c.yaml is left out: it has `deployment:` and no `version:`"),
            "{told:?}"
        );
        assert!(told[2].starts_with("warning: d.yaml is left out: it cannot be read: "), "{told:?}");
        assert!(told[3].starts_with("warning: g.yaml is left out: it is not UTF-8 text"), "{told:?}");
        assert_eq!(told.len(), 4);
        let unreadable: Vec<_> = found.left_out.iter().filter(|left_out| left_out.is_unreadable()).collect();
        assert_eq!(
            unreadable.iter().map(|left_out| left_out.path.to_str()).collect::<Vec<_>>(),
            [Some("d.yaml"), Some("g.yaml")]
        );
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
