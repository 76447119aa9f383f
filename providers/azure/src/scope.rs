//! Scopes: `azure/<subscription>/<resource group>`, in lower case, since ids match without it.

use privnet_core::Scope;

/// The scope of a resource group.
pub(crate) fn of(subscription: &str, group: &str) -> Scope {
    Scope(format!("azure/{}/{}", subscription.to_lowercase(), group.to_lowercase()))
}

/// The path of the resource group that a scope is.
pub(crate) fn path(scope: &Scope) -> String {
    let mut parts = scope.0.splitn(3, '/').skip(1);
    let (subscription, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("/subscriptions/{subscription}/resourceGroups/{group}")
}

/// The subscription of a scope.
pub(crate) fn subscription(scope: &Scope) -> String {
    scope.0.split('/').nth(1).unwrap_or_default().to_owned()
}

/// The scope of a resource id.
pub(crate) fn of_id(id: &str) -> Scope {
    let mut parts = id.trim_start_matches('/').split('/');
    let (subscription, group) = (parts.nth(1).unwrap_or_default(), parts.nth(1).unwrap_or_default());
    of(subscription, group)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_scope_is_a_path_in_other_words() {
        let scope = super::of_id("/subscriptions/S/resourceGroups/RG/providers/x/y/z");
        assert_eq!(scope, super::of("s", "rg"));
        assert_eq!(super::path(&scope), "/subscriptions/s/resourceGroups/rg");
    }
}
