//! What was said between privnet and the local cloud, and what must hold of it.

use crate::DRAIN;

/// One exchange of the record.
pub(crate) struct Said {
    pub(crate) time: jiff::Timestamp,
    pub(crate) action: String,
    pub(crate) body: String,
    pub(crate) response: String,
}

impl Said {
    /// Each target of a DescribeTargetHealth answer, with its state.
    pub(crate) fn health(&self) -> Vec<(String, String)> {
        let between = |text: &str, tag: &str| -> Option<String> {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
        };
        let members = self.response.split("</member>");
        members.filter_map(|member| Some((between(member, "Id")?, between(member, "State")?))).collect()
    }

    pub(crate) fn shows(&self, address: &str, state: &str) -> bool {
        self.action == "DescribeTargetHealth"
            && self.health().contains(&(address.to_owned(), state.to_owned()))
    }

    pub(crate) fn changes(&self, action: &str, address: &str) -> bool {
        self.action == action && self.body.contains(&format!("={address}&"))
    }

    /// A parameter of the request.
    pub(crate) fn of_body(&self, name: &str) -> String {
        let start = format!("{name}=");
        let found = self.body.split('&').find_map(|part| part.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.body)).to_owned()
    }

    /// The value of an attribute in the answer.
    pub(crate) fn attribute(&self, key: &str) -> String {
        let members = self.response.split("</member>");
        let found = members.filter_map(|member| {
            member.contains(&format!("<Key>{key}</Key>")).then_some(())?;
            let (_, rest) = member.split_once("<Value>")?;
            Some(rest.split_once("</Value>")?.0.to_owned())
        });
        found.last().unwrap_or_default()
    }

    pub(crate) fn writes(&self) -> bool {
        !["Describe", "Get"].iter().any(|start| self.action.starts_with(start))
    }
}

/// There was a healthy target at each moment that somebody looked.
pub(crate) fn assert_always_served(record: &[Said]) {
    let looks: Vec<_> = record.iter().filter(|said| said.action == "DescribeTargetHealth").collect();
    assert!(looks.len() > 3, "nobody looked");
    for look in looks {
        let health = look.health();
        assert!(health.iter().any(|(_, state)| state == "healthy"), "{health:?}: {}", look.response);
    }
}

/// No established session was reset: each target that was deregistered from `start` on had, by the last answer about its group's
/// attributes, its time to drain; it was seen draining, and at no look within that time was it anything else; and nothing that cuts
/// sessions was written meanwhile.
pub(crate) fn assert_no_session_reset(record: &[Said], start: usize) {
    let is_gone = |(at, said): &(usize, &Said)| *at >= start && said.action == "DeregisterTargets";
    let gone: Vec<(usize, &Said)> = record.iter().enumerate().filter(is_gone).collect();
    assert!(!gone.is_empty(), "nothing was deregistered");
    for (at, deregistered) in gone {
        let (group, target) =
            (deregistered.of_body("TargetGroupArn"), deregistered.of_body("Targets.member.1.Id"));
        assert!(!deregistered.body.contains("Targets.member.2."), "one by one: {}", deregistered.body);
        let about = |said: &&Said| said.body.contains(&format!("TargetGroupArn={group}&"));
        let attributes = |said: &&Said| said.action.ends_with("TargetGroupAttributes") && about(said);
        let known = record[..at].iter().rev().find(attributes).expect("nobody read how long it drains");
        let drain = known.attribute("deregistration_delay.timeout_seconds");
        let drain: f64 = drain.parse().unwrap_or_else(|_| panic!("{drain:?}: {}", known.response));
        assert!(
            (drain - DRAIN).abs() < f64::EPSILON,
            "the file's `drain` is {DRAIN} s, and it has {drain} s"
        );
        let within = |said: &&Said| said.time.duration_since(deregistered.time).as_secs_f64() < drain;
        let meanwhile: Vec<&Said> = record[at + 1..].iter().take_while(within).collect();
        let looks: Vec<_> = meanwhile
            .iter()
            .filter(|said| said.action == "DescribeTargetHealth")
            .filter(|said| about(said))
            .collect();
        assert!(!looks.is_empty(), "nobody looked while {target} drained");
        for look in looks {
            assert!(look.shows(&target, "draining"), "{target} does not drain: {:?}", look.health());
        }
        let cuts = [
            "DeleteListener",
            "DeleteTargetGroup",
            "ModifyTargetGroupAttributes",
            "ModifyListener",
            "DeleteLoadBalancer",
        ];
        let cut = meanwhile.iter().find(|said| cuts.contains(&said.action.as_str()));
        assert!(cut.is_none(), "{:?} while {target} drained", cut.map(|said| &said.action));
    }
}

pub(crate) fn first(record: &[Said], what: &str, is: impl Fn(&Said) -> bool) -> usize {
    record.iter().position(is).unwrap_or_else(|| panic!("never: {what}"))
}
