//! The compute provider's types: scale sets are written and read, single machines are read only.

mod fleet;
mod flexible;
mod images;
mod instances;
mod scale_set;
mod views;

pub(crate) use fleet::{prepare_removal, upgrade};
pub(crate) use flexible::{flexible_machine, flexible_resource, flexible_resources};
pub(crate) use images::catalogue;
pub(crate) use instances::{Member, instance_interfaces, instance_members};
pub(crate) use scale_set::{DIGEST, ScaleSets};
pub(crate) use views::{
    instance_view, machine_view, render_instance, render_instance_interface, render_instance_interfaces,
    set_view,
};
