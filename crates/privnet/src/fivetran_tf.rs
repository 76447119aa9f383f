//! The hand-over as Terraform text for Fivetran's own provider: one `fivetran_private_link` for each service. Terraform takes no name and
//! no variable twice, so that the services of several files are one text.
//!
//! The schema is the one that the provider documents (fivetran/terraform-provider-fivetran,
//! `docs/resources/private_link.md`, as of provider 1.9): `name`, `region`, `service` and the map `config_map` are required;
//! a name is at most 23 of `[A-Za-z0-9_]` and begins with a letter or underscore. The values of `service` and the keys of
//! the map are those of Fivetran's REST API (<https://fivetran.com/docs/rest-api/api-reference/private-links>; which keys each
//! service needs is in the provider's `open-api-spec.json`, under `source_aws_private_link_config_V1` and its siblings).
//!
//! Which values a cloud needs is the provider's business: it leaves them in the hand-over under [`FIELD`]. Here they
//! only become text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use privnet_core::handoff::Handoff;
use privnet_core::name::hash8;
use serde::Deserialize;

/// The field of a hand-over that holds `service`, `config_map` and, where they are known, `region`, `remarks` (why a value of the
/// map is what it is) and `asked` (keys of the map whose value the user must give, each with what it is).
pub const FIELD: &str = "fivetran_private_link";

/// The most characters of a private link's name.
const LONGEST: usize = 23;

/// What became of the hand-overs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The Terraform text; it parses also where nothing could be rendered.
    pub text: String,
    /// The services that are not in it, each with the reason.
    pub left_out: Vec<String>,
    /// What a person should know who has applied the text of one file before.
    pub remarks: Vec<String>,
}

/// Why a text is no name of a private link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no character at all.
    #[error("a private link's name is never empty")]
    Empty,
    /// It is longer than the vendor takes.
    #[error("a private link's name has at most {LONGEST} characters; this one has {0}")]
    TooLong(usize),
    /// It does not begin with a letter or underscore.
    #[error("a private link's name begins with a letter or an underscore, not with `{0}`")]
    Begins(char),
    /// It contains something else than letters, digits and underscores.
    #[error("a private link's name has only letters, digits and underscores, no `{0}`")]
    Contains(char),
}

/// A name that Fivetran takes for a private link; it is a Terraform identifier too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrivateLinkName(String);

impl PrivateLinkName {
    /// This text as a name.
    ///
    /// # Errors
    /// When it breaks the vendor's rule.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if let Some(other) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            return Err(NameError::Contains(other));
        }
        if first.is_ascii_digit() {
            return Err(NameError::Begins(first));
        }
        if text.len() > LONGEST {
            return Err(NameError::TooLong(text.len()));
        }
        Ok(Self(text))
    }

    /// The name of a service: its own name where the rule and `taken` allow it, else cut and told apart by a hash. The
    /// same service has the same name for ever, as long as no other takes it.
    ///
    /// # Errors
    /// When not even the cut name obeys the rule.
    pub fn of_service(service: &str, taken: &BTreeSet<Self>) -> Result<Self, NameError> {
        let mut plain = identifier(service);
        if plain.starts_with(|c: char| c.is_ascii_digit()) {
            plain.insert(0, '_');
        }
        if let Ok(name) = Self::new(plain.clone())
            && !taken.contains(&name)
        {
            return Ok(name);
        }
        Self::cut(plain, &hash8(&[service]))
    }

    /// The name of a service whose own name another deployment's has too: with its deployment before it, else cut and told apart by a
    /// hash of both.
    ///
    /// # Errors
    /// When not even the cut name obeys the rule.
    pub fn of_deployment(deployment: &str, service: &str, taken: &BTreeSet<Self>) -> Result<Self, NameError> {
        match Self::new(identifier(&format!("{deployment}_{service}"))) {
            Ok(name) if !taken.contains(&name) => Ok(name),
            _ => Self::cut(identifier(service), &hash8(&[deployment, service])),
        }
    }

    /// As much of a text as there is room for before a hash.
    fn cut(mut plain: String, hash: &str) -> Result<Self, NameError> {
        if plain.starts_with(|c: char| c.is_ascii_digit()) {
            plain.insert(0, '_');
        }
        plain.truncate(LONGEST - hash.len() - 1);
        Self::new(format!("{}_{hash}", plain.trim_end_matches('_')))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The vendor's arguments, as a provider leaves them in the hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Arguments {
    service: String,
    #[serde(default)]
    region: Option<String>,
    config_map: BTreeMap<String, String>,
    #[serde(default)]
    remarks: BTreeMap<String, String>,
    #[serde(default)]
    asked: BTreeMap<String, String>,
}

/// One resource, and the variables that it uses, each with what it is.
struct Block {
    text: String,
    variables: BTreeMap<String, String>,
    /// An example of the region that it leaves to the user, of its own cloud.
    region_like: Option<&'static str>,
}

/// The hand-overs of one file.
#[derive(Clone, Copy, Debug)]
pub struct OfFile<'a> {
    /// The file's deployment.
    pub deployment: &'a str,
    /// What the vendor needs of each of its services.
    pub handoffs: &'a [Handoff],
}

/// The hand-overs of all files as one Terraform file. Services whose vendor arguments are not known yet are left out, with the reason
/// in a comment and in [`Rendered::left_out`].
#[must_use]
pub fn render(files: &[OfFile<'_>]) -> Rendered {
    let mut text =
        String::from("# For Fivetran's Terraform provider (source \"fivetran/fivetran\", 1.9 or later).\n");
    let (mut left_out, mut remarks) = (Vec::new(), Vec::new());
    let mut variables = BTreeMap::new();
    let mut regions: BTreeSet<&str> = BTreeSet::new();
    for (link, name) in named(files) {
        let Link { deployment, handoff, alone } = link;
        // A file's own services need no word on whose they are.
        let shown =
            if files.len() == 1 { handoff.name.clone() } else { format!("{} of {deployment}", handoff.name) };
        let renamed = match (&alone, &name) {
            (Some(alone), Ok(name)) => Some(format!(
                "{shown} is `{}` here, since another deployment has a service of its name: from its own file it is `{}`. Fivetran's provider \
                 replaces a link whose name changes: where Terraform has it by that name, keep that",
                name.as_str(),
                alone.as_str()
            )),
            _ => None,
        };
        match name.map_err(|error| error.to_string()).and_then(|name| resource(handoff, &shown, &name)) {
            Ok(block) => {
                text.push('\n');
                if let Some(renamed) = &renamed {
                    let _ = writeln!(text, "# {}", comment(renamed));
                }
                text.push_str(&block.text);
                remarks.extend(renamed);
                variables.extend(block.variables);
                regions.extend(block.region_like);
            }
            Err(why) => {
                let _ = write!(text, "\n# {}: left out: {}\n", comment(&shown), comment(&why));
                left_out.push(format!("{shown}: {why}"));
            }
        }
    }
    if !regions.is_empty() {
        let examples = regions.into_iter().collect::<Vec<_>>().join(" or ");
        variables
            .insert(REGION.to_owned(), format!("Fivetran's data processing location, such as {examples}"));
    }
    for (name, what) in &variables {
        let _ = write!(
            text,
            "\nvariable {} {{\n  description = {}\n  type        = string\n}}\n",
            quoted(name),
            quoted(what)
        );
    }
    Rendered { text, left_out, remarks }
}

/// A service's hand-over, and its deployment.
#[derive(Clone)]
struct Link<'a> {
    deployment: &'a str,
    handoff: &'a Handoff,
    /// What it is called from its own file, where that is something else than beside the others.
    alone: Option<PrivateLinkName>,
}

/// Each service with its name. Where services of several deployments would have one, each of them is named with its deployment: whose file
/// comes first makes no difference, nor does which of them is ready, since another name is another private link for Fivetran.
fn named<'a>(files: &[OfFile<'a>]) -> Vec<(Link<'a>, Result<PrivateLinkName, NameError>)> {
    let mut named = Vec::new();
    for file in files {
        let mut taken = BTreeSet::new();
        for handoff in file.handoffs {
            let name = PrivateLinkName::of_service(&handoff.name, &taken);
            taken.extend(name.clone());
            named.push((Link { deployment: file.deployment, handoff, alone: None }, name));
        }
    }
    let mut asked: BTreeMap<PrivateLinkName, usize> = BTreeMap::new();
    for name in named.iter().filter_map(|(_, name)| name.as_ref().ok()) {
        *asked.entry(name.clone()).or_default() += 1;
    }
    let is_shared = |name: &PrivateLinkName| asked.get(name).is_some_and(|services| *services > 1);
    let mut taken: BTreeSet<PrivateLinkName> = asked.keys().cloned().collect();
    for (Link { deployment, handoff, alone }, name) in &mut named {
        if name.as_ref().is_ok_and(is_shared) {
            *alone = name.clone().ok();
            *name = PrivateLinkName::of_deployment(deployment, &handoff.name, &taken);
            taken.extend(name.clone());
        }
    }
    named
}

/// The variable of those links whose region is not known.
const REGION: &str = "fivetran_region";

/// What Fivetran's regions of a cloud look like.
fn region_like(cloud: &str) -> &'static str {
    match cloud {
        "azure" => "AZURE_EASTUS2",
        "gcp" => "GCP_US_EAST4",
        _ => "AWS_US_EAST_1",
    }
}

fn resource(handoff: &Handoff, shown: &str, name: &PrivateLinkName) -> Result<Block, String> {
    let Some(field) = handoff.fields.get(FIELD) else {
        return Err(match handoff.missing.as_slice() {
            [] => format!("nothing for Fivetran is known of this {} service", handoff.cloud),
            missing => missing.join("; "),
        });
    };
    let arguments: Arguments =
        serde_json::from_value(field.clone()).map_err(|error| format!("{FIELD}: {error}"))?;
    let mut variables = BTreeMap::new();
    let region = arguments.region.as_deref().map_or_else(|| format!("var.{REGION}"), quoted);
    let region_like = arguments.region.is_none().then(|| region_like(handoff.cloud));
    let mut text = format!("# {}\n", comment(shown));
    for note in &handoff.notes {
        let _ = writeln!(text, "# {}", comment(note));
    }
    let _ = writeln!(text, "resource \"fivetran_private_link\" {} {{", quoted(name.as_str()));
    let _ = writeln!(text, "  name    = {}", quoted(name.as_str()));
    let _ = writeln!(
        text,
        "  region  = {region} # where Fivetran processes the data: change it if yours is another"
    );
    let _ = writeln!(text, "  service = {}", quoted(&arguments.service));
    text.push_str("\n  config_map = {\n");
    let mut values: BTreeMap<&str, String> =
        arguments.config_map.iter().map(|(key, value)| (key.as_str(), quoted(value))).collect();
    for (key, what) in &arguments.asked {
        let variable = format!("{}_{}", name.as_str(), identifier(key));
        values.insert(key, format!("var.{variable}"));
        variables.insert(variable, what.clone());
    }
    let widest = values.keys().map(|key| key_text(key).chars().count()).max().unwrap_or(0);
    for (key, value) in &values {
        let _ = write!(text, "    {:widest$} = {value}", key_text(key));
        if let Some(remark) = arguments.remarks.get(*key) {
            let _ = write!(text, " # {}", comment(remark));
        }
        text.push('\n');
    }
    text.push_str("  }\n}\n");
    Ok(Block { text, variables, region_like })
}

/// A text as part of a Terraform identifier.
fn identifier(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// A map's key: bare where HCL takes it bare.
fn key_text(key: &str) -> String {
    let bare = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if bare { key.to_owned() } else { quoted(key) }
}

/// An HCL string of exactly this text: quotes, backslashes and control characters escaped, and the beginnings of
/// templates (`${`, `%{`) doubled (<https://developer.hashicorp.com/terraform/language/expressions/strings>).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text that cannot leave its comment line.
fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn handoff(name: &str, field: Option<serde_json::Value>) -> Handoff {
        Handoff {
            name: name.to_owned(),
            cloud: "aws",
            fields: field.into_iter().map(|field| (FIELD.to_owned(), field)).collect(),
            missing: Vec::new(),
            notes: Vec::new(),
            is_unseen: false,
        }
    }

    /// The hand-overs of one file.
    fn render(handoffs: &[Handoff]) -> Rendered {
        super::render(&[OfFile { deployment: "data", handoffs }])
    }

    fn aws(service_name: &str) -> Option<serde_json::Value> {
        Some(json!({"service": "SOURCE_AWS", "region": "AWS_US_EAST_1",
                    "config_map": {"connection_service_name": service_name}}))
    }

    #[test]
    fn renders_what_the_provider_documents() {
        let rendered =
            render(&[handoff("orders-rds", aws("com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"))]);
        assert_eq!(rendered.left_out, Vec::<String>::new());
        assert_eq!(
            rendered.text,
            r#"# For Fivetran's Terraform provider (source "fivetran/fivetran", 1.9 or later).

# orders-rds
resource "fivetran_private_link" "orders_rds" {
  name    = "orders_rds"
  region  = "AWS_US_EAST_1" # where Fivetran processes the data: change it if yours is another
  service = "SOURCE_AWS"

  config_map = {
    connection_service_name = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
  }
}
"#
        );
    }

    #[test]
    fn an_unknown_region_is_asked_for_once() {
        let field = || Some(json!({"service": "SOURCE_AWS", "config_map": {"connection_service_name": "x"}}));
        let rendered = render(&[handoff("a", field()), handoff("b", field())]);
        assert_eq!(rendered.text.matches("region  = var.fivetran_region").count(), 2);
        assert_eq!(rendered.text.matches("variable \"fivetran_region\"").count(), 1);
        assert!(rendered.text.contains("such as AWS_US_EAST_1\""), "{}", rendered.text);
        let azure = Handoff { cloud: "azure", ..handoff("c", field()) };
        let text = render(std::slice::from_ref(&azure)).text;
        assert!(text.contains("such as AZURE_EASTUS2\"") && !text.contains("AWS_US"), "{text}");
        let text = render(&[handoff("a", field()), azure]).text;
        assert!(text.contains("such as AWS_US_EAST_1 or AZURE_EASTUS2\""), "{text}");
    }

    #[test]
    fn what_only_the_user_knows_is_a_variable_of_its_own() {
        let field = || {
            Some(json!({"service": "SOURCE_AZURE", "region": "AZURE_EASTUS2",
                "config_map": {"connection_service_id": "/s/privateLinkServices/x"},
                "remarks": {"sub_resource_name": "ask\nthem"},
                "asked": {"sub_resource_name": "which \"one\""}}))
        };
        let rendered = render(&[handoff("a", field()), handoff("b", field())]).text;
        assert!(
            rendered.contains("    sub_resource_name     = var.a_sub_resource_name # ask them\n"),
            "{rendered}"
        );
        for name in ["a", "b"] {
            let variable = format!(
                "\nvariable \"{name}_sub_resource_name\" {{\n  description = \"which \\\"one\\\"\"\n"
            );
            assert_eq!(rendered.matches(&variable).count(), 1, "{rendered}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_in_one_comment_line() {
        let mut unknown = handoff("later", None);
        unknown.missing = vec!["service_name: not there\nyet".to_owned()];
        let rendered = render(&[unknown]);
        assert_eq!(rendered.left_out, ["later: service_name: not there\nyet"]);
        assert!(
            rendered.text.lines().all(|line| line.is_empty() || line.starts_with('#')),
            "{}",
            rendered.text
        );
    }

    #[test]
    fn escapes_quotes_controls_and_templates() {
        assert_eq!(quoted("a\"b\\c\n${d}%{e}$f\u{1}"), r#""a\"b\\c\n$${d}%%{e}$f\u0001""#);
        let rendered = render(&[handoff("x", aws("\"\n}\nresource \"evil\" \"x\" {"))]);
        assert_eq!(
            rendered.text.lines().filter(|line| line.starts_with("resource ")).count(),
            1,
            "{}",
            rendered.text
        );
    }

    #[test]
    fn notes_stay_comments() {
        let mut noted = handoff("x", aws("s"));
        noted.notes = vec!["one\nresource \"evil\" \"x\" {}".to_owned()];
        let text = render(&[noted]).text;
        assert_eq!(text.lines().filter(|line| line.starts_with("resource ")).count(), 1, "{text}");
    }

    #[test]
    fn checks_the_vendors_rule() {
        assert_eq!(PrivateLinkName::new(""), Err(NameError::Empty));
        assert_eq!(PrivateLinkName::new("a".repeat(24)), Err(NameError::TooLong(24)));
        assert_eq!(PrivateLinkName::new("1a"), Err(NameError::Begins('1')));
        assert_eq!(PrivateLinkName::new("a-b"), Err(NameError::Contains('-')));
        assert_eq!(PrivateLinkName::new("ä"), Err(NameError::Contains('ä')));
        assert!(PrivateLinkName::new("_".to_owned() + &"a".repeat(22)).is_ok());
    }

    #[test]
    fn names_are_told_apart() {
        let mut taken = BTreeSet::new();
        let services = [
            "orders-rds",
            "orders_rds",
            "1st",
            "a-very-long-service-name-one",
            "a-very-long-service-name-two",
            "ä",
        ];
        for service in services {
            let name = PrivateLinkName::of_service(service, &taken).unwrap();
            assert!(name.as_str().len() <= LONGEST);
            assert!(taken.insert(name), "{service}");
        }
        assert!(taken.contains(&PrivateLinkName("orders_rds".to_owned())));
        assert!(taken.contains(&PrivateLinkName("_1st".to_owned())));
    }

    /// Terraform refuses a variable, or a resource's name, that is there twice.
    #[test]
    fn several_files_are_one_text() {
        let field = || Some(json!({"service": "SOURCE_AZURE", "config_map": {"connection_service_id": "x"}}));
        let one = [handoff("ev", field()), handoff("orders", field())];
        let two = [handoff("ev", field()), handoff("later", None)];
        let three = [handoff("ev", field()), handoff("one-ev", field()), handoff("later", field())];
        let files = [
            OfFile { deployment: "one", handoffs: &one },
            OfFile { deployment: "data-platform-of-europe", handoffs: &two },
            OfFile { deployment: "three", handoffs: &three },
        ];
        let resources = |files: &[OfFile<'_>]| -> BTreeSet<String> {
            let text = super::render(files).text;
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("resource ")).collect();
            let names: BTreeSet<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(names.len(), lines.len(), "{text}");
            assert_eq!(text.matches("variable \"fivetran_region\"").count(), 1, "{text}");
            names
        };
        let names = resources(&files);
        let resource = |name: &str| format!("resource \"fivetran_private_link\" \"{name}\" {{");
        let hashed = |deployment: &str| format!("ev_{}", hash8(&[deployment, "ev"]));
        // `one_ev` is another service's own name; what is not ready yet has its name already.
        let (first, second) = (hashed("one"), hashed("data-platform-of-europe"));
        let expected = [&first, &second, "three_ev", "one_ev", "orders", "three_later"];
        assert_eq!(names, expected.into_iter().map(resource).collect::<BTreeSet<_>>());
        let mut turned = files;
        turned.reverse();
        assert_eq!(resources(&turned), names, "whatever the order of the files");
        let Rendered { text, left_out, remarks } = super::render(&files);
        // Who applied one file's text before has the link by that name: another one would replace it.
        assert!(
            remarks.len() == 4 && remarks.iter().all(|one| text.contains(&format!("# {one}"))),
            "{remarks:?}"
        );
        assert!(
            remarks[0].contains("ev of one is `ev_") && remarks[0].contains("from its own file it is `ev`")
        );
        assert!(left_out.len() == 1 && left_out[0].starts_with("later of data-platform-of-europe: "));
        let Rendered { text: alone, remarks, .. } = super::render(&files[..1]);
        assert!(
            remarks.is_empty() && alone.contains(&resource("ev")) && !alone.contains(" of one"),
            "{alone}"
        );
    }
}
