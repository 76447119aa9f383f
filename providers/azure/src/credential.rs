//! Who the caller is: the places where Azure's own tools look for credentials, in their order.

mod caller;

use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_core::time::OffsetDateTime;
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use tokio::sync::Mutex;

pub(crate) use self::caller::who;
use crate::settings::Cloud;

/// How long a source may take to say that it has nothing. Outside Azure nobody answers at the metadata address.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long before its end a token is asked for anew: not later than the pipeline that carries it does.
const EARLY: azure_core::time::Duration = azure_core::time::Duration::minutes(10);
/// How long it is believed that no source has anything: a plan's requests ask one after the other, and each would wait again.
const BELIEVED: Duration = Duration::from_secs(30);

/// A token that is given and never changes: for a local endpoint.
#[derive(Debug)]
pub(crate) struct GivenToken(Secret);

impl GivenToken {
    /// A credential of this token.
    pub(crate) fn credential(token: &str) -> Arc<dyn TokenCredential> {
        Arc::new(Self(Secret::new(token.to_owned())))
    }
}

#[async_trait::async_trait]
impl TokenCredential for GivenToken {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires = OffsetDateTime::now_utc() + azure_core::time::Duration::hours(24);
        Ok(AccessToken::new(self.0.clone(), expires))
    }
}

/// Where a token may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Environment,
    WorkloadIdentity,
    ManagedIdentity,
    AzureCli,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::WorkloadIdentity => "workload identity",
            Self::ManagedIdentity => "managed identity",
            Self::AzureCli => "Azure CLI",
        }
    }

    /// The variable by which somebody says that it is to be this one. A managed identity is asked wherever there may be one, and of the
    /// CLI's login nothing but the CLI knows.
    fn named_by(self) -> Option<&'static str> {
        match self {
            Self::Environment => Some("AZURE_CLIENT_SECRET"),
            Self::WorkloadIdentity => Some("AZURE_FEDERATED_TOKEN_FILE"),
            Self::ManagedIdentity | Self::AzureCli => None,
        }
    }

    /// What to do where it had tokens, and gives none any more.
    fn mend(self) -> &'static str {
        match self {
            Self::Environment => {
                "see whether the secret in AZURE_CLIENT_SECRET has expired, and whether its service principal is there"
            }
            Self::WorkloadIdentity => {
                "see whether the token in the file of AZURE_FEDERATED_TOKEN_FILE is renewed, and whether the application trusts its issuer"
            }
            Self::ManagedIdentity => "see whether the machine still has this identity",
            Self::AzureCli => "log in again with `az login`",
        }
    }
}

/// What came of asking one source after the other: which is asked next is decided here, and asking is done elsewhere.
#[derive(Debug, Default)]
struct Asking {
    tried: Vec<String>,
}

impl Asking {
    /// A source has no token. Where variables name it, that is the end: nobody else's login is taken in the place of who was to be.
    fn failed(&mut self, source: Source, why: &str) -> Result<(), String> {
        let why = format!("{}: {}", source.name(), first_line(why));
        match source.named_by() {
            Some(variable) => Err(format!("{why}; {variable} {MEND}")),
            None => {
                self.tried.push(why);
                Ok(())
            }
        }
    }

    /// None is left.
    fn end(self) -> String {
        self.tried.join("; ")
    }
}

/// The first source that has a token: environment (client secret), workload identity, managed identity, Azure CLI.
///
/// The order is that of Azure's default chain
/// (<https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains>).
#[derive(Debug)]
pub(crate) struct Chain {
    cloud: Cloud,
    found: Mutex<Found>,
}

/// What came of asking the sources.
#[derive(Debug)]
enum Found {
    /// They have not been asked.
    Unasked,
    /// This one has tokens; the last one is kept, for the Azure CLI starts a process for each.
    Source(Source, Arc<dyn TokenCredential>, Kept),
    /// None had one then, for these reasons.
    None { since: Instant, why: String },
}

/// A token and what it was asked for.
#[derive(Debug)]
struct Kept {
    scopes: Vec<String>,
    token: AccessToken,
}

impl Kept {
    fn new(scopes: &[&str], token: AccessToken) -> Self {
        Self { scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(), token }
    }

    fn is_good_for(&self, scopes: &[&str], now: OffsetDateTime) -> bool {
        self.scopes == scopes && self.token.expires_on - EARLY > now
    }
}

impl Chain {
    /// The chain for this cloud.
    pub(crate) fn credential(cloud: Cloud) -> Arc<dyn TokenCredential> {
        Arc::new(Self { cloud, found: Mutex::new(Found::Unasked) })
    }

    fn options(&self) -> ClientOptions {
        // The library's own eight retries would keep a user waiting for a minute before an authority that is not there.
        let retry = ExponentialRetryOptions {
            max_retries: 3,
            max_total_elapsed: azure_core::time::Duration::seconds(10),
            ..ExponentialRetryOptions::default()
        };
        ClientOptions {
            cloud: Some(Arc::new(self.cloud.configuration())),
            retry: RetryOptions::exponential(retry),
            ..ClientOptions::default()
        }
    }

    /// Each source that could have something.
    fn sources(&self) -> Vec<(Source, azure_core::Result<Arc<dyn TokenCredential>>)> {
        let mut sources: Vec<(Source, azure_core::Result<Arc<dyn TokenCredential>>)> = Vec::new();
        let client = variable("AZURE_CLIENT_ID");
        if let (Some(tenant), Some(client), Some(secret)) =
            (variable("AZURE_TENANT_ID"), client.clone(), variable("AZURE_CLIENT_SECRET"))
        {
            let options = ClientSecretCredentialOptions { client_options: self.options() };
            let made = ClientSecretCredential::new(&tenant, client, Secret::new(secret), Some(options));
            sources.push((Source::Environment, made.map(|made| made as Arc<dyn TokenCredential>)));
        }
        if variable("AZURE_FEDERATED_TOKEN_FILE").is_some() {
            let options = WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options: self.options() },
                ..WorkloadIdentityCredentialOptions::default()
            };
            let made = WorkloadIdentityCredential::new(Some(options));
            sources.push((Source::WorkloadIdentity, made.map(|made| made as Arc<dyn TokenCredential>)));
        }
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client.map(UserAssignedId::ClientId),
            client_options: self.options(),
        };
        let made = ManagedIdentityCredential::new(Some(options));
        sources.push((Source::ManagedIdentity, made.map(|made| made as Arc<dyn TokenCredential>)));
        let made = AzureCliCredential::new(None);
        sources.push((Source::AzureCli, made.map(|made| made as Arc<dyn TokenCredential>)));
        sources
    }

    /// Asks one source after the other for a token; the first that has one is kept.
    async fn ask_all(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> Result<(Source, Arc<dyn TokenCredential>, AccessToken), String> {
        let mut asking = Asking::default();
        for (name, source) in self.sources() {
            // One that cannot even be made, since its token's file is not there, is named all the same.
            let asked = match source {
                Ok(source) => {
                    ask(name, &source, scopes, options.clone()).await.map(|token| (name, source, token))
                }
                Err(error) => Err(error),
            };
            match asked {
                Ok(found) => return Ok(found),
                Err(error) => asking.failed(name, &error.to_string())?,
            }
        }
        Err(asking.end())
    }
}

#[async_trait::async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut found = self.found.lock().await;
        let why = match &mut *found {
            Found::Source(name, source, kept) => {
                if !kept.is_good_for(scopes, OffsetDateTime::now_utc()) {
                    let renewed = source.get_token(scopes, options).await;
                    *kept = Kept::new(scopes, renewed.map_err(|error| no_more(*name, &error))?);
                }
                return Ok(kept.token.clone());
            }
            Found::None { since, why } if since.elapsed() < BELIEVED => why.clone(),
            Found::None { .. } | Found::Unasked => match self.ask_all(scopes, options).await {
                Ok((name, source, token)) => {
                    *found = Found::Source(name, source, Kept::new(scopes, token.clone()));
                    return Ok(token);
                }
                Err(why) => {
                    *found = Found::None { since: Instant::now(), why: why.clone() };
                    why
                }
            },
        };
        Err(azure_core::Error::with_message(ErrorKind::Credential, format!("no credentials found ({why})")))
    }
}

/// What is to be done about credentials that variables name.
const MEND: &str = "is set, so nobody else's login is taken: mend or unset it";

/// What follows a source's name where it had tokens before.
const NO_MORE: &str = "gives no new token";

/// The error of a source that had tokens before. The others are not asked in its place: what was begun as somebody is not ended as somebody else.
fn no_more(source: Source, error: &azure_core::Error) -> azure_core::Error {
    let why = error.to_string();
    azure_core::Error::with_message(
        ErrorKind::Credential,
        format!("{} {NO_MORE}: {}", source.name(), first_line(&why)),
    )
}

/// What to do about an error of credentials, by where these come from; nothing where it says so itself.
pub(crate) fn hint(message: &str) -> Option<&'static str> {
    let all = [Source::Environment, Source::WorkloadIdentity, Source::ManagedIdentity, Source::AzureCli];
    let known = all.into_iter().find(|source| message.contains(&format!("{} {NO_MORE}", source.name())));
    match known {
        Some(source) => Some(source.mend()),
        None if message.contains(MEND) => None,
        None => Some(LOG_IN),
    }
}

/// What gives credentials where there are none.
pub(crate) const LOG_IN: &str =
    "log in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET";

async fn ask(
    name: Source,
    source: &Arc<dyn TokenCredential>,
    scopes: &[&str],
    options: Option<TokenRequestOptions<'_>>,
) -> azure_core::Result<AccessToken> {
    let asking = source.get_token(scopes, options);
    if name != Source::ManagedIdentity {
        return asking.await;
    }
    let late =
        || azure_core::Error::with_message(ErrorKind::Credential, "nobody answers at the metadata address");
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(late()))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or(text)
}

#[cfg(test)]
mod tests;
