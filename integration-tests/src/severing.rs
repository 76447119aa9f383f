//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use crate::ground::{Ground, both};

/// What is changed in the file, and how the command is called.
pub struct Edit {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    flags: &'static str,
}

/// An edit: in the file the first `from` becomes `to`.
#[must_use]
pub const fn edit(what: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { what, from, to, flags: "" }
}

/// The service is taken out of the file, and what is left of it may be deleted.
pub const PRUNED: Edit = Edit {
    what: "a service taken out, with --prune",
    from: "  - name: orders\n",
    to: "  - name: renamed\n",
    flags: "--prune",
};

/// Tries each edit of a file whose service has a live connection.
///
/// # Panics
/// Where one is not refused, or the connection is gone after it.
pub fn each_is_refused(ground: &Ground, file: &str, edits: &[Edit]) {
    let mut failures = Vec::new();
    for Edit { what, from, to, flags } in edits {
        let edited = file.replacen(from, to, 1);
        assert_ne!(edited, file, "{what}");
        ground.edit(&edited);
        for line in
            [format!("--sandbox plan --detailed-exitcode {flags}"), format!("--sandbox apply --yes {flags}")]
        {
            let output = ground.run(&line);
            let said = both(&output);
            if output.status.code() != Some(3) || !said.contains("refused ") {
                failures.push(format!("{what}: {line} → {:?}\n{said}", output.status.code()));
            }
        }
        ground.edit(file);
        if ground.live().is_none() {
            failures.push(format!("{what}: the connection is gone"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Carries an edit of a file whose service has a live connection out, with the word.
///
/// # Panics
/// Where that fails, or leaves something to do.
pub fn is_carried_out_with_the_word(ground: &Ground, file: &str, edit: &Edit) {
    let Edit { what, from, to, flags } = edit;
    ground.edit(&file.replacen(from, to, 1));
    let applied = ground.run(&format!("--sandbox apply --yes --sever-connections {flags}"));
    assert_eq!(applied.status.code(), Some(0), "{what}: {}", both(&applied));
    let planned = ground.run("--sandbox plan --detailed-exitcode");
    assert_eq!(planned.status.code(), Some(0), "{what}: {}", both(&planned));
}

/// Tries the commands that cut, without the word and with it. `without` is the file with somebody else as the consumer.
///
/// # Panics
/// Where somebody is cut without the word, or not with it.
pub fn commands_need_the_word(ground: &Ground, without: &str) {
    let connection = ground.live();
    let connection = connection.as_deref().unwrap_or_default();
    ground.must("--sandbox destroy --yes", 3);
    ground.must(&format!("--sandbox reject --yes --connection {connection}"), 3);
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    assert!(ground.live().is_some(), "--reject-others takes pending ones only");

    ground.edit(without);
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    assert!(ground.live().is_some(), "who is no longer a consumer is not cut by the way");

    ground.must(&format!("--sandbox reject --yes --sever-connections --connection {connection}"), 0);
    ground.pass(30);
    assert!(ground.live().is_none(), "{:#}", ground.status());
    ground.must("--sandbox destroy --yes", 0);
}
