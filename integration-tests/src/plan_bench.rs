//! The benchmark's part without any cloud: what decoding and planning many services takes of the processor and of memory; against an
//! empty cloud, and against one in which everything is there already.

use std::collections::BTreeMap;

use privnet::{Plan, PlanOptions};
use privnet_core::provider::{Provider as _, lower_all};
use privnet_core::resource::{Address, Health, Live, Ownership, Resource};
use privnet_core::value::{OutputRef, Value};
use privnet_core::{Desired, KindTable, ServiceWorld, World, plan};

use crate::stage::{Fail, spec};

const HEAD: &str = "version: 1
deployment: bench
defaults:
  aws:
    account: '123456789012'
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
";

/// A file of so many services.
#[must_use]
pub fn file(services: usize) -> String {
    let mut text = HEAD.to_owned();
    for index in 0..services {
        text.push_str(&format!(
            "  - name: s{index}
    allow: {{ fivetran: {{}} }}
    aws: {{ ports: [{{ listen: 5432, engine: postgres, to: {{ ips: [10.0.0.25] }} }}] }}
"
        ));
    }
    text
}

/// What is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// All of it, against an empty cloud.
    Fresh,
    /// All of it again, where it is there already.
    Again,
    /// That it all goes.
    Destroy,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fresh, Self::Again, Self::Destroy];

    /// The word for it on this program's line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Again => "again",
            Self::Destroy => "destroy",
        }
    }
}

/// Decodes and plans one case, as text with what this process used for it: the system tells a process its highest memory only, so that
/// each case needs one of its own.
///
/// # Errors
/// When the file does not decode, or the system does not say what this process used.
pub fn decode_and_plan(services: usize, case: Case) -> Result<String, Fail> {
    let text = file(services);
    let before = cpu_seconds()?;
    let spec = spec(&text)?;
    let (decoded, decoded_memory) = (cpu_seconds()? - before, peak_memory()?);
    let provider = privnet_aws::AwsProvider::new(privnet_aws::AwsSettings::default());
    let kinds = KindTable::new([provider.handles()]);
    let mut world = World::default();
    for service in &spec.services {
        world.services.insert(service.name.to_string(), ServiceWorld::default());
    }
    let providers: Vec<std::sync::Arc<dyn privnet_core::Provider>> = vec![std::sync::Arc::new(provider)];
    let mut desired = lower_all(&spec, &spec.services, &providers, &world);
    let (lowered, lowered_memory) = (cpu_seconds()? - before, peak_memory()?);
    if case != Case::Fresh {
        world.live = made(&desired, &world, &kinds).into();
    }
    // What is there is looked up for each service.
    let begun = cpu_seconds()?;
    if case == Case::Again {
        drop(desired);
        desired = lower_all(&spec, &spec.services, &providers, &world);
    }
    let against = cpu_seconds()? - begun;
    let options = PlanOptions { destroy: case == Case::Destroy, ..PlanOptions::default() };
    if options.destroy {
        desired.resources.clear();
    }
    let begun = cpu_seconds()?;
    let planned = plan(&desired, &world, &kinds, options);
    let (ended, memory) = (cpu_seconds()?, peak_memory()?);
    let (actions, alone) = (planned.actions.len(), ended - begun);
    let said = match case {
        Case::Fresh => format!(
            "    {actions} actions, {:.3} s of CPU, {} MB at the peak (decoded: {decoded:.3} s, {} MB; lowered: {lowered:.3} s, {} MB)\n",
            ended - before,
            memory / 1024,
            decoded_memory / 1024,
            lowered_memory / 1024
        ),
        Case::Again => format!(
            "    again, all of it being there: {actions} actions, {against:.3} s of CPU to lower, {alone:.3} s for the plan alone, {} MB at the \
             peak\n",
            memory / 1024
        ),
        Case::Destroy => format!(
            "    destroy, all of it being there: {actions} actions, {alone:.3} s of CPU for the plan alone, {} MB at the peak\n",
            memory / 1024
        ),
    };
    Ok(said)
}

/// What is there when all was made. It is planned by some services at a time, so that the highest memory is not that of making it.
fn made(desired: &Desired, world: &World, kinds: &KindTable) -> Vec<Live> {
    const AT_ONCE: usize = 100;
    let mut live = Vec::with_capacity(desired.resources.len());
    let names: Vec<&String> = desired.services.keys().collect();
    let mut resources: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
    for resource in &desired.resources {
        resources.entry(&resource.address.service).or_default().push(resource);
    }
    for names in names.chunks(AT_ONCE) {
        let of_one = |name: &str| resources.get(name).into_iter().flatten();
        let part = Desired {
            deployment: desired.deployment.clone(),
            services: names
                .iter()
                .filter_map(|name| Some(((*name).clone(), desired.services.get(*name)?.clone())))
                .collect(),
            resources: names.iter().flat_map(|name| of_one(name)).map(|one| (*one).clone()).collect(),
            ..Desired::default()
        };
        live.extend(carried_out(&plan(&part, world, kinds, PlanOptions::default())));
    }
    live
}

/// What is there after a plan of creations: every field as it was wanted, and an output for each that is referred to.
fn carried_out(plan: &Plan) -> Vec<Live> {
    let output = |reference: &OutputRef| Value::text(format!("{} {}", reference.address, reference.output));
    let mut outputs: BTreeMap<Address, BTreeMap<String, Value>> = BTreeMap::new();
    for change in plan.actions.iter().flat_map(|action| &action.changes) {
        change.to.each_output(&mut |reference| {
            let of = outputs.entry(reference.address.clone()).or_default();
            of.insert(reference.output.to_string(), output(reference));
        });
    }
    plan.actions
        .iter()
        .map(|action| Live {
            address: action.address.clone(),
            generation: action.generation,
            scope: action.scope.clone(),
            id: action.address.to_string(),
            ownership: Ownership::Ours,
            fields: action
                .changes
                .iter()
                .map(|change| {
                    (change.field.to_string(), change.to.resolved(&|reference| Some(output(reference))))
                })
                .collect(),
            outputs: outputs.remove(&action.address).unwrap_or_default(),
            health: Health::Ready,
        })
        .collect()
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Fail> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// The most memory that this process had, in KiB.
fn peak_memory() -> Result<u64, Fail> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
