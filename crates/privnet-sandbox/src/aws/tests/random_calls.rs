//! Random calls, well-formed by the published shapes: whatever is asked, the answer is one of the cloud's, never a failure of the
//! sandbox (an answer outside the published shape is one), and the world can be read again.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::aws::model::{Shape, Shapes};

/// Values that mean something in the default world, and some that do not.
fn pool(bench: &Bench) -> Vec<String> {
    let elb =
        |resource: &str| crate::aws::ids::arn("elasticloadbalancing", "us-east-1", ids::ACCOUNT, resource);
    let mut pool: Vec<String> = [
        ids::VPC,
        ids::SUBNETS[0],
        ids::SUBNETS[1],
        ids::DATABASE_GROUP,
        ids::INSTANCE,
        ids::SERVICE,
        ids::CONNECTED_ENDPOINT,
        "arn:aws:iam::834469178297:root",
        "arn:aws:sns:us-east-1:123456789012:privnet-connections",
        "10.0.0.30",
        "172.16.4.20",
        "all",
        "network",
        "internal",
        "tcp",
        "10.0.0.0/8",
        "service-id",
        "tag:Name",
        "vpc-id",
        "group-id",
        "*",
        "",
        "a",
        "x-y",
        "<&\">\u{1}é",
        "security-group",
        "vpc-endpoint-service",
        "Connect",
        "ipv4",
        "eu-west-1",
        "resolve:ssm:/aws/service/debian/release/12/latest/arm64",
        "t4g.small",
        "$Latest",
        "1",
        "group-one",
        "instance",
        "Launch",
        "ELB",
        "sandbox-health",
        "down",
    ]
    .map(str::to_owned)
    .to_vec();
    pool.push(elb(&format!("loadbalancer/{}", ids::LOAD_BALANCER)));
    pool.push(elb(&format!("loadbalancer/{}", ids::SERVED_LOAD_BALANCER)));
    pool.push(elb("targetgroup/db/00112233445566aa"));
    pool.push(elb("targetgroup/shared/00112233445566cc"));
    pool.push(elb(&format!("listener/{}/0123456789abcdee", ids::LOAD_BALANCER)));
    // What the calls so far have made.
    let text = bench.ec2("DescribeSecurityGroups", &[]) + &bench.elb("DescribeTargetGroups", &[]);
    pool.extend(values(&text, "groupId").into_iter().chain(values(&text, "TargetGroupArn")));
    pool.extend(values(&bench.ec2("DescribeVpcEndpointConnections", &[]), "vpcEndpointId"));
    pool.extend(values(&bench.ec2("DescribeLaunchTemplates", &[]), "launchTemplateId"));
    let text = bench.scaling("DescribeAutoScalingGroups", &[]);
    pool.extend(["AutoScalingGroupName", "InstanceId"].into_iter().flat_map(|name| values(&text, name)));
    pool
}

struct Maker<'a> {
    rng: &'a mut StdRng,
    shapes: &'a Shapes,
    flat: bool,
    pool: &'a [String],
    form: Vec<(String, String)>,
}

impl Maker<'_> {
    fn add(&mut self, shape: &str, path: &str) {
        match &self.shapes[shape] {
            Shape::Structure { members, required } => {
                for (name, (wire, inner)) in members {
                    if required.contains(name) || self.rng.random_bool(0.4) {
                        self.add(
                            inner,
                            &if path.is_empty() { wire.clone() } else { format!("{path}.{wire}") },
                        );
                    }
                }
            }
            Shape::List { of, member, flattened } => {
                let path = if self.flat || *flattened { path.to_owned() } else { format!("{path}.{member}") };
                for n in 1..=self.rng.random_range(1..3) {
                    self.add(of, &format!("{path}.{n}"));
                }
            }
            Shape::String { values, .. } => {
                let choice = values.choose(self.rng).or_else(|| self.pool.choose(self.rng));
                self.form.push((path.to_owned(), choice.cloned().unwrap_or_default()));
            }
            Shape::Integer { min, max } => {
                let low = min.unwrap_or(-1.0) as i64;
                let high = max.unwrap_or(70_000.0) as i64;
                let number = *[low, high.min(100), 5432.min(high), 30.min(high)].choose(self.rng).unwrap();
                self.form.push((path.to_owned(), number.to_string()));
            }
            Shape::Boolean => self.form.push((path.to_owned(), self.rng.random_bool(0.3).to_string())),
            Shape::Timestamp => self.form.push((path.to_owned(), "2026-06-01T00:00:00Z".to_owned())),
        }
    }
}

#[test]
fn no_call_makes_the_sandbox_fail() {
    let bench = Bench::new();
    let mut rng = StdRng::seed_from_u64(20_260_601);
    let (mut well, mut known) = (0, pool(&bench));
    let mut calls: Vec<(Api, &String)> = Api::ALL
        .into_iter()
        .flat_map(|api| api.model().operations.keys().map(move |action| (api, action)))
        .collect();
    // The same calls in every run.
    calls.sort();
    for round in 0..4000 {
        if round % 200 == 0 {
            known = pool(&bench);
        }
        let (api, action) = *calls.choose(&mut rng).unwrap();
        let model = api.model();
        let mut maker = Maker {
            rng: &mut rng,
            shapes: &model.requests,
            flat: api == Api::Ec2,
            pool: &known,
            form: Vec::new(),
        };
        if let Some(input) = &model.operations[action].input {
            maker.add(input, "");
        }
        let form: Vec<(&str, &str)> = maker.form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let answer = bench.answer_as(OWNER, api, action, &form);
        assert!(answer.status < 500, "{action} {form:?}: {}", answer.text());
        well += u32::from(answer.status == 200);
        bench.pass(1);
    }
    assert!(well > 400, "most calls were refused ({well} went well): the test has lost its aim");
    Aws::open(&Setup::new(bench.dir.path())).unwrap();
}
