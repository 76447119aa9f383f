//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use serde_json::Value;

use crate::ground::{Ground, both};

/// What is changed in the file, and how the command is called.
#[derive(Clone, Copy)]
pub struct Edit {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    flags: &'static str,
    /// The service that is refused.
    service: &'static str,
    /// The rule that refuses it; absent: one of those that keep consumers connected.
    rule: Option<&'static str>,
}

impl Edit {
    /// The same, refused by this rule and no other.
    #[must_use]
    pub const fn by(self, rule: &'static str) -> Self {
        Self { rule: Some(rule), ..self }
    }

    /// Whether the refusals of a plan are those that are expected. A file that cannot be carried out anyhow would show nothing.
    fn is_refused_by(&self, rules: &[&str]) -> bool {
        let expected = |rule: &&str| match self.rule {
            Some(only) => *rule == only,
            None => matches!(*rule, "would-sever" | "hand-over" | "grow-only"),
        };
        !rules.is_empty() && rules.iter().all(expected)
    }
}

/// An edit: in the file the first `from` becomes `to`.
#[must_use]
pub const fn edit(what: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { what, from, to, flags: "", service: "orders", rule: None }
}

/// The service is taken out of the file, and what is left of it may be deleted.
pub const PRUNED: Edit = Edit {
    what: "a service taken out, with --prune",
    from: "  - name: orders\n",
    to: "  - name: renamed\n",
    flags: "--prune",
    service: "orders",
    rule: Some("would-sever"),
};

/// The service has another name: what has the old one would be left, and the vendor be given the new one.
pub const RENAMED: Edit = Edit {
    what: "another name",
    from: "  - name: orders\n",
    to: "  - name: renamed\n",
    flags: "",
    service: "renamed",
    rule: Some("hand-over"),
};

/// Tries each edit of a file whose service has a live connection.
///
/// # Panics
/// Where one is not refused, or the connection is gone after it.
pub fn each_is_refused(ground: &Ground, file: &str, edits: &[Edit]) {
    // Who still waits for a decision may be a reason to refuse of its own.
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    let mut failures = Vec::new();
    for edit in edits {
        let Edit { what, from, to, flags, service, .. } = edit;
        let edited = file.replacen(from, to, 1);
        assert_ne!(edited, file, "{what}");
        ground.edit(&edited);
        for line in
            [format!("--sandbox plan --detailed-exitcode {flags}"), format!("--sandbox apply --yes {flags}")]
        {
            let output = ground.run(&format!("{line} --output json"));
            let plan: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let refusals = plan["refusals"].as_array().cloned().unwrap_or_default();
            // Another service of the edited file may have reasons of its own.
            let of_it = refusals
                .iter()
                .filter(|one| one["address"].as_str().is_some_and(|a| a.split('/').next() == Some(*service)));
            let rules: Vec<&str> = of_it.filter_map(|refusal| refusal["rule"].as_str()).collect();
            if output.status.code() != Some(3) || !edit.is_refused_by(&rules) {
                failures.push(format!("{what}: {line} → {:?}\n{}", output.status.code(), both(&output)));
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
    are_carried_out_with_the_word(ground, file, std::slice::from_ref(edit));
}

/// The same for several edits, each on top of those before: none but the last takes the connection away.
///
/// # Panics
/// Where one fails, leaves something to do, or finds nobody connected.
pub fn are_carried_out_with_the_word(ground: &Ground, file: &str, edits: &[Edit]) {
    // Who still waits for a decision may be a reason to refuse of its own, which the word does not lift.
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    let mut file = file.to_owned();
    for Edit { what, from, to, flags, .. } in edits {
        assert!(ground.live().is_some(), "{what}: {:#}", ground.status());
        let edited = file.replacen(from, to, 1);
        assert_ne!(edited, file, "{what}");
        file = edited;
        ground.edit(&file);
        let applied = ground.run(&format!("--sandbox apply --yes --sever-connections {flags}"));
        assert_eq!(applied.status.code(), Some(0), "{what}: {}", both(&applied));
        let planned = ground.run("--sandbox plan --detailed-exitcode");
        assert_eq!(planned.status.code(), Some(0), "{what}: {}", both(&planned));
    }
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
