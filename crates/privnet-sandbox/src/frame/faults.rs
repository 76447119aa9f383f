//! Faults on demand: which call of which action fails, and how.

use std::sync::{Mutex, PoisonError};

use super::error::SandboxError;

/// How a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultMode {
    /// An internal error; nothing happened.
    Fail,
    /// It happened, and the connection is closed without an answer.
    Lost,
    /// The connection is closed; nothing happened.
    Reset,
    /// The cloud's throttling error; nothing happened.
    Throttle,
    /// A read answers the state of one write ago. Writes are not affected.
    Stale,
    /// The named error code; nothing happened.
    Code(String),
    /// A list answers without this region or zone, and says so.
    Unreachable(String),
}

/// Which of an action's calls a fault hits, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    Every,
    From(u64),
    Between(u64, u64),
}

/// One fault: `CLOUD:ACTION:COUNT:MODE`.
///
/// CLOUD and ACTION may be `*`; `ACTION@PART` is the action where this is one of the parts of the request's path (a project, a name).
/// COUNT is a number (that call), `N-M`, `N+` (that call and all after it) or `*` (all). MODE is
/// `fail`, `lost`, `reset`, `throttle`, `stale`, `code=SomeErrorCode` or, on GCP, `unreachable=SomeRegionOrZone`. Actions match without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    cloud: String,
    action: String,
    part: Option<String>,
    calls: Calls,
    mode: FaultMode,
}

impl std::str::FromStr for Fault {
    type Err = SandboxError;

    fn from_str(spec: &str) -> Result<Self, SandboxError> {
        let bad = |why| SandboxError::BadFault { spec: spec.to_owned(), why };
        // Actions may hold colons, so the parts are taken from both ends.
        let (cloud, rest) = spec.split_once(':').ok_or_else(|| bad("no action"))?;
        let (rest, mode) = rest.rsplit_once(':').ok_or_else(|| bad("no count"))?;
        let (action, calls) = rest.rsplit_once(':').ok_or_else(|| bad("no mode"))?;
        if !matches!(cloud, "aws" | "azure" | "gcp" | "*") {
            return Err(bad("the cloud is aws, azure, gcp or *"));
        }
        if action.is_empty() {
            return Err(bad("the action is empty"));
        }
        let (action, part) = match action.split_once('@') {
            Some(("", _) | (_, "")) => {
                return Err(bad("an action, or a part of a path, is missing beside the @"));
            }
            Some((action, part)) => (action, Some(part.to_owned())),
            None => (action, None),
        };
        let calls = parse_calls(calls).ok_or_else(|| bad("the count is a number from 1, N-M, N+ or *"))?;
        let mode = match mode {
            "fail" => FaultMode::Fail,
            "lost" => FaultMode::Lost,
            "reset" => FaultMode::Reset,
            "throttle" => FaultMode::Throttle,
            "stale" => FaultMode::Stale,
            other => match other.split_once('=').filter(|(_, value)| !value.is_empty()) {
                Some(("code", code)) => FaultMode::Code(code.to_owned()),
                Some(("unreachable", place)) if cloud == "gcp" => FaultMode::Unreachable(place.to_owned()),
                Some(("unreachable", _)) => {
                    return Err(bad("only lists of gcp leave out what does not answer"));
                }
                _ => {
                    return Err(bad(
                        "the mode is fail, lost, reset, throttle, stale, code=CODE or unreachable=PLACE",
                    ));
                }
            },
        };
        Ok(Self { cloud: cloud.to_owned(), action: action.to_owned(), part, calls, mode })
    }
}

fn parse_calls(text: &str) -> Option<Calls> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0);
    if text == "*" {
        return Some(Calls::Every);
    }
    if let Some(from) = text.strip_suffix('+') {
        return number(from).map(Calls::From);
    }
    if let Some((from, to)) = text.split_once('-') {
        let (from, to) = (number(from)?, number(to)?);
        return (from <= to).then_some(Calls::Between(from, to));
    }
    number(text).map(|n| Calls::Between(n, n))
}

impl Fault {
    fn matches(&self, cloud: &str, action: &str, path: &str) -> bool {
        (self.cloud == "*" || self.cloud == cloud)
            && (self.action == "*" || self.action.eq_ignore_ascii_case(action))
            && self.part.as_ref().is_none_or(|part| path.split('/').any(|one| one.eq_ignore_ascii_case(part)))
    }

    fn hits(&self, call: u64) -> bool {
        match self.calls {
            Calls::Every => true,
            Calls::From(from) => call >= from,
            Calls::Between(from, to) => (from..=to).contains(&call),
        }
    }
}

/// The faults of a running sandbox, each with the number of calls that it has seen.
#[derive(Debug, Default)]
pub struct Faults {
    list: Mutex<Vec<(Fault, u64)>>,
}

impl Faults {
    /// Reads specifications.
    pub fn parse<S: AsRef<str>>(specs: &[S]) -> Result<Self, SandboxError> {
        let faults = Self::default();
        for spec in specs {
            faults.add(spec.as_ref().parse()?);
        }
        Ok(faults)
    }

    /// Adds a fault; its count begins now.
    pub fn add(&self, fault: Fault) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push((fault, 0));
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many calls of its action each fault has counted, in the order in which they were added.
    pub fn counted(&self) -> Vec<u64> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, count)| *count).collect()
    }

    /// Counts a call of this path, and says how it fails if it does. Each matching fault counts it; the first that hits decides.
    pub fn draw(&self, cloud: &str, action: &str, path: &str) -> Option<FaultMode> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let mut drawn = None;
        for (fault, calls) in list.iter_mut().filter(|(fault, _)| fault.matches(cloud, action, path)) {
            *calls += 1;
            if drawn.is_none() && fault.hits(*calls) {
                drawn = Some(fault.mode.clone());
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_call_fails_and_no_other() {
        let faults = Faults::parse(&["aws:CreateListener:2:lost", "gcp:*:1+:code=quotaExceeded"]).unwrap();
        assert_eq!(faults.draw("aws", "CreateListener", "/"), None);
        assert_eq!(faults.draw("aws", "DescribeListeners", "/"), None);
        assert_eq!(faults.draw("aws", "createlistener", "/"), Some(FaultMode::Lost));
        assert_eq!(faults.draw("aws", "CreateListener", "/"), None);
        assert_eq!(faults.draw("gcp", "GET networks", "/"), Some(FaultMode::Code("quotaExceeded".into())));
    }

    #[test]
    fn an_action_may_hold_colons_and_slashes() {
        let faults = Faults::parse(&["azure:PUT Microsoft.Network/loadBalancers:1-2:throttle"]).unwrap();
        let action = "PUT Microsoft.Network/loadBalancers";
        let drawn: Vec<_> = (0..3).map(|_| faults.draw("azure", action, "/").is_some()).collect();
        assert_eq!(drawn, [true, true, false]);
    }

    #[test]
    fn a_fault_may_be_of_one_part_of_a_path() {
        let faults = Faults::parse(&["gcp:firewalls.list@acme-net:1+:fail"]).unwrap();
        let drawn = |path| faults.draw("gcp", "firewalls.list", path).is_some();
        assert!(drawn("/compute/v1/projects/acme-net/global/firewalls"));
        assert!(!drawn("/compute/v1/projects/acme-net-2/global/firewalls"));
        assert_eq!(faults.counted(), [1]);
    }

    #[test]
    fn wrong_specifications_say_what_is_wrong() {
        for spec in [
            "aws",
            "aws:A",
            "aws:A:1",
            "x:A:1:fail",
            "aws:A:0:fail",
            "aws:A:1:no",
            "aws:A:1:code=",
            "aws:A:1:unreachable=us-east-1",
            "gcp:A:1:unreachable=",
            "aws::1:fail",
            "gcp:firewalls.list@:1:fail",
            "gcp:@acme-net:1:fail",
        ] {
            assert!(Faults::parse(&[spec]).is_err(), "{spec}");
        }
    }
}
