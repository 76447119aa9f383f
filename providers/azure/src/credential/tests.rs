use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_principal_gets_its_token_from_the_authority_and_reads_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let running =
        privnet_sandbox::Sandbox::serve(&privnet_sandbox::Options::new(folder.path())).await.unwrap();
    let local: azure_core::http::Url = running.url("azure").unwrap().parse().unwrap();
    let client_options = ClientOptions {
        transport: Some(crate::arm::redirect(local.clone()).unwrap()),
        cloud: Some(Arc::new(Cloud::Public.configuration())),
        ..ClientOptions::default()
    };
    let credential = ClientSecretCredential::new(
        "77777777-1111-2222-3333-444444444444",
        "22222222-aaaa-bbbb-cccc-333333333333".to_owned(),
        Secret::new("hush"),
        Some(ClientSecretCredentialOptions { client_options }),
    )
    .unwrap();
    let token = credential.get_token(&[&Cloud::Public.scope()], None).await.unwrap();
    assert!(!token.token.secret().is_empty());
    let base = Cloud::Public.resource_manager().parse().unwrap();
    let transport = crate::arm::redirect(local.clone()).unwrap();
    let arm = crate::arm::Arm::over(base, Some(local), credential, Cloud::Public.scope(), Some(transport));
    let path = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Network/virtualNetworks/hub";
    let hub = arm.get(&crate::arm::fake::context(), &crate::arm::Target::of(path)).await.unwrap();
    assert_eq!(hub["name"], "hub");
}

#[test]
fn a_token_is_kept_for_its_scope_and_not_to_its_end() {
    let now = OffsetDateTime::now_utc();
    let kept = Kept::new(&["s"], AccessToken::new(Secret::new("t"), now + EARLY * 2));
    assert!(kept.is_good_for(&["s"], now));
    assert!(!kept.is_good_for(&["other"], now));
    assert!(!kept.is_good_for(&["s"], now + EARLY));
}

/// Which sources are asked where each of these that is asked has no token, and what is said then.
fn all_fail(sources: &[Source]) -> (Vec<Source>, String) {
    let (mut asking, mut asked) = (Asking::default(), Vec::new());
    for source in sources {
        asked.push(*source);
        if let Err(why) = asking.failed(*source, "no token\nand more") {
            return (asked, why);
        }
    }
    (asked, asking.end())
}

#[test]
fn where_variables_name_a_source_no_other_login_is_taken() {
    use Source::{AzureCli, Environment, ManagedIdentity, WorkloadIdentity};
    for (sources, variable) in [
        ([Environment, ManagedIdentity, AzureCli], "AZURE_CLIENT_SECRET"),
        ([Environment, WorkloadIdentity, AzureCli], "AZURE_CLIENT_SECRET"),
        ([WorkloadIdentity, ManagedIdentity, AzureCli], "AZURE_FEDERATED_TOKEN_FILE"),
    ] {
        let (asked, why) = all_fail(&sources);
        assert_eq!(asked, sources[..1], "{why}");
        assert!(why.contains(&format!("no token; {variable} is set")) && !why.contains("and more"), "{why}");
        assert_eq!(hint(&why), None);
    }
    let (asked, why) = all_fail(&[ManagedIdentity, AzureCli]);
    assert_eq!(asked, [ManagedIdentity, AzureCli]);
    assert_eq!(why, "managed identity: no token; Azure CLI: no token");
    assert_eq!(hint(&why), Some(LOG_IN));
}

/// A source whose tokens have an end, and which gives no further ones.
#[derive(Debug)]
struct Ended;

#[async_trait::async_trait]
impl TokenCredential for Ended {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Err(azure_core::Error::with_message(ErrorKind::Credential, "it has expired"))
    }
}

#[tokio::test]
async fn a_token_that_is_not_renewed_is_mended_where_it_came_from() {
    for (source, hint) in [
        (Source::Environment, "AZURE_CLIENT_SECRET"),
        (Source::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE"),
        (Source::ManagedIdentity, "the machine"),
        (Source::AzureCli, "`az login`"),
    ] {
        let over = AccessToken::new(Secret::new("t"), OffsetDateTime::now_utc());
        let found = Mutex::new(Found::Source(source, Arc::new(Ended), Kept::new(&["s"], over)));
        let chain = Arc::new(Chain { cloud: Cloud::Public, found });
        let base = "https://management.azure.com".parse().unwrap();
        let arm = crate::arm::Arm::over(base, None, chain, "s".to_owned(), None);
        let target = crate::arm::Target::of("/subscriptions/s");
        let error = arm.get(&crate::arm::fake::context(), &target).await.unwrap_err();
        assert_eq!(error.kind(), privnet_core::ErrorKind::Unauthenticated, "{error}");
        assert!(error.to_string().contains(&format!("{} gives no new token: it has expired", source.name())));
        let hints = error.hints().join("; ");
        assert!(hints.contains(hint), "{hints}");
        assert_eq!(hints.contains("az login"), source == Source::AzureCli, "{hints}");
    }
}

#[tokio::test]
async fn a_given_token_is_given() {
    let token = GivenToken::credential("t").get_token(&["s"], None).await.unwrap();
    assert_eq!(token.token.secret(), "t");
}
