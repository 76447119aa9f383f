//! The compute provider's types: scale sets and single machines.

mod fleet;
mod flexible;
mod images;
mod instances;
mod machine;
mod scale_set;
mod system;
mod views;

pub(crate) use fleet::{prepare_removal, upgrade};
pub(crate) use flexible::{flexible_machine, flexible_resource, flexible_resources};
pub(crate) use images::catalogue;
pub(crate) use instances::{Member, instance_interfaces, instance_members};
pub(crate) use machine::{Machines, release_interfaces};
pub(crate) use scale_set::ScaleSets;
pub(crate) use system::DIGEST;
pub(crate) use views::{
    instance_view, machine_view, render_instance, render_instance_interface, render_instance_interfaces,
    set_view,
};
