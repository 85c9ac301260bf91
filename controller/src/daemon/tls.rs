//! Whom we trust to be a provider: whom the host trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Returns the TLS configuration towards providers: the host's roots, HTTP/2 before HTTP/1.1.
///
/// A host without roots reaches only providers without TLS. `SSL_CERT_FILE` names other roots.
pub(super) fn client_config() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        tracing::warn!(
            ?why,
            "this host trusts nobody: no provider can be reached over TLS"
        );
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
