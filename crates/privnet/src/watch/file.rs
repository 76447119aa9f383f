//! A watched file, read again and again: which text is the one to go by. Pure.

use std::fmt;

use privnet_core::spec::{FileError, Spec, decode};

/// What a look at the file brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its text.
    Text(String),
    /// It is not there.
    Gone,
    /// It is there and cannot be read.
    Unreadable(String),
}

/// Why the file as it is now is not used, and the last good one is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// It is not there.
    Gone,
    /// It cannot be read.
    Unreadable(String),
    /// It has errors.
    Wrong(Vec<FileError>),
    /// Another file declares its deployment, and is watched.
    Twice {
        /// Which deployment.
        deployment: String,
        /// The file that is watched.
        by: String,
    },
    /// It declares another deployment.
    OtherDeployment {
        /// Which.
        found: String,
        /// Which is watched.
        watched: String,
    },
    /// It no longer has services that the watch is limited to.
    NoSuchService(Vec<String>),
    /// No session can be made for it.
    Unusable(String),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the file is gone"),
            Self::Unreadable(why) => write!(f, "the file cannot be read: {why}"),
            Self::Wrong(errors) if errors.len() == 1 => f.write_str("the file has an error"),
            Self::Wrong(errors) => write!(f, "the file has {} errors", errors.len()),
            Self::Twice { deployment, by } => {
                write!(f, "the file declares the deployment `{deployment}`, which is watched by {by}")
            }
            Self::OtherDeployment { found, watched } => write!(
                f,
                "the file declares the deployment `{found}`, and `{watched}` is watched: what `{watched}` has would be left with nobody"
            ),
            Self::NoSuchService(names) => {
                write!(f, "the file no longer has what --service names: {}", names.join(", "))
            }
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

impl Kept {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Unreadable(_) => "unreadable",
            Self::Wrong(_) => "wrong",
            Self::Twice { .. } => "twice",
            Self::OtherDeployment { .. } => "other-deployment",
            Self::NoSuchService(_) => "no-such-service",
            Self::Unusable(_) => "unusable",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Gone => "put it back, or stop the watch; to take the deployment away: privnet destroy FILE",
            Self::Unreadable(_) => {
                "it must be a regular file that may be read; the next good text is taken by itself"
            }
            Self::Wrong(_) => "privnet validate FILE shows the errors; the next good text is taken by itself",
            Self::Twice { .. } => {
                "a deployment is watched by one file: take one of them away; after a change of names start the watch again"
            }
            Self::OtherDeployment { .. } => {
                "give the file its old `deployment:`; a new deployment is a file of its own"
            }
            Self::NoSuchService(_) => "put them back, or start the watch again with other services",
            Self::Unusable(_) => "the next good text is taken by itself",
        }
    }
}

/// What a reading leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A new text is right: whoever can go by it says so with [`WatchedFile::taken`].
    Take(Box<Spec>),
    /// The file is again the text that is gone by.
    Back,
    /// The text of before is gone by, although the file changed.
    Keep(Kept),
}

/// What is known of a watched file.
#[derive(Clone, Debug)]
pub struct WatchedFile {
    name: String,
    deployment: String,
    services: Vec<String>,
    good: String,
    last: Reading,
    judged: Reading,
}

impl WatchedFile {
    /// A file that was read and decoded to `spec`, limited to `services` (empty: all).
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>, spec: &Spec, services: &[String]) -> Self {
        let good = text.into();
        let here: Vec<String> =
            services.iter().filter(|service| spec.service(service).is_some()).cloned().collect();
        Self {
            name: name.into(),
            deployment: spec.deployment.to_string(),
            services: here,
            last: Reading::Text(good.clone()),
            judged: Reading::Text(good.clone()),
            good,
        }
    }

    /// The file's name, as messages have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the file as it is now is the one that is gone by.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.judged == Reading::Text(self.good.clone())
    }

    /// Takes in a look at the file. A change counts when two looks in a row show it: whoever writes a file in pieces is not read in
    /// the middle of it. Each change is told once.
    pub fn look(&mut self, reading: Reading) -> Option<Step> {
        let settled = reading == self.last;
        if !settled {
            self.last = reading;
            return None;
        }
        if reading == self.judged {
            return None;
        }
        self.judged = reading;
        let text = match &self.judged {
            Reading::Gone => return Some(Step::Keep(Kept::Gone)),
            Reading::Unreadable(why) => return Some(Step::Keep(Kept::Unreadable(why.clone()))),
            Reading::Text(text) if *text == self.good => return Some(Step::Back),
            Reading::Text(text) => text,
        };
        Some(self.judge(text).map_or_else(Step::Keep, Step::Take))
    }

    /// The text that was judged last is the one that is gone by from now on.
    pub fn taken(&mut self) {
        if let Reading::Text(text) = &self.judged {
            self.good.clone_from(text);
        }
    }

    fn judge(&self, text: &str) -> Result<Box<Spec>, Kept> {
        let spec = decode(&self.name, text).map_err(Kept::Wrong)?;
        if spec.deployment.as_str() != self.deployment {
            let found = spec.deployment.to_string();
            return Err(Kept::OtherDeployment { found, watched: self.deployment.clone() });
        }
        let missing: Vec<String> =
            self.services.iter().filter(|service| spec.service(service).is_none()).cloned().collect();
        if missing.is_empty() { Ok(Box::new(spec)) } else { Err(Kept::NoSuchService(missing)) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn text(deployment: &str, services: &[&str]) -> String {
        let mut text = format!("version: 1\ndeployment: {deployment}\nservices:\n");
        for (index, service) in services.iter().enumerate() {
            text.push_str(&format!(
                "  - name: {service}
    allow: {{ fivetran: {{}} }}
    aws: {{ account: '123456789012', region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1],
           ports: [{{ listen: {}, to: {{ ips: [10.0.0.25] }} }}] }}\n",
                5432 + index
            ));
        }
        text
    }

    fn watched(services: &[&str], only: &[&str]) -> WatchedFile {
        let good = text("data", services);
        let spec = decode("a.yaml", &good).unwrap();
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        WatchedFile::new("a.yaml", good, &spec, &only)
    }

    /// Two looks at the same.
    fn settle(file: &mut WatchedFile, reading: Reading) -> Option<Step> {
        assert_eq!(file.look(reading.clone()), None, "one look is not enough");
        let step = file.look(reading.clone());
        assert_eq!(file.look(reading), None, "told once");
        step
    }

    #[test]
    fn a_good_edit_is_taken_when_it_has_settled() {
        let mut file = watched(&["orders"], &[]);
        let new = text("data", &["orders", "billing"]);
        let half = new[..new.len() / 2].to_owned();
        assert_eq!(file.look(Reading::Text(half)), None);
        assert!(matches!(
            settle(&mut file, Reading::Text(new)),
            Some(Step::Take(spec)) if spec.services.len() == 2
        ));
        assert!(!file.is_good(), "not before somebody goes by it");
        file.taken();
        assert!(file.is_good());
    }

    #[test]
    fn a_bad_edit_keeps_the_last_good_one() {
        let mut file = watched(&["orders"], &[]);
        let good = text("data", &["orders"]);
        let step = settle(&mut file, Reading::Text("version: 2\n".to_owned()));
        assert!(matches!(step, Some(Step::Keep(Kept::Wrong(errors))) if !errors.is_empty()));
        assert!(!file.is_good());
        assert_eq!(settle(&mut file, Reading::Gone), Some(Step::Keep(Kept::Gone)));
        let unreadable = Reading::Unreadable("permission denied".to_owned());
        assert!(matches!(settle(&mut file, unreadable), Some(Step::Keep(Kept::Unreadable(_)))));
        assert_eq!(settle(&mut file, Reading::Text(good)), Some(Step::Back));
        assert!(file.is_good());
    }

    #[test]
    fn another_deployment_is_never_taken() {
        let mut file = watched(&["orders"], &[]);
        let step = settle(&mut file, Reading::Text(text("other", &["orders"])));
        let Some(Step::Keep(Kept::OtherDeployment { found, watched })) = step else { panic!("{step:?}") };
        assert_eq!((found.as_str(), watched.as_str()), ("other", "data"));
    }

    #[test]
    fn a_watch_that_is_limited_to_services_keeps_them() {
        let mut file = watched(&["orders", "billing"], &["billing", "of-another-file"]);
        let step = settle(&mut file, Reading::Text(text("data", &["orders"])));
        assert_eq!(step, Some(Step::Keep(Kept::NoSuchService(vec!["billing".to_owned()]))));
        let more = text("data", &["orders", "billing", "third"]);
        assert!(matches!(settle(&mut file, Reading::Text(more)), Some(Step::Take(_))));
    }

    #[test]
    fn a_file_that_is_replaced_for_a_moment_is_not_talked_about() {
        let mut file = watched(&["orders"], &[]);
        let good = text("data", &["orders"]);
        for reading in [Reading::Gone, Reading::Text(String::new()), Reading::Text(good.clone())] {
            assert_eq!(file.look(reading), None);
        }
        assert_eq!(file.look(Reading::Text(good)), None);
        assert!(file.is_good());
    }
}
