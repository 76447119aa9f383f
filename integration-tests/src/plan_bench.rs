//! The benchmark's part without any cloud: what decoding and planning many services takes of the processor and of memory; against an
//! empty cloud, and against one in which everything is there already.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use privnet::{Plan, PlanOptions};
use privnet_core::provider::{Provider as _, lower_all};
use privnet_core::resource::{Address, Health, Live, Ownership};
use privnet_core::value::{OutputRef, Value};
use privnet_core::{KindTable, ServiceWorld, World, plan};

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

/// Decodes and plans against an empty cloud, then against the cloud that this plan makes: as text, with what this process used for it.
///
/// # Errors
/// When the file does not decode, or the system does not say what this process used.
pub fn decode_and_plan(services: usize) -> Result<String, Fail> {
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
    let planned = plan(&desired, &world, &kinds, PlanOptions::default());
    let cpu = cpu_seconds()? - before;
    let mut said = format!(
        "    {} actions, {cpu:.3} s of CPU, {} MB at the peak (decoded: {decoded:.3} s, {} MB; lowered: {lowered:.3} s, {} MB)\n",
        planned.actions.len(),
        peak_memory()? / 1024,
        decoded_memory / 1024,
        lowered_memory / 1024
    );
    world.live = carried_out(&planned);
    drop(planned);
    for what in ["planned again", "planned to destroy"] {
        let options = PlanOptions { destroy: what == "planned to destroy", ..PlanOptions::default() };
        if options.destroy {
            desired.resources.clear();
        }
        let before = cpu_seconds()?;
        let planned = plan(&desired, &world, &kinds, options);
        let (actions, cpu) = (planned.actions.len(), cpu_seconds()? - before);
        writeln!(
            said,
            "    {what}, all of it being there: {actions} actions, {cpu:.3} s of CPU for the plan alone"
        )?;
    }
    Ok(said)
}

/// What is there after a plan of creations: every field as it was wanted, and an output for each that is referred to.
fn carried_out(plan: &Plan) -> Vec<Live> {
    let output = |reference: &OutputRef| Value::text(format!("{} {}", reference.address, reference.output));
    let mut outputs: BTreeMap<Address, BTreeMap<String, Value>> = BTreeMap::new();
    for change in plan.actions.iter().flat_map(|action| &action.changes) {
        change.to.each_output(&mut |reference| {
            let of = outputs.entry(reference.address.clone()).or_default();
            of.insert(reference.output.clone(), output(reference));
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
