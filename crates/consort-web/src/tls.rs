//! Certificate and key of the page.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read {what} in {}: {source}", path.display())]
    Pem {
        /// What the file should contain.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key cannot be used together.
    #[error("cannot use the certificate in {}: {source}", path.display())]
    Invalid {
        /// The file of the certificate.
        path: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
}

/// Reads a certificate chain and its key, both PEM files.
///
/// # Errors
/// When a file cannot be read, or the key is not that of the certificate.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { what, path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(pem("certificates", certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(pem("a private key", key))?;
    let invalid = |source| TlsError::Invalid { path: certificate.to_owned(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(invalid)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_needs_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let one = rcgen::generate_simple_self_signed(["stage.local".to_owned()]).expect("one");
        let other = rcgen::generate_simple_self_signed(["stage.local".to_owned()]).expect("one");
        let certificate = write("cert.pem", one.cert.pem());
        let key = write("key.pem", one.signing_key.serialize_pem());
        let wrong = write("wrong.pem", other.signing_key.serialize_pem());
        assert!(server_config(&certificate, &key).is_ok());
        assert!(matches!(server_config(&certificate, &wrong), Err(TlsError::Invalid { .. })));
        assert!(matches!(
            server_config(&key, &key),
            Err(TlsError::Invalid { .. } | TlsError::Pem { .. })
        ));
        let error = server_config(&folder.path().join("none.pem"), &key).expect_err("no file");
        assert!(error.to_string().contains("none.pem"), "{error}");
    }
}
