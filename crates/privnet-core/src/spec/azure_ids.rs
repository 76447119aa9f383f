//! Ids and names of Azure.

use std::fmt;

use super::text::{TextProblem, all, lower_alnum, structured_text, text_type};

text_type!(
    /// A subscription, in lower case.
    SubscriptionId,
    "an Azure subscription id",
    Some("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"),
    "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    |text| {
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        if lengths != [8, 4, 4, 4, 12] || !text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
            return Err(TextProblem::new(
                "must be a GUID such as `aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee`",
            ));
        }
        Ok(text.to_ascii_lowercase())
    }
);

text_type!(
    /// A resource group's name.
    ResourceGroupName,
    "a resource group",
    Some("^.{0,89}[^.]$"),
    "rg-data",
    |text| {
        let ok = |c: char| c.is_alphanumeric() || "_-.()".contains(c);
        if text.is_empty() || text.chars().count() > 90 || !text.chars().all(ok) || text.ends_with('.') {
            return Err(TextProblem::new(
                "must be at most 90 letters, digits or `_-.()`, and not end in a dot",
            ));
        }
        Ok(text.to_owned())
    }
);

text_type!(
    /// A location by its short name, such as `eastus2`.
    AzureLocationName,
    "an Azure location",
    Some("^[a-z0-9]+$"),
    "eastus2",
    |text| {
        if all(text, lower_alnum) && text.len() <= 64 {
            return Ok(text.to_owned());
        }
        let short: String =
            text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
        let problem = TextProblem::new("must be the short name of a location");
        if all(&short, lower_alnum) { Err(problem.hint(format!("write `{short}`"))) } else { Err(problem) }
    }
);

text_type!(
    /// A network resource's name: 1 to 80 of `[A-Za-z0-9._-]`.
    AzureName,
    "the name of an Azure resource",
    Some("^[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?$"),
    "hub",
    |text| {
        let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.is_empty() || text.len() > 80 || !text.chars().all(ok) {
            return Err(TextProblem::new("must be 1 to 80 letters, digits or `._-`"));
        }
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let ends = text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !begins || !ends {
            return Err(TextProblem::new(
                "must begin with a letter or digit and end with a letter, a digit or `_`",
            ));
        }
        Ok(text.to_owned())
    }
);

text_type!(
    /// An availability zone: `1`, `2` or `3`.
    AzureZone,
    "an Azure zone",
    Some("^[1-3]$"),
    "1",
    |text| match text {
        "1" | "2" | "3" => Ok(text.to_owned()),
        _ => Err(TextProblem::new("must be `1`, `2` or `3`")),
    }
);

text_type!(
    /// A machine size, such as `Standard_D2s_v5`.
    AzureSize,
    "a VM size",
    Some("^[A-Za-z][A-Za-z0-9_-]*$"),
    "Standard_D2s_v5",
    |text| {
        let ok = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !all(text, ok) || !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(TextProblem::new("does not look like `Standard_D2s_v5`"));
        }
        Ok(text.to_owned())
    }
);

text_type!(
    /// A subresource (group id) of an Azure-hosted service, such as `sqlServer`; matched without case.
    Subresource,
    "a subresource",
    Some("^[A-Za-z][A-Za-z0-9_-]*$"),
    "sqlServer",
    |text| {
        let ok = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !all(text, ok) || text.len() > 80 || !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(TextProblem::new("must be letters and digits, such as `sqlServer`"));
        }
        Ok(text.to_owned())
    }
);

/// A resource's id: subscription, resource group, provider, and pairs of type and name.
///
/// Ids are equal without regard to case; this type compares and sorts as written, so compare [`ArmId::key`]s.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArmId {
    subscription: SubscriptionId,
    resource_group: ResourceGroupName,
    provider: String,
    pairs: Vec<(String, String)>,
}

impl ArmId {
    /// Puts an id together from parts that were checked one by one.
    pub fn new(
        subscription: SubscriptionId,
        resource_group: ResourceGroupName,
        provider: &str,
        pairs: &[(&str, &str)],
    ) -> Self {
        let pairs = pairs.iter().map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned())).collect();
        Self { subscription, resource_group, provider: provider.to_owned(), pairs }
    }

    fn parse(text: &str) -> Result<Self, TextProblem> {
        let form =
            "must be of the form `/subscriptions/ID/resourceGroups/NAME/providers/NAMESPACE/TYPE/NAME`";
        let Some(rest) = text.strip_prefix('/') else {
            return Err(TextProblem::new(form));
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let [subscriptions, subscription, groups, group, providers, provider, pairs @ ..] = parts.as_slice()
        else {
            return Err(TextProblem::new(form));
        };
        let words = [(subscriptions, "subscriptions"), (groups, "resourceGroups"), (providers, "providers")];
        if words.iter().any(|(word, wanted)| !word.eq_ignore_ascii_case(wanted)) {
            return Err(TextProblem::new(form));
        }
        if pairs.is_empty() || pairs.len() % 2 != 0 || parts.iter().any(|part| part.is_empty()) {
            return Err(TextProblem::new("must end in pairs of type and name"));
        }
        if !provider.contains('.') || rest.contains(|c: char| c.is_whitespace() || "?#%&<>\\".contains(c)) {
            return Err(TextProblem::new("names no resource provider, or has a character that no id has"));
        }
        Ok(Self {
            subscription: <SubscriptionId as super::Text>::parse_text(subscription)?,
            resource_group: <ResourceGroupName as super::Text>::parse_text(group)?,
            provider: (*provider).to_owned(),
            pairs: pairs.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect(),
        })
    }

    /// The subscription.
    pub fn subscription(&self) -> &SubscriptionId {
        &self.subscription
    }

    /// The resource group.
    pub fn resource_group(&self) -> &ResourceGroupName {
        &self.resource_group
    }

    /// The resource provider's namespace, as written.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Pairs of type and name, from the outside in.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The full type, as written: `Microsoft.Network/virtualNetworks/subnets`.
    pub fn resource_type(&self) -> String {
        self.pairs.iter().fold(self.provider.clone(), |path, (kind, _)| format!("{path}/{kind}"))
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.pairs.last().map_or("", |(_, name)| name)
    }

    /// The id of a child of this resource.
    #[must_use]
    pub fn child(&self, kind: &str, name: &str) -> Self {
        let mut child = self.clone();
        child.pairs.push((kind.to_owned(), name.to_owned()));
        child
    }

    /// The id of the resource that this one is a child of, if it is one.
    pub fn parent(&self) -> Option<Self> {
        let (_, outer) = self.pairs.split_last()?;
        (!outer.is_empty()).then(|| Self { pairs: outer.to_vec(), ..self.clone() })
    }

    /// Whether the resource is of that type, without regard to case.
    pub fn is_a(&self, resource_type: &str) -> bool {
        self.resource_type().eq_ignore_ascii_case(resource_type)
    }

    /// The id in lower case, for comparing.
    pub fn key(&self) -> String {
        self.to_string().to_lowercase()
    }
}

impl fmt::Display for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscription, resource_group, provider, pairs } = self;
        write!(f, "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{provider}")?;
        pairs.iter().try_for_each(|(kind, name)| write!(f, "/{kind}/{name}"))
    }
}

structured_text!(
    ArmId,
    "an Azure resource id",
    Some("^/[Ss][Uu][Bb][Ss][Cc][Rr][Ii][Pp][Tt][Ii][Oo][Nn][Ss]/.+/.+$"),
    "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_id() {
        let text = "/subscriptions/AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/Rg/providers/Microsoft.Network/virtualNetworks/Hub";
        let hub: ArmId = text.parse().unwrap();
        assert_eq!(hub.name(), "Hub");
        assert_eq!(hub.parent(), None);
        let subnet = hub.child("subnets", "Lb");
        assert!(subnet.is_a("microsoft.network/VIRTUALNETWORKS/subnets"));
        assert_eq!(subnet.parent(), Some(hub.clone()));
        assert_eq!(subnet.key(), format!("{text}/subnets/lb").to_lowercase());
        let built = ArmId::new(
            hub.subscription().clone(),
            hub.resource_group().clone(),
            hub.provider(),
            &[("virtualNetworks", "Hub")],
        );
        assert_eq!(built, hub);
    }

    #[test]
    fn what_is_no_id() {
        let id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Sql/servers/s";
        for bad in [
            "",
            "/",
            "servers/s",
            &id[1..],
            &id[..id.len() - 2],
            &format!("{id}/"),
            &format!("{id}?a=b"),
            &id.replace("Microsoft.Sql", "Sql"),
        ] {
            assert!(bad.parse::<ArmId>().is_err(), "{bad}");
        }
    }
}
