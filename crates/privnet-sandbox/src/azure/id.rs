//! ARM paths: resource ids, collections and actions on one grammar.
//!
//! Names and types match without case, and answers carry the canonical spelling
//! (Microsoft, "Resource Manager: resource names are case-insensitive").

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// A resource's id: `/subscriptions/S/resourceGroups/G/providers/NS/TYPE/NAME[/TYPE/NAME …]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct ResourceId {
    /// The subscription's GUID.
    pub(crate) subscription: String,
    /// The resource group's name.
    pub(crate) group: String,
    /// The resource provider's namespace, `Microsoft.Network` say.
    pub(crate) namespace: String,
    /// Type and name of the resource and, after it, of its child.
    pub(crate) pairs: Vec<(String, String)>,
}

impl ResourceId {
    /// Parses an id; `None` for anything that is not a whole resource's id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match ArmPath::parse(text)? {
            ArmPath {
                subscription: Some(subscription),
                group: Some(group),
                namespace: Some(namespace),
                pairs,
                tail: None,
            } if !pairs.is_empty() => Some(Self { subscription, group, namespace, pairs }),
            _ => None,
        }
    }

    /// The id of a top resource.
    pub(crate) fn top(subscription: &str, group: &str, kind: &str, name: &str) -> Self {
        let (namespace, segment) = kind.split_once('/').unwrap_or((kind, ""));
        Self {
            subscription: subscription.to_owned(),
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            pairs: vec![(segment.to_owned(), name.to_owned())],
        }
    }

    /// The id of a child.
    pub(crate) fn child(&self, segment: &str, name: &str) -> Self {
        let mut child = self.clone();
        child.pairs.push((segment.to_owned(), name.to_owned()));
        child
    }

    /// The top resource of a child, or itself.
    pub(crate) fn owner(&self) -> Self {
        let mut owner = self.clone();
        owner.pairs.truncate(1);
        owner
    }

    /// `Microsoft.Network/virtualNetworks/subnets`.
    pub(crate) fn kind(&self) -> String {
        let segments: Vec<&str> = self.pairs.iter().map(|(segment, _)| segment.as_str()).collect();
        format!("{}/{}", self.namespace, segments.join("/"))
    }

    /// Whether it is of that type, without case.
    pub(crate) fn is(&self, kind: &str) -> bool {
        let mut parts = kind.split('/');
        let namespace = parts.next().is_some_and(|part| part.eq_ignore_ascii_case(&self.namespace));
        let mut segments = self.pairs.iter().map(|(segment, _)| segment.as_str());
        namespace
            && parts.all(|part| segments.next().is_some_and(|own| own.eq_ignore_ascii_case(part)))
            && segments.next().is_none()
    }

    /// The last name.
    pub(crate) fn name(&self) -> &str {
        self.pairs.last().map_or("", |(_, name)| name)
    }

    /// The child's segment and name, for an id with exactly one child.
    pub(crate) fn child_part(&self) -> Option<(&str, &str)> {
        match self.pairs.as_slice() {
            [_, (segment, name)] => Some((segment, name)),
            _ => None,
        }
    }

    /// What it is found by: the id in lower case.
    pub(crate) fn key(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }

    /// What its group is found by.
    pub(crate) fn group_key(&self) -> String {
        group_key(&self.subscription, &self.group)
    }
}

/// What a resource group is found by.
pub(crate) fn group_key(subscription: &str, group: &str) -> String {
    format!("{subscription}/{group}").to_ascii_lowercase()
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/subscriptions/{}/resourceGroups/{}/providers/{}",
            self.subscription, self.group, self.namespace
        )?;
        self.pairs.iter().try_for_each(|(segment, name)| write!(f, "/{segment}/{name}"))
    }
}

impl From<ResourceId> for String {
    fn from(id: ResourceId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ResourceId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a resource id"))
    }
}

/// Any path of ARM's REST face, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ArmPath {
    /// The subscription.
    pub(crate) subscription: Option<String>,
    /// The resource group.
    pub(crate) group: Option<String>,
    /// The resource provider.
    pub(crate) namespace: Option<String>,
    /// Type and name pairs after the namespace.
    pub(crate) pairs: Vec<(String, String)>,
    /// The last segment when it has no name: a collection, or an action.
    pub(crate) tail: Option<String>,
}

impl ArmPath {
    /// Takes a path apart; `None` when it is none of ARM's.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let decoded: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let mut rest = decoded.into_iter().peekable();
        let mut parsed = Self::default();
        rest.next_if(|s| s.eq_ignore_ascii_case("subscriptions"))?;
        parsed.subscription = rest.next();
        if parsed.subscription.is_none() {
            return Some(parsed);
        }
        if rest.next_if(|s| s.eq_ignore_ascii_case("resourceGroups")).is_some() {
            parsed.group = rest.next();
            if parsed.group.is_none() {
                parsed.tail = Some("resourceGroups".to_owned());
                return Some(parsed);
            }
        }
        if rest.next_if(|s| s.eq_ignore_ascii_case("providers")).is_some() {
            parsed.namespace = rest.next();
            if parsed.namespace.is_none() {
                parsed.tail = Some("providers".to_owned());
                return Some(parsed);
            }
        }
        while let Some(segment) = rest.next() {
            match rest.next() {
                Some(name) => parsed.pairs.push((segment, name)),
                None => parsed.tail = Some(segment),
            }
        }
        Some(parsed)
    }

    /// The resource that the path names; of a collection or an action, the one that it hangs on.
    pub(crate) fn resource(&self) -> Option<ResourceId> {
        match self {
            Self {
                subscription: Some(subscription),
                group: Some(group),
                namespace: Some(namespace),
                pairs,
                ..
            } if !pairs.is_empty() => Some(ResourceId {
                subscription: subscription.clone(),
                group: group.clone(),
                namespace: namespace.clone(),
                pairs: pairs.clone(),
            }),
            _ => None,
        }
    }

    /// The type that a fault specification names: `Microsoft.Network/virtualNetworks/subnets`.
    pub(crate) fn kind(&self) -> String {
        let mut parts: Vec<&str> = Vec::new();
        match &self.namespace {
            Some(namespace) => parts.push(namespace),
            None if self.group.is_some() => parts.push("resourceGroups"),
            None => parts.push("subscriptions"),
        }
        parts.extend(self.pairs.iter().map(|(segment, _)| segment.as_str()));
        parts.extend(self.tail.as_deref());
        parts.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_without_case_and_printed_canonically() {
        let id = ResourceId::parse(
            "/Subscriptions/S1/resourcegroups/rg%2Ddata/Providers/Microsoft.Network/virtualNetworks/hub/subnets/lb",
        )
        .unwrap();
        assert_eq!(
            id.to_string(),
            "/subscriptions/S1/resourceGroups/rg-data/providers/Microsoft.Network/virtualNetworks/hub/subnets/lb"
        );
        assert!(id.is("microsoft.network/virtualnetworks/subnets"));
        assert!(
            !id.is("Microsoft.Network/virtualNetworks")
                && !id.is("Microsoft.Network/virtualNetworks/subnets/x")
        );
        assert!(!id.is("Microsoft.Compute/virtualNetworks/subnets"));
        assert_eq!(id.owner().name(), "hub");
        assert_eq!(id.child_part(), Some(("subnets", "lb")));
    }

    #[test]
    fn collections_and_actions_have_a_tail() {
        let path = ArmPath::parse("/subscriptions/s/providers/Microsoft.Network/loadBalancers").unwrap();
        assert_eq!(
            (path.tail.as_deref(), path.kind().as_str()),
            (Some("loadBalancers"), "Microsoft.Network/loadBalancers")
        );
        assert!(
            ResourceId::parse("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/loadBalancers")
                .is_none()
        );
        assert!(ResourceId::parse("nonsense").is_none());
        assert!(ArmPath::parse("/metadata/endpoints").is_none());
    }
}
