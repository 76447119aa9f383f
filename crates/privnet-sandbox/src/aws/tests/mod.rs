//! The AWS sandbox through its protocol, with a clock in the test's hand.

mod balancing;
mod connections;
mod groups;
mod protocol;
mod random_calls;
mod regions;
mod scaling;
mod services;

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};

use super::Aws;
use super::model::Api;
use super::world::ids;
use crate::frame::{Answer, CloudServer, Exchange, Moment, Setup};

/// A sandbox in a folder of its own.
struct Bench {
    cloud: Aws,
    now: Cell<Timestamp>,
    dir: tempfile::TempDir,
}

/// Who calls, and where.
#[derive(Clone, Copy)]
struct Caller {
    key: &'static str,
    region: &'static str,
}

const OWNER: Caller = Caller { key: ids::KEYS[0].0, region: "us-east-1" };
const CONSUMER: Caller = Caller { key: ids::KEYS[1].0, region: "us-east-1" };

impl Bench {
    /// No lag, no rates.
    fn new() -> Self {
        Self::with(|setup| {
            setup.list_lag = std::time::Duration::ZERO;
            setup.rate_limits = false;
        })
    }

    fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(dir.path());
        change(&mut setup);
        let cloud = Aws::open(&setup).unwrap();
        Self { cloud, now: Cell::new("2026-06-01T00:00:00Z".parse().unwrap()), dir }
    }

    fn pass(&self, seconds: i64) {
        self.now.set(self.now.get() + SignedDuration::from_secs(seconds));
    }

    fn exchange(caller: Caller, api: Api, action: &str, parameters: &[(&str, &str)]) -> Exchange {
        let service = match api {
            Api::Ec2 => "ec2",
            Api::Elb => "elasticloadbalancing",
            Api::Scaling => "autoscaling",
            Api::Sts => "sts",
        };
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", &api.model().version);
        form.extend_pairs(parameters);
        let mut exchange = Exchange { method: "POST".into(), path: "/".into(), ..Exchange::default() };
        let (key, region) = (caller.key, caller.region);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260601/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        exchange.headers.insert("authorization", authorization.parse().unwrap());
        exchange.body = form.finish().into_bytes();
        exchange
    }

    fn answer_as(&self, caller: Caller, api: Api, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let exchange = Self::exchange(caller, api, action, parameters);
        self.cloud.answer(&exchange, Moment::at(self.now.get()))
    }

    /// The answer's text; the call must succeed.
    fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        success(&self.answer_as(OWNER, Api::Ec2, action, parameters))
    }

    fn elb(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        success(&self.answer_as(OWNER, Api::Elb, action, parameters))
    }

    /// The error code; the call must fail.
    fn ec2_error(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        failure(&self.answer_as(OWNER, Api::Ec2, action, parameters))
    }

    fn scaling(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        success(&self.answer_as(OWNER, Api::Scaling, action, parameters))
    }

    fn scaling_error(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        failure(&self.answer_as(OWNER, Api::Scaling, action, parameters))
    }

    fn elb_error(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        failure(&self.answer_as(OWNER, Api::Elb, action, parameters))
    }

    /// An active network load balancer in the first two subnets; its ARN.
    fn balancer(&self, name: &str, more: &[(&str, &str)]) -> String {
        let mut parameters = vec![
            ("Name", name),
            ("Type", "network"),
            ("Scheme", "internal"),
            ("Subnets.member.1", ids::SUBNETS[0]),
            ("Subnets.member.2", ids::SUBNETS[1]),
        ];
        parameters.extend(more);
        let arn = value(&self.elb("CreateLoadBalancer", &parameters), "LoadBalancerArn");
        self.pass(120);
        arn
    }

    /// An available endpoint service of that load balancer; its id.
    fn service(&self, balancer: &str, acceptance: &str, principal: &str) -> String {
        let parameters = [("NetworkLoadBalancerArn.1", balancer), ("AcceptanceRequired", acceptance)];
        let id = value(&self.ec2("CreateVpcEndpointServiceConfiguration", &parameters), "serviceId");
        self.pass(10);
        let parameters = [("ServiceId", id.as_str()), ("AddAllowedPrincipals.1", principal)];
        self.ec2("ModifyVpcEndpointServicePermissions", &parameters);
        id
    }

    /// Owner and state of a service's connections.
    fn connections(&self, service: &str) -> Vec<(String, String)> {
        let parameters = [("Filter.1.Name", "service-id"), ("Filter.1.Value.1", service)];
        let text = self.ec2("DescribeVpcEndpointConnections", &parameters);
        let mut found: Vec<_> =
            values(&text, "vpcEndpointOwner").into_iter().zip(values(&text, "vpcEndpointState")).collect();
        found.sort();
        found
    }
}

fn success(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

fn failure(answer: &Answer) -> String {
    assert!(answer.status >= 400, "{}", answer.text());
    value(&answer.text(), "Code")
}

/// The contents of every element of that name.
fn values(text: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let inner = |part: &str| part.split(&close).next().unwrap_or_default().to_owned();
    text.split(&open).skip(1).map(inner).collect()
}

/// The content of the first element of that name.
#[track_caller]
fn value(text: &str, name: &str) -> String {
    values(text, name).into_iter().next().unwrap_or_else(|| panic!("no <{name}> in {text}"))
}
