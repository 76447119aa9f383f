//! The client: what it is made of, what it reads and asks. Each request goes through the pipeline under the core's rates and retries.

mod delete;
mod send;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{ClientOptions, Method, Pipeline, RetryOptions, Transport, Url};
use privnet_core::execute::{Context, Poll, Until};
use privnet_core::{Error, ErrorKind};
use send::{Only, Out, asked};

use super::error::{self, Asked, is_gone};
use super::looked::Looked;
use super::{Json, json, versions};
use crate::credential::{Chain, GivenToken, who};
use crate::settings::AzureSettings;

pub(super) use send::Answer;
pub(crate) use write::Write;

/// The longest that an action is asked for again because a write came between.
const ANSWERED: Duration = Duration::from_secs(180);

/// What a request is about: the path of a resource, and the api-version that its type has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The path: a resource's id, or the id of a collection.
    pub(crate) path: String,
    /// The api-version.
    pub(crate) version: String,
}

impl Target {
    /// A resource or collection with the version of its type.
    pub(crate) fn of(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { version: versions::of(&path).to_owned(), path }
    }

    /// The same path with another version.
    pub(crate) fn with_version(path: impl Into<String>, version: &str) -> Self {
        Self { path: path.into(), version: version.to_owned() }
    }

    fn subscription(&self) -> &str {
        let mut parts = self.path.split('/').skip_while(|part| !part.eq_ignore_ascii_case("subscriptions"));
        parts.nth(1).unwrap_or("tenant")
    }

    /// The resource type, for messages.
    fn kind(&self) -> String {
        let Some((_, rest)) = self.path.rsplit_once("/providers/") else { return self.path.clone() };
        let mut parts = rest.split('/');
        let provider = parts.next().unwrap_or_default().to_owned();
        parts.step_by(2).fold(provider, |kind, part| format!("{kind}/{part}"))
    }
}

/// The client of one cloud.
#[derive(Debug)]
pub(crate) struct Arm {
    pipeline: Pipeline,
    base: Url,
    /// The host of a local endpoint, whose own URLs are followed too.
    local: Option<Url>,
    credential: Arc<dyn TokenCredential>,
    scope: String,
    /// What it has read so far, as far as writes go by it.
    pub(crate) looked: Looked,
}

impl Arm {
    /// A client with these settings.
    ///
    /// # Errors
    /// When a URL in the settings is none.
    pub(crate) fn new(settings: &AzureSettings) -> Result<Self, Error> {
        let base = parse(settings.cloud.resource_manager())?;
        let (credential, local) = match &settings.endpoint {
            Some(endpoint) => (GivenToken::credential(&endpoint.token), Some(parse(&endpoint.url)?)),
            None => (Chain::credential(settings.cloud.clone()), None),
        };
        let transport = local.clone().map(super::transport::redirect).transpose()?;
        Ok(Self::over(base, local, credential, settings.cloud.scope(), transport))
    }

    pub(crate) fn over(
        base: Url,
        local: Option<Url>,
        credential: Arc<dyn TokenCredential>,
        scope: String,
        transport: Option<Transport>,
    ) -> Self {
        let options = ClientOptions { retry: RetryOptions::none(), transport, ..ClientOptions::default() };
        let bearer = Arc::new(BearerTokenAuthorizationPolicy::new(Arc::clone(&credential), [scope.clone()]));
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options,
            Vec::new(),
            vec![bearer],
            None,
        );
        Self { pipeline, base, local, credential, scope, looked: Looked::default() }
    }

    /// Who the caller is, as far as its token tells.
    pub(crate) async fn caller(&self) -> Option<String> {
        if self.local.is_some() {
            return Some("the token of a local endpoint".to_owned());
        }
        let token = self.credential.get_token(&[self.scope.as_str()], None).await.ok()?;
        who(token.token.secret())
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// What ARM answered; `NotFound` where it is not there.
    pub(crate) async fn get(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        Ok(self.read(context, target).await?.body)
    }

    /// Reads a resource that some providers give as one of an array: so Microsoft's description of Power BI's API has it (its operation
    /// `PowerBIResources_ListByResourceName`), while the Azure CLI reads an object.
    ///
    /// # Errors
    /// What ARM answered; an answer without it.
    pub(crate) async fn get_alone(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        let found = match self.look(context, target).await?.body {
            Json::Array(all) => all
                .into_iter()
                .find(|one| json::text(one, "id").is_some_and(|id| json::same_id(id, &target.path))),
            one => Some(one),
        };
        found
            .filter(Json::is_object)
            .ok_or_else(|| error::of_another_answer(&asked("GET", target), "resource"))
    }

    /// Reads a resource that may not be there.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn find(&self, context: &Context, target: &Target) -> Result<Option<Json>, Error> {
        match self.get(context, target).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all pages of a collection. One that is empty has an empty list
    /// (<https://github.com/cloud-and-ai-microsoft/resource-provider-contract/blob/master/v1.0/resource-api-reference.md>).
    ///
    /// # Errors
    /// What ARM answered; an answer without a list.
    pub(crate) async fn list(&self, context: &Context, target: &Target) -> Result<Vec<Json>, Error> {
        let asked = asked("GET", target);
        let mut url = Some(self.url(target)?);
        let (mut all, mut read) = (Vec::new(), BTreeSet::new());
        while let Some(page) = url {
            if !read.insert(page.to_string()) {
                return Err(error::of_repeated_page(&asked));
            }
            let out = Out { method: Method::Get, url: &page, body: None, only: Only::Always };
            let answer = self.send(context, &out, &asked, target).await?;
            let items = json::at(&answer.body, "value").and_then(Json::as_array);
            all.extend(items.ok_or_else(|| error::of_another_answer(&asked, "list"))?.iter().cloned());
            url = match json::text(&answer.body, "nextLink") {
                Some(next) => Some(self.follow(next, &asked)?),
                None => None,
            };
        }
        self.looked.listed(&target.path);
        Ok(all)
    }

    /// Reads a list that is an array by itself, without pages, as those of images' versions are
    /// (<https://learn.microsoft.com/rest/api/compute/virtual-machine-images/list>).
    ///
    /// # Errors
    /// What ARM answered; an answer that is none.
    pub(crate) async fn array(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        let answer = self.look(context, target).await?;
        if answer.body.is_array() {
            Ok(answer.body)
        } else {
            Err(error::of_another_answer(&asked("GET", target), "list"))
        }
    }

    /// Calls an action of a resource and gives its result, be it at once or at the end of an operation. Where a write came between,
    /// it asks again, for a while: actions here only read, and who shows a status waits for them.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn post(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        let until = Until { operation: "POST", subject: &target.path, what: "answered", limit: ANSWERED };
        let attempt = || async move {
            match self.post_once(context, target).await {
                Ok(answer) => Ok(Poll::Ready(answer)),
                Err(error) if error::comes_later(&error) => Ok(self.later(context, &error).await),
                Err(error) => Err(error),
            }
        };
        context.until(until, attempt).await
    }

    async fn post_once(&self, context: &Context, target: &Target) -> Result<Json, Error> {
        let asked = asked("POST", target);
        let url = self.url(target)?;
        let out = Out { method: Method::Post, url: &url, body: None, only: Only::Always };
        let answer = self.send(context, &out, &asked, target).await?;
        let result = self.finish(context, answer, target, &asked).await?;
        if result.is_object() { Ok(result) } else { Err(error::of_another_answer(&asked, "result")) }
    }

    async fn read(&self, context: &Context, target: &Target) -> Result<Answer, Error> {
        let answer = self.look(context, target).await?;
        if answer.body.is_object() {
            Ok(answer)
        } else {
            Err(error::of_another_answer(&asked("GET", target), "resource"))
        }
    }

    async fn look(&self, context: &Context, target: &Target) -> Result<Answer, Error> {
        let url = self.url(target)?;
        let out = Out { method: Method::Get, url: &url, body: None, only: Only::Always };
        self.send(context, &out, &asked("GET", target), target).await
    }

    /// Reads a URL that ARM gave: of an operation, or of its result.
    pub(super) async fn poll(
        &self,
        context: &Context,
        url: &str,
        asked: &Asked,
        target: &Target,
    ) -> Result<Answer, Error> {
        let url = self.follow(url, asked)?;
        let out = Out { method: Method::Get, url: &url, body: None, only: Only::Always };
        self.send(context, &out, asked, target).await
    }
}

fn parse(url: &str) -> Result<Url, Error> {
    Url::parse(url)
        .map_err(|cause| Error::new(ErrorKind::Invalid, "settings", url, "it is no URL").with_cause(cause))
}

#[cfg(test)]
mod tests;
