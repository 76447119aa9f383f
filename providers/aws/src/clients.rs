//! How accounts and regions are reached: clients of the SDK, made when they are first needed and kept.
//!
//! The SDK's own retries are off: rates, retries and cancellation are the core's matter
//! ([`Context::call`](privnet_core::execute::Context::call)).

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use privnet_core::execute::{Call, Context, Replay};
use privnet_core::spec::aws::AwsLocation;
use privnet_core::{Error, ErrorKind, Scope};
use tokio::sync::{Mutex, OnceCell};
use tracing::Instrument as _;

use crate::buckets::Operation;
use crate::error;
use crate::exposure::elsewhere::{Looks, Others};
use crate::plain_http::GuardedClient;
use crate::whole::Whole;

const GET_CALLER_IDENTITY: Operation = Operation { api: crate::buckets::Api::Sts, name: "GetCallerIdentity" };

/// How this provider gets to AWS.
#[derive(Clone, Debug, Default)]
pub struct AwsSettings {
    /// An endpoint that stands for all of AWS, such as the sandbox's. Absent: the SDK's own settings.
    pub endpoint: Option<Endpoint>,
    /// A DNS server that answers for every `dns` target, whatever its `resolver` says: a local cloud is not to ask elsewhere.
    /// Absent: the file's `resolver`, by default the machine's own.
    pub dns: Option<SocketAddr>,
}

impl AwsSettings {
    /// The settings for a sandbox that listens at `url`, with its name server at `dns`.
    #[must_use]
    pub fn sandbox(url: impl Into<String>, dns: SocketAddr) -> Self {
        // The sandbox takes any key; this one looks like no real one.
        let endpoint = Endpoint {
            url: url.into(),
            access_key_id: "AKIASANDBOX123456789".to_owned(),
            secret_access_key: "sandbox".to_owned(),
        };
        Self { endpoint: Some(endpoint), dns: Some(dns) }
    }
}

/// A local cloud. With one, neither the environment nor the AWS configuration files are read, and only plain HTTP without
/// a proxy is spoken: no request can reach AWS.
#[derive(Clone)]
pub struct Endpoint {
    /// Its URL, such as `http://127.0.0.1:4566`.
    pub url: String,
    /// The key id to sign with.
    pub access_key_id: String,
    /// The key to sign with.
    pub secret_access_key: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// An account and region that was reached, and as whom.
#[derive(Debug)]
pub(crate) struct Reach {
    /// EC2, PrivateLink among it.
    pub(crate) ec2: aws_sdk_ec2::Client,
    /// Elastic Load Balancing.
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    /// EC2 Auto Scaling.
    pub(crate) auto_scaling: aws_sdk_autoscaling::Client,
    /// The account that the credentials belong to.
    pub(crate) account: String,
    /// The region.
    pub(crate) region: String,
    /// The partition of the caller's ARN.
    pub(crate) partition: String,
    /// The caller's ARN.
    pub(crate) caller: String,
    /// `aws/<account>/<region>`.
    pub(crate) scope: Scope,
    /// The account's other regions.
    pub(crate) others: Others,
    /// How it was reached.
    config: SdkConfig,
}

/// Makes and keeps clients, one set for each region, profile and role.
#[derive(Debug)]
pub(crate) struct Connector {
    settings: AwsSettings,
    /// How HTTP is spoken, but to a local cloud.
    http: SharedHttpClient,
    reached: Mutex<BTreeMap<AwsLocation, Arc<OnceCell<Arc<Reach>>>>>,
    /// What was looked for in other regions.
    pub(crate) looks: Arc<Looks>,
}

impl Connector {
    pub(crate) fn new(settings: AwsSettings) -> Self {
        let http = SharedHttpClient::new(GuardedClient::default());
        Self { settings, http, reached: Mutex::default(), looks: Arc::default() }
    }

    /// The clients for a location. The first time, the caller's identity is asked for: the account is known before any
    /// other call.
    pub(crate) async fn reach(&self, location: &AwsLocation, context: &Context) -> Result<Arc<Reach>, Error> {
        // Whether the account is the right one is the caller's question: the clients do not differ by it.
        let access = AwsLocation { account: None, ..location.clone() };
        let cell = Arc::clone(self.reached.lock().await.entry(access.clone()).or_default());
        cell.get_or_try_init(|| self.connect(&access, context)).await.cloned()
    }

    async fn connect(&self, location: &AwsLocation, context: &Context) -> Result<Arc<Reach>, Error> {
        let base = match &self.settings.endpoint {
            Some(endpoint) => local_config(endpoint, location.region.as_str()),
            None => machine_config(location, self.http.clone()).await,
        };
        let config = match &location.assume_role {
            Some(role) => {
                let mut provider = AssumeRoleProvider::builder(role.arn.to_string())
                    .session_name("privnet")
                    .region(Region::new(location.region.to_string()))
                    .configure(&base);
                if let Some(id) = &role.external_id {
                    provider = provider.external_id(id.as_str());
                }
                let credentials = SharedCredentialsProvider::new(provider.build().await);
                base.into_builder().credentials_provider(credentials).build()
            }
            None => base,
        };
        let (account, caller) = identify(&config, location.region.as_str(), context).await?;
        let reach = Reach::with(&config, location.region.to_string(), account, caller);
        Ok(Arc::new(Reach { others: Others::beside(&self.looks), ..reach }))
    }
}

impl Reach {
    fn with(config: &SdkConfig, region: String, account: String, caller: String) -> Self {
        let ec2 = aws_sdk_ec2::config::Builder::from(config).interceptor(Whole);
        let elb = aws_sdk_elasticloadbalancingv2::config::Builder::from(config).interceptor(Whole);
        let auto_scaling = aws_sdk_autoscaling::config::Builder::from(config).interceptor(Whole);
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb.build()),
            auto_scaling: aws_sdk_autoscaling::Client::from_conf(auto_scaling.build()),
            scope: Scope(format!("aws/{account}/{region}")),
            account,
            region,
            partition: caller.split(':').nth(1).unwrap_or("aws").to_owned(),
            caller,
            others: Others::default(),
            config: config.clone(),
        }
    }

    /// Another region of the same account, by the same credentials: nothing is asked for that.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        let config = self.config.to_builder().region(Region::new(region.to_owned())).build();
        Self::with(&config, region.to_owned(), self.account.clone(), self.caller.clone())
    }

    /// A place at a local cloud, of which nothing was asked yet.
    #[cfg(test)]
    pub(crate) fn local(url: String) -> Self {
        let endpoint = Endpoint {
            url,
            access_key_id: "AKIASANDBOX123456789".to_owned(),
            secret_access_key: "sandbox".to_owned(),
        };
        let (region, account) = ("us-east-1".to_owned(), "111111111111".to_owned());
        let caller = "arn:aws:iam::111111111111:root".to_owned();
        Self::with(&local_config(&endpoint, &region), region, account, caller)
    }
}

/// The account and ARN of the caller.
async fn identify(config: &SdkConfig, region: &str, context: &Context) -> Result<(String, String), Error> {
    let sts = aws_sdk_sts::Client::new(config);
    let bucket = GET_CALLER_IDENTITY.bucket(&format!("aws/{region}"));
    let call = Call { bucket: &bucket, replay: Replay::Safe };
    let answer = context
        .call(call, || async {
            let sent = Box::pin(sts.get_caller_identity().send()).await;
            sent.map_err(|error| error::convert(GET_CALLER_IDENTITY, region, error))
        })
        .instrument(tracing::debug_span!("aws", operation = GET_CALLER_IDENTITY.name, subject = region))
        .await?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok((account, arn)),
        _ => Err(Error::new(
            ErrorKind::Other,
            GET_CALLER_IDENTITY.name,
            region,
            "AWS does not say who the caller is",
        )),
    }
}

/// Everything set, nothing read.
fn local_config(endpoint: &Endpoint, region: &str) -> SdkConfig {
    let credentials = Credentials::new(
        &endpoint.access_key_id,
        &endpoint.secret_access_key,
        None,
        None,
        "privnet-endpoint",
    );
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(&endpoint.url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .build()
}

/// The machine's own settings: environment, configuration files, instance roles.
async fn machine_config(location: &AwsLocation, http: SharedHttpClient) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(location.region.to_string()))
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts());
    if let Some(profile) = &location.profile {
        loader = loader.profile_name(profile.as_str());
    }
    loader.load().await
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(60))
        .build()
}
