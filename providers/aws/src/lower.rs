//! From the file to desired resources, in view of the facts. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::plan::{Refusal, Rule, Wait};
use privnet_core::spec::aws::{AwsForm, AwsService};
use privnet_core::spec::{CloudService, Service, Spec};
use privnet_core::{Address, Lowered, Origin, Resource, Scope, ServiceIntent, Value, World};

use crate::cuts;
use crate::exposure::namesakes;
use crate::facts::ServiceFacts;
use crate::kinds;
use crate::ownership;
use crate::policy;

/// One service on its way down, and all that is known of it.
pub(crate) struct Lowering<'a> {
    /// The file.
    pub(crate) spec: &'a Spec,
    /// The service.
    pub(crate) service: &'a Service,
    /// Its AWS block.
    pub(crate) aws: &'a AwsService,
    /// What was observed.
    pub(crate) world: &'a World,
    /// What was observed for this service; a default where it could not be.
    pub(crate) facts: ServiceFacts,
    /// Where it is.
    pub(crate) scope: Scope,
}

impl Lowering<'_> {
    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        self.service.name.as_str()
    }

    /// The address of one of the service's resources.
    pub(crate) fn address(&self, kind: &'static str, name: impl Into<String>) -> Address {
        Address::new(self.name(), kind, name)
    }

    /// A resource of the service.
    pub(crate) fn resource(
        &self,
        address: Address,
        origin: Origin,
        fields: BTreeMap<String, Value>,
        needs: BTreeSet<Address>,
    ) -> Resource {
        Resource { address, scope: self.scope.clone(), origin, fields, needs }
    }

    /// The file's tags, as a field.
    pub(crate) fn tags(&self) -> Value {
        Value::text_map(&self.spec.tags)
    }

    /// A refusal of the whole service; `why` says what to do.
    pub(crate) fn refusal(&self, address: &Address, rule: Rule, why: impl Into<String>) -> Refusal {
        Refusal { address: address.clone(), rule, why: why.into(), flag: None }
    }

    /// Something that somebody must do.
    pub(crate) fn wait(&self, on: &str, why: impl Into<String>) -> Wait {
        Wait { on: on.to_owned(), why: why.into(), service: self.name().to_owned() }
    }
}

/// What a service lowers to.
pub(crate) fn lower(spec: &Spec, service: &Service, world: &World) -> Lowered {
    let facts = ServiceFacts::of(world, service.name.as_str());
    let CloudService::Aws(aws) = &service.cloud else {
        return nothing(spec, service, Scope("aws//".to_owned()));
    };
    let account = aws.location.account.as_ref().map_or("unknown", |account| account.as_str());
    let scope =
        facts.scope.clone().map_or_else(|| Scope(format!("aws/{account}/{}", aws.location.region)), Scope);
    let mut lowered = nothing(spec, service, scope.clone());
    if lowered.intent.remove {
        return lowered;
    }
    let lowering = Lowering { spec, service, aws, world, facts, scope };
    if let Some(why) = ownership::unsuitable(&spec.tags) {
        let refusal = lowering.refusal(&lowered.intent.exposed, Rule::Unsuitable, why);
        lowered.refusals.push(refusal);
    }
    if lowering.aws.location.account.is_none() {
        let why = format!(
            "{}: no `account:` is given, so privnet works in whatever account the credentials belong to",
            lowering.name()
        );
        lowered.warnings.push(why);
    }
    kinds::lower(&lowering, &mut lowered);
    cuts::warn(&lowering, &mut lowered);
    namesakes::lower(&lowering, &mut lowered);
    lowered
}

/// The intent alone.
fn nothing(spec: &Spec, service: &Service, scope: Scope) -> Lowered {
    let removed = matches!(&service.cloud, CloudService::Aws(AwsService { form: AwsForm::Removed, .. }));
    let intent = ServiceIntent {
        name: service.name.to_string(),
        cloud: crate::CLOUD,
        scope,
        remove: service.remove || removed,
        policy: policy::of(spec, service),
        exposed: Address::new(service.name.as_str(), kinds::ENDPOINT_SERVICE, "main"),
        listens: service.cloud.listens(),
    };
    Lowered { intent, resources: Vec::new(), waits: Vec::new(), refusals: Vec::new(), warnings: Vec::new() }
}
