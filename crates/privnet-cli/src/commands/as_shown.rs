//! What a person looked at is done as it was shown, or not at all.

use privnet::Planned;

use super::Shell;
use crate::failure::Failure;

/// An error where what was planned once more may not be carried out in the place of what was shown of the file `name`: it cannot be looked
/// at any more, or something else would be done.
pub(super) fn as_shown(shell: &Shell, name: &str, shown: &Planned, now: &Planned) -> Result<(), Failure> {
    if shown.unreachable.is_empty() && shell.unreachable(&now.unreachable) {
        let why = format!("{name}: it cannot be looked at any more: nothing was done");
        return Err(Failure::failed("unobserved", why));
    }
    if shown.plan.does_what(&now.plan) { Ok(()) } else { Err(changed(name)) }
}

/// Somebody came, went or was decided on while a person looked.
pub(super) fn changed(name: &str) -> Failure {
    Failure::refused(format!(
        "{name}: who is connected, or waits, has changed since this was shown, and something else would be done now: nothing was done"
    ))
    .hint("look at it again: run the same command once more")
}
