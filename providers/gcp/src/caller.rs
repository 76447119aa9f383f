//! Who calls, for the audit log, as Google's own documents tell it. Not to learn it fails nothing.
//!
//! Service accounts have their address in the key or at the metadata server, which the official library reads
//! (<https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys>). Whose a user's token is, only the authority that gave it
//! knows: `tokeninfo` beside its token endpoint
//! (<https://cloud.google.com/sdk/gcloud/reference/auth/application-default/print-access-token>). A federated identity is known by its
//! pool, or by the account that it goes on as (<https://google.aip.dev/auth/4117>).

use std::path::PathBuf;
use std::time::Duration;

use google_cloud_auth::credentials::{self, CacheableResource, Credentials};

use crate::json::{Json, text};

/// Longer is not waited for a name.
const LONGEST: Duration = Duration::from_secs(10);
/// Google's token endpoint, where the file names none (<https://google.aip.dev/auth/4113>).
const TOKENS: &str = "https://oauth2.googleapis.com/token";

/// The application default credentials, as far as they tell who they are (<https://google.aip.dev/auth/4110>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A service account: its key, or the machine's.
    Account,
    /// A user, whose tokens this endpoint gives.
    User { tokens: String },
    /// What the file itself says.
    Named(String),
    /// Nobody: a local cloud.
    Nobody,
}

impl Who {
    /// Reads the file of the application default credentials, if there is one. Nothing secret is kept.
    pub(crate) fn of_environment() -> Self {
        let named = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
        let path = named.or_else(|| {
            let (root, below) = if cfg!(windows) { ("APPDATA", "") } else { ("HOME", ".config") };
            let root = PathBuf::from(std::env::var_os(root)?).join(below);
            Some(root.join("gcloud/application_default_credentials.json"))
        });
        let file = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        Self::of_file(&serde_json::from_str(&file).unwrap_or(Json::Null))
    }

    fn of_file(file: &Json) -> Self {
        match text(file, "type") {
            Some("authorized_user") => {
                Self::User { tokens: text(file, "token_uri").unwrap_or(TOKENS).to_owned() }
            }
            Some("external_account") => {
                let account = text(file, "service_account_impersonation_url")
                    .and_then(|url| url.rsplit('/').next()?.split(':').next().map(str::to_owned));
                let pool = text(file, "audience").map(|audience| format!("an identity of {audience}"));
                Self::Named(account.or(pool).unwrap_or_else(|| "a federated identity".to_owned()))
            }
            _ => Self::Account,
        }
    }

    /// Whether a token is to be asked for without scopes: a refresh token gives what the login was granted, the address among it, and
    /// one that was granted less would be refused.
    pub(crate) fn has_its_own_scopes(&self) -> bool {
        matches!(self, Self::User { .. })
    }

    /// The caller's name.
    pub(crate) async fn name(&self, client: &reqwest::Client, credentials: &Credentials) -> Option<String> {
        let asked = async {
            match self {
                Self::Nobody => Some("anonymous".to_owned()),
                Self::Named(name) => Some(name.clone()),
                Self::Account => {
                    credentials::Builder::default().build_signer().ok()?.client_email().await.ok()
                }
                Self::User { tokens } => user(client, credentials, tokens).await,
            }
        };
        let found = tokio::time::timeout(LONGEST, asked).await.ok().flatten();
        found.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

/// Asks the authority that gave the token whose it is. The token goes in the body: a URL would be in logs.
async fn user(client: &reqwest::Client, credentials: &Credentials, tokens: &str) -> Option<String> {
    let (authority, _) = tokens.rsplit_once('/')?;
    let headers = match credentials.headers(http::Extensions::new()).await.ok()? {
        CacheableResource::New { data, .. } => data,
        CacheableResource::NotModified => return None,
    };
    let token = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    // Tokens are of letters, digits and `-._~+/`, of which `+` alone means something else in a form.
    let body = format!("access_token={}", token.replace('+', "%2B"));
    let request = client.post(format!("{authority}/tokeninfo")).body(body);
    let request = request.header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = request.send().await.ok()?;
    let answer: Json = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    ["email", "sub"].iter().find_map(|key| text(&answer, key)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_sort_of_credentials_says_who_it_is() {
        assert_eq!(Who::of_file(&Json::Null), Who::Account);
        assert_eq!(Who::of_file(&json!({ "type": "service_account", "private_key": "hush" })), Who::Account);
        let user = Who::of_file(&json!({ "type": "authorized_user", "refresh_token": "hush" }));
        assert_eq!(user, Who::User { tokens: TOKENS.to_owned() });
        let pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x";
        let mut federated = json!({ "type": "external_account", "audience": pool });
        assert_eq!(Who::of_file(&federated), Who::Named(format!("an identity of {pool}")));
        federated["service_account_impersonation_url"] = json!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken"
        );
        assert_eq!(Who::of_file(&federated), Who::Named("a@p.iam.gserviceaccount.com".to_owned()));
    }
}
