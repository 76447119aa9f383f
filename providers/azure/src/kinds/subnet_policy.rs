//! The network policy of a NAT subnet that exists, switched off where the file allows it (`disable_subnet_policies`).
//!
//! It is an alteration of something of the user's, so it is made once and never undone: other private link services may rest
//! on it.

use std::collections::BTreeSet;

use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Health, Kind, Origin, Replacement, Shape,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{applied, health, outputs};
use crate::act::Act;
use crate::arm::{Json, Target, Write, set};
use crate::fields;
use crate::lower::Lowering;

/// A switched-off policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubnetPolicy {
    /// The virtual network, by id in lower case.
    pub(crate) vnet: String,
    /// The subnet, by id in lower case.
    pub(crate) subnet: String,
}

/// Its table.
pub(crate) const KIND: Kind = Kind {
    name: "subnet-policy",
    title: "private link service policy of a subnet",
    fields: &[
        Field::observed("vnet"),
        Field::managed("subnet").on_change(Change::Replace).shaped(Shape::IgnoreCase),
    ],
    replacement: Replacement::DeleteFirst,
    teardown_rank: 1,
    severs: false,
    serialized_by: &["vnet"],
    telling: &[],
};

/// Its address.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, KIND.name, "main")
}

/// What a service wants: nothing where the policy is off already, and the subnet well.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(subnet) = lowering.policy_to_disable() else { return };
    let Some(scope) = lowering.place() else { return };
    let wanted = SubnetPolicy { vnet: fields::id(&scope.vnet.to_string()), subnet: fields::id(&subnet) };
    let origin = Origin::AddedTo {
        to: format!("the subnet {subnet}: its private link service policies are switched off"),
    };
    lowering.want(address(lowering.name()), origin, fields::of(&wanted), BTreeSet::new());
}

/// Switches it off.
pub(crate) async fn write(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: SubnetPolicy = fields::typed(KIND.name, act.step.fields)?;
    let build = |there: Option<&Json>| {
        let Some(there) = there else {
            return Err(act.error(ErrorKind::NotFound, "the subnet is not there any more"));
        };
        let mut body = there.clone();
        set(&mut body, "properties.privateLinkServiceNetworkPolicies", json!("Disabled"));
        // What failed after it showed is written once more.
        let is_broken = matches!(health(there), Health::Broken { .. });
        Ok(if *there == body && !is_broken { Write::Keep } else { Write::Put(body) })
    };
    act.arm.write(act.context, &Target::of(&wanted.subnet), &build).await?;
    Ok(applied(outputs([("id", wanted.subnet)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let policy = SubnetPolicy { vnet: "/v".to_owned(), subnet: "/v/subnets/s".to_owned() };
        assert_eq!(fields::typed::<SubnetPolicy>("k", &fields::of(&policy)).unwrap(), policy);
    }
}
