//! Endpoints of one's own: sovereign clouds, private API endpoints, local clouds. AWS has the SDK's own settings for that.

#[cfg(feature = "azure")]
use privnet_azure::{AzureSettings, Cloud, Endpoint};
#[cfg(feature = "gcp")]
use privnet_gcp::GcpSettings;

use crate::clouds::CloudsError;

/// The resource manager to use instead of Azure's.
#[cfg(feature = "azure")]
const AZURE_MANAGER: &str = "PRIVNET_AZURE_RESOURCE_MANAGER_URL";
/// Who gives the tokens; the variable of Azure's own libraries.
#[cfg(feature = "azure")]
const AZURE_AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
/// The Compute Engine API to use instead of Google's.
#[cfg(feature = "gcp")]
const GCP_COMPUTE: &str = "PRIVNET_GCP_COMPUTE_URL";
/// Says that static credentials will do on a loopback address.
const INSECURE: &str = "PRIVNET_INSECURE_LOOPBACK_CREDENTIALS";

/// What the environment says of Azure.
///
/// # Errors
/// A plain http endpoint that is not on loopback, or without the word that this is meant.
#[cfg(feature = "azure")]
pub(crate) fn azure(variable: &dyn Fn(&str) -> Option<String>) -> Result<AzureSettings, CloudsError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    for name in [AZURE_MANAGER, AZURE_AUTHORITY] {
        if set(name).is_some_and(|url| !is_place(&url)) {
            return Err(CloudsError::NoPlace { variable: name });
        }
    }
    let authority = set(AZURE_AUTHORITY);
    let Some(url) = set(AZURE_MANAGER) else {
        let cloud = authority.as_deref().map_or(Cloud::Public, cloud_of_authority);
        return Ok(AzureSettings { cloud, endpoint: None });
    };
    if is_plain(AZURE_MANAGER, &url, set(INSECURE).as_deref())? {
        let endpoint = Some(Endpoint { url, token: "loopback".to_owned() });
        return Ok(AzureSettings { cloud: Cloud::Public, endpoint });
    }
    let known = [Cloud::Public, Cloud::UsGovernment, Cloud::China]
        .into_iter()
        .find(|cloud| authority.is_none() && cloud.resource_manager() == url.trim_end_matches('/'));
    let cloud = known.unwrap_or_else(|| Cloud::Other {
        resource_manager: url,
        authority: authority.unwrap_or_else(|| "https://login.microsoftonline.com".to_owned()),
    });
    Ok(AzureSettings { cloud, endpoint: None })
}

/// Whether a text is the URL of a place, and of nobody there: what stands before an `@` would be shown in messages.
fn is_place(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']);
    rest.is_some_and(|rest| has_host(rest) && !rest.contains(|c: char| c == '@' || c.is_whitespace()))
}

/// What the environment says of Google Cloud.
///
/// # Errors
/// A plain http endpoint that is not on loopback, or without the word that this is meant.
#[cfg(feature = "gcp")]
pub(crate) fn gcp(variable: &dyn Fn(&str) -> Option<String>) -> Result<GcpSettings, CloudsError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let Some(url) = set(GCP_COMPUTE) else { return Ok(GcpSettings::default()) };
    if !is_place(&url) {
        return Err(CloudsError::NoPlace { variable: GCP_COMPUTE });
    }
    Ok(if is_plain(GCP_COMPUTE, &url, set(INSECURE).as_deref())? {
        GcpSettings::sandbox(url)
    } else {
        GcpSettings::other_api(url)
    })
}

/// Whether an endpoint is plain http; an error where that is not safe.
fn is_plain(variable: &'static str, url: &str, word: Option<&str>) -> Result<bool, CloudsError> {
    if url.starts_with("https://") {
        return Ok(false);
    }
    let safe = url.strip_prefix("http://").is_some_and(is_loopback) && word == Some("1");
    if safe { Ok(true) } else { Err(CloudsError::PlainHttp { variable, url: url.to_owned() }) }
}

/// The cloud whose tokens this authority gives
/// (<https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>).
#[cfg(feature = "azure")]
fn cloud_of_authority(authority: &str) -> Cloud {
    let host = authority.trim_start_matches("https://").trim_end_matches('/');
    match host {
        "login.microsoftonline.us" => Cloud::UsGovernment,
        "login.chinacloudapi.cn" | "login.partner.microsoftonline.cn" => Cloud::China,
        "login.microsoftonline.com" => Cloud::Public,
        // Tokens come from where the user says, or from nowhere.
        _ => Cloud::Other {
            resource_manager: Cloud::Public.resource_manager().to_owned(),
            authority: authority.to_owned(),
        },
    }
}

/// Whether the host of `host:port/path` is this machine by number or by its one name.
fn is_loopback(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands before an `@` is not the host: such a URL is never taken for loopback.
    if authority.contains('@') {
        return false;
    }
    if let Ok(address) = authority.parse::<std::net::SocketAddr>() {
        return address.ip().is_loopback();
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_what_looks_like_it() {
        for yes in ["127.0.0.1:8080/", "127.9.9.9", "[::1]:80/x", "localhost:1", "localhost"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in [
            "127.0.0.1.example.com",
            "example.com",
            "10.0.0.1:80",
            "localhost@example.com",
            "localhost.example.com:80",
            "",
        ] {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[cfg(feature = "azure")]
    #[test]
    fn azure_follows_the_environment() {
        let with = |pairs: &'static [(&str, &str)]| {
            azure(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(with(&[]).unwrap(), AzureSettings::default());
        assert_eq!(
            with(&[(AZURE_AUTHORITY, "https://login.microsoftonline.us/")]).unwrap().cloud,
            Cloud::UsGovernment
        );
        for (name, url) in
            [(AZURE_MANAGER, "https://user:hush@manage.example"), (AZURE_AUTHORITY, "login.example")]
        {
            let wrong = azure(&|asked| (asked == name).then(|| url.to_owned())).unwrap_err().to_string();
            assert!(wrong.starts_with(name) && !wrong.contains("hush"), "{wrong}");
        }
        let government = with(&[(AZURE_MANAGER, "https://management.usgovcloudapi.net/")]).unwrap();
        assert_eq!(government.cloud, Cloud::UsGovernment);
        let own = with(&[(AZURE_AUTHORITY, "https://login.example")]).unwrap().cloud;
        let authority = "https://login.example".to_owned();
        let resource_manager = Cloud::Public.resource_manager().to_owned();
        assert_eq!(
            own,
            Cloud::Other { resource_manager, authority },
            "never Microsoft's when told otherwise"
        );
        assert!(with(&[(AZURE_MANAGER, "http://127.0.0.1:1")]).is_err(), "not without the word");
        assert!(
            with(&[(AZURE_MANAGER, "http://10.0.0.1:1"), (INSECURE, "1")]).is_err(),
            "not to another machine"
        );
        assert!(with(&[(AZURE_MANAGER, "http://127.0.0.1:1"), (INSECURE, "1")]).unwrap().endpoint.is_some());
        let other = with(&[(AZURE_MANAGER, "https://manage.example"), (INSECURE, "1")]).unwrap();
        assert_eq!((other.cloud.resource_manager(), other.endpoint), ("https://manage.example", None));
    }
    #[cfg(feature = "gcp")]
    #[test]
    fn gcp_follows_the_environment() {
        let with = |pairs: &'static [(&str, &str)]| {
            gcp(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(with(&[]).unwrap(), GcpSettings::default());
        let local = with(&[(GCP_COMPUTE, "http://127.0.0.1:1"), (INSECURE, "1")]).unwrap();
        assert_eq!(local, GcpSettings::sandbox("http://127.0.0.1:1"));
        for refused in [
            &[(GCP_COMPUTE, "http://127.0.0.1:1")][..],
            &[(GCP_COMPUTE, "http://10.0.0.1:1"), (INSECURE, "1")],
            &[(GCP_COMPUTE, "http://localhost@example.com"), (INSECURE, "1")],
            &[(GCP_COMPUTE, "compute.example"), (INSECURE, "1")],
        ] {
            assert!(with(refused).is_err(), "{refused:?}");
        }
        for no_url in ["nonsense", "compute.example", "ftp://compute.example", "https://", "https:///x"] {
            let wrong = gcp(&|asked| (asked == GCP_COMPUTE).then(|| no_url.to_owned())).unwrap_err();
            assert_eq!(wrong, CloudsError::NoPlace { variable: GCP_COMPUTE }, "{no_url}");
            assert!(wrong.hint().is_some_and(|hint| hint.contains(GCP_COMPUTE)), "{no_url}");
        }
        let hushed = with(&[(GCP_COMPUTE, "https://user:hush@compute.example")]).unwrap_err().to_string();
        assert!(hushed.starts_with(GCP_COMPUTE) && !hushed.contains("hush"), "{hushed}");
        let other = with(&[(GCP_COMPUTE, "https://compute.example"), (INSECURE, "1")]).unwrap();
        assert_eq!(other, GcpSettings::other_api("https://compute.example"));
    }
}
