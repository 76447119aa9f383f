//! HTTPS with the sandbox's own CA, for clients that refuse plain HTTP.
//!
//! The CA is made once for a folder and kept there (`ca.pem`, `ca.key`); each server's certificate is made anew at each start and
//! is good for loopback alone, so that nothing signed here could pass for anybody else's host.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::error::SandboxError;

/// The folder's certificate authority.
pub(crate) struct Authority {
    pem: PathBuf,
    key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("pem", &self.pem).finish_non_exhaustive()
    }
}

fn failed(error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Certificate(error.to_string())
}

impl Authority {
    /// Reads the folder's CA, or makes one.
    ///
    /// # Errors
    ///
    /// When the files cannot be read or written, or a key cannot be made.
    pub(crate) fn open(dir: &Path) -> Result<Self, SandboxError> {
        let (pem, secret) = (dir.join("ca.pem"), dir.join("ca.key"));
        if let (true, Ok(key)) = (pem.exists(), fs::read_to_string(&secret)) {
            return Ok(Self { pem, key });
        }
        let pair = KeyPair::generate().map_err(failed)?;
        let key = pair.serialize_pem();
        let authority = CertifiedIssuer::self_signed(authority_params(), pair).map_err(failed)?;
        let io = |path: &Path| {
            let what = format!("write {}", path.display());
            move |error| SandboxError::io(what, error)
        };
        fs::create_dir_all(dir).map_err(io(dir))?;
        write_private(&secret, &key).map_err(io(&secret))?;
        fs::write(&pem, authority.pem()).map_err(io(&pem))?;
        Ok(Self { pem, key })
    }

    /// The PEM file that clients have to trust.
    pub(crate) fn pem_path(&self) -> &Path {
        &self.pem
    }

    /// A TLS server with a certificate for loopback that the CA has signed.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be made.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, SandboxError> {
        let issuer = Issuer::new(authority_params(), KeyPair::from_pem(&self.key).map_err(failed)?);
        let pair = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(failed)?;
        params.distinguished_name = name("localhost");
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&pair, &issuer).map_err(failed)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .map_err(failed)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// What the CA's certificate says; the same at each start, so that with the kept key it is the same issuer.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("privnet sandbox CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name.push(DnType::OrganizationName, "privnet sandbox");
    name
}

/// Writes a file that its owner alone can read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_made_once_and_signs_for_loopback() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::open(dir.path()).unwrap();
        let second = Authority::open(dir.path()).unwrap();
        assert_eq!(first.key, second.key);
        assert!(first.pem_path().ends_with("ca.pem"));
        assert!(second.acceptor().is_ok());
        assert!(!fs::read_to_string(first.pem_path()).unwrap().contains("PRIVATE"));
        assert!(!format!("{first:?}").contains("PRIVATE"));
    }
}
