use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Options, Sandbox};

/// A plain GET over TLS that trusts the given CA alone.
async fn get(address: &str, roots: RootCertStore, path: &str) -> std::io::Result<String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    Ok(text)
}

#[tokio::test]
async fn https_is_good_for_who_trusts_the_printed_ca() {
    let dir = tempfile::tempdir().unwrap();
    let running = Sandbox::serve(&Options::new(dir.path())).await.unwrap();
    let (url, pem) = running.azure_https().unwrap();
    let address = url.strip_prefix("https://").unwrap().to_owned();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let answer = get(&address, roots, "/metadata/endpoints?api-version=2022-09-01").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&format!("\"loginEndpoint\":\"https://{address}\"")), "{answer}");
    assert!(get(&address, RootCertStore::empty(), "/").await.is_err());
    let printed = running.variables("azure");
    assert!(printed.contains(&("AZURE_AUTHORITY_HOST".to_owned(), url.to_owned())));
    running.shutdown().await;
}
