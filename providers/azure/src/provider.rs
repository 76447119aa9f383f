//! The provider: where the core's functions meet Azure.

use std::sync::OnceLock;

use async_trait::async_trait;
use privnet_core::execute::Context;
use privnet_core::handoff::Handoff;
use privnet_core::plan::Op;
use privnet_core::spec::{Service, Spec};
use privnet_core::{Applied, Error, ErrorKind, Handled, Lowered, ObserveRequest, Provider, Step, World};

use crate::arm::Arm;
use crate::settings::AzureSettings;
use crate::{handoff, kinds, lower, observe};

/// privnet on Azure.
#[derive(Debug)]
pub struct AzureProvider {
    settings: AzureSettings,
    arm: OnceLock<Arm>,
}

impl AzureProvider {
    /// A provider with these settings. Nothing is read or sent before the first observation.
    #[must_use]
    pub fn new(settings: AzureSettings) -> Self {
        Self { settings, arm: OnceLock::new() }
    }

    fn arm(&self) -> Result<&Arm, Error> {
        if let Some(arm) = self.arm.get() {
            return Ok(arm);
        }
        let made = Arm::new(&self.settings)?;
        Ok(self.arm.get_or_init(|| made))
    }
}

#[async_trait]
impl Provider for AzureProvider {
    fn handles(&self) -> Handled {
        Handled { cloud: "azure", kinds: kinds::ALL }
    }

    fn lower(&self, spec: &Spec, service: &Service, world: &World) -> Lowered {
        lower::service(spec, service, world)
    }

    async fn observe(&self, request: ObserveRequest<'_>, context: &Context) -> Result<World, Error> {
        observe::world(self.arm()?, request, context).await
    }

    async fn apply(&self, step: Step<'_>, context: &Context) -> Result<Applied, Error> {
        let arm = self.arm()?;
        match step.action.op {
            Op::Accept | Op::Reject => decide(arm, step, context).await,
            Op::Create | Op::Update | Op::Delete => kinds::apply(arm, step, context).await,
        }
    }

    fn handoff(&self, spec: &Spec, service: &Service, world: &World) -> Handoff {
        handoff::of(spec, service, world)
    }
}

async fn decide(arm: &Arm, step: Step<'_>, context: &Context) -> Result<Applied, Error> {
    let fault = |message: &str| {
        Error::new(ErrorKind::Other, step.action.op.as_str(), step.action.address.to_string(), message)
    };
    let connection = step.action.connection.as_ref().ok_or_else(|| fault("the plan names no connection"))?;
    let resource = step.action.live_id.as_deref().ok_or_else(|| fault("the service is not there"))?;
    let target = kinds::decision_target(&step.action.address.kind, resource, &connection.handle)
        .ok_or_else(|| fault("privnet does not know how its connections are decided on"))?;
    crate::connection::decide(arm, context, &target, connection, step.action.op).await
}
