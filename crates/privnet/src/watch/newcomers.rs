//! Files that were not there when a watch began: which of them are watched from now on. Pure.

use std::collections::BTreeMap;

use privnet_core::spec::{Spec, decode};

use super::file::{Kept, Reading};

/// What is known of the files that are there and not watched.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// Only files with one of these services count; all, where none is named.
    services: Vec<String>,
    known: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    last: Reading,
    judged: Option<Reading>,
    /// Whether it should be watched, and is not.
    left: bool,
}

/// What becomes of a file.
#[derive(Debug, PartialEq)]
pub(super) enum Arrival {
    /// It is right, and nobody watches its deployment.
    Right {
        /// The file.
        name: String,
        /// Its text.
        text: String,
        /// What that says.
        spec: Box<Spec>,
    },
    /// It is not watched.
    Left {
        /// The file.
        name: String,
        /// Why.
        why: Kept,
    },
}

impl Newcomers {
    /// Files with one of these services; all files, where none is named.
    pub(super) fn limited_to(services: &[String]) -> Self {
        Self { services: services.to_vec(), known: BTreeMap::new() }
    }

    /// Takes in a look at all files that are not watched. As with [`WatchedFile`](super::WatchedFile) a text counts when two looks in
    /// a row show it, and each is told once. `watched` has the file of each deployment.
    pub(super) fn look(
        &mut self,
        readings: Vec<(String, Reading)>,
        watched: &BTreeMap<String, String>,
    ) -> Vec<Arrival> {
        let mut arrivals: Vec<Arrival> = Vec::new();
        let mut known = BTreeMap::new();
        for (name, reading) in readings {
            let before = self.known.remove(&name);
            let settled = before.as_ref().is_some_and(|known| known.last == reading);
            let (mut judged, mut is_left) = before.map_or((None, false), |known| (known.judged, known.left));
            if settled && judged.as_ref() != Some(&reading) {
                let taken = |deployment: &str| {
                    let arrived = arrivals.iter().find_map(|arrival| match arrival {
                        Arrival::Right { name, spec, .. } if spec.deployment.as_str() == deployment => {
                            Some(name)
                        }
                        _ => None,
                    });
                    watched.get(deployment).or(arrived).cloned()
                };
                let arrival = judge(&name, &reading, &self.services, taken);
                judged = Some(reading.clone());
                is_left = arrival.is_some();
                arrivals.extend(arrival);
            }
            known.insert(name, Known { last: reading, judged, left: is_left });
        }
        // What is gone is forgotten: when it comes back it is new.
        self.known = known;
        arrivals
    }

    /// This one is watched from now on.
    pub(super) fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// How many files are there that were looked into and are not watched.
    pub(super) fn left(&self) -> usize {
        self.known.values().filter(|known| known.left).count()
    }
}

/// Nothing for a file that is nobody's business: it is gone, or has none of the services.
fn judge(
    name: &str,
    reading: &Reading,
    services: &[String],
    taken: impl Fn(&str) -> Option<String>,
) -> Option<Arrival> {
    let left = |why| Some(Arrival::Left { name: name.to_owned(), why });
    let text = match reading {
        Reading::Gone => return None,
        Reading::Unreadable(why) => return left(Kept::Unreadable(why.clone())),
        Reading::Text(text) => text,
    };
    match decode(name, text) {
        Err(errors) => left(Kept::Wrong(errors)),
        Ok(spec) if !services.is_empty() && !services.iter().any(|name| spec.service(name).is_some()) => None,
        Ok(spec) => match taken(spec.deployment.as_str()) {
            Some(by) => left(Kept::Twice { deployment: spec.deployment.to_string(), by }),
            None => Some(Arrival::Right { name: name.to_owned(), text: text.clone(), spec: Box::new(spec) }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::text;
    use super::*;

    fn file(name: &str, text: &str) -> (String, Reading) {
        (name.to_owned(), Reading::Text(text.to_owned()))
    }

    /// The files that are watched after a look, and those that are not, with the reason's code.
    fn looked(newcomers: &mut Newcomers, files: &[(String, Reading)]) -> Vec<(String, &'static str)> {
        let watched = BTreeMap::from([("data".to_owned(), "a.yaml".to_owned())]);
        let arrivals = newcomers.look(files.to_vec(), &watched).into_iter();
        arrivals
            .map(|arrival| match arrival {
                Arrival::Right { name, .. } => (name, "right"),
                Arrival::Left { name, why } => (name, why.code()),
            })
            .collect()
    }

    #[test]
    fn a_file_counts_when_it_has_settled_and_is_told_once() {
        let mut newcomers = Newcomers::default();
        let whole = text("new", &["orders"]);
        let half = whole[..whole.len() / 2].to_owned();
        assert_eq!(looked(&mut newcomers, &[file("b.yaml", &half)]), []);
        assert_eq!(looked(&mut newcomers, &[file("b.yaml", &whole)]), []);
        assert_eq!(looked(&mut newcomers, &[file("b.yaml", &whole)]), [("b.yaml".to_owned(), "right")]);
        newcomers.forget("b.yaml");
        assert_eq!(newcomers.left(), 0);
    }

    #[test]
    fn one_that_is_wrong_is_told_once_and_taken_when_it_is_mended() {
        let mut newcomers = Newcomers::default();
        let wrong = [file("b.yaml", "version: 2\ndeployment: new\n")];
        assert_eq!(looked(&mut newcomers, &wrong), []);
        assert_eq!(looked(&mut newcomers, &wrong), [("b.yaml".to_owned(), "wrong")]);
        assert_eq!((looked(&mut newcomers, &wrong), newcomers.left()), (Vec::new(), 1));
        let right = [file("b.yaml", &text("new", &["orders"]))];
        assert_eq!(looked(&mut newcomers, &right), []);
        assert_eq!(looked(&mut newcomers, &right), [("b.yaml".to_owned(), "right")]);
    }

    #[test]
    fn a_deployment_is_watched_by_one_file() {
        let mut newcomers = Newcomers::default();
        let files = [
            file("b.yaml", &text("data", &["orders"])),
            file("c.yaml", &text("new", &["orders"])),
            file("d.yaml", &text("new", &["orders"])),
        ];
        assert_eq!(looked(&mut newcomers, &files), []);
        let expected = [("b.yaml", "twice"), ("c.yaml", "right"), ("d.yaml", "twice")];
        assert_eq!(looked(&mut newcomers, &files), expected.map(|(name, code)| (name.to_owned(), code)));
    }

    #[test]
    fn one_without_the_services_is_nobodys_business_until_it_has_one() {
        let mut newcomers = Newcomers::limited_to(&["orders".to_owned(), "billing".to_owned()]);
        let without = [file("b.yaml", &text("new", &["reports"]))];
        for _ in 0..3 {
            assert_eq!((looked(&mut newcomers, &without), newcomers.left()), (Vec::new(), 0));
        }
        // Not even where its deployment is watched already.
        let twice = [file("b.yaml", &text("data", &["reports"]))];
        for _ in 0..3 {
            assert_eq!((looked(&mut newcomers, &twice), newcomers.left()), (Vec::new(), 0));
        }
        let with = [file("b.yaml", &text("new", &["reports", "billing"]))];
        assert_eq!(looked(&mut newcomers, &with), []);
        assert_eq!(looked(&mut newcomers, &with), [("b.yaml".to_owned(), "right")]);
    }

    #[test]
    fn one_that_went_is_new_when_it_comes_back() {
        let mut newcomers = Newcomers::default();
        let pipe = [("b.yaml".to_owned(), Reading::Unreadable("no regular file".to_owned()))];
        assert_eq!(looked(&mut newcomers, &pipe), []);
        assert_eq!(looked(&mut newcomers, &pipe), [("b.yaml".to_owned(), "unreadable")]);
        assert_eq!((looked(&mut newcomers, &[]), newcomers.left()), (Vec::new(), 0));
        assert_eq!(looked(&mut newcomers, &pipe), []);
        assert_eq!(looked(&mut newcomers, &pipe), [("b.yaml".to_owned(), "unreadable")]);
    }
}
