//! The provider's own certificate authority and its leaf, so that a proxy's TLS is tested whole.

use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// Makes a CA, and an acceptor with a leaf of it for `names`; returns the CA as PEM.
pub(super) fn acceptor(names: &[String]) -> anyhow::Result<(TlsAcceptor, String)> {
    let ca_key = KeyPair::generate().context("making the CA's key")?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name = named("Scripted provider CA");
    let ca_certificate = ca.self_signed(&ca_key).context("signing the CA")?;
    let pem = ca_certificate.pem();
    let issuer = Issuer::new(ca, ca_key);

    let leaf_key = KeyPair::generate().context("making the leaf's key")?;
    let mut leaf = CertificateParams::new(names).context("naming the leaf")?;
    leaf.distinguished_name = named("Scripted provider");
    let leaf_certificate = leaf
        .signed_by(&leaf_key, &issuer)
        .context("signing the leaf")?;

    let chain: Vec<CertificateDer<'static>> = vec![leaf_certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .context("choosing the TLS versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("using the leaf")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), pem))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
