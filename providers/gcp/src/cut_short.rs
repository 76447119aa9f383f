//! What is said of connections whose attachment a decision that was cut short left reconciling.

use privnet_core::accept::{Again, Connection, ConnectionState, ServicePolicy};

use crate::collection::{At, Collection};
use crate::lists;

/// A decision was cut short that switched reconciling on: on which of them it was is not known any more.
pub(crate) fn note(connection: &mut Connection, attachment: &str) {
    if connection.state != ConnectionState::Rejected && !connection.state.may_be_live() {
        return;
    }
    connection.again = Again::Finish;
    let command = lists::reconciles_no_more(&At::of(Collection::ServiceAttachments, attachment));
    let why = format!(
        "a decision that was cut short left the attachment reconciling its connections: `{command}` sets that back"
    );
    add_note(connection, "; ", &why);
}

/// Which command sets back what a decision that was cut short left, besides Google's own: one that leaves this connection as the policy
/// has it. Only whom the policy lets in `accept-pending` decides on.
pub(crate) fn say_what_ends_it(connection: &mut Connection, policy: &ServicePolicy) {
    if connection.again != Again::Finish {
        return;
    }
    let id = &connection.id;
    let why = if connection.state == ConnectionState::Rejected {
        format!("so does `privnet reject --connection {id}`")
    } else if policy.consumer_of(connection).is_some() {
        format!("so does `privnet accept-pending --connection {id}`")
    } else {
        format!("so does `privnet reject --connection {id} --sever-connections`, which cuts this one")
    };
    add_note(connection, ", and ", &why);
}

fn add_note(connection: &mut Connection, joint: &str, words: &str) {
    let note = connection.note.take();
    connection.note = Some(note.map_or_else(|| words.to_owned(), |note| format!("{note}{joint}{words}")));
}
