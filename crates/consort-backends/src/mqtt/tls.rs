//! The TLS settings of an instance.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Files and switches of the TLS options.
#[derive(Debug, Default)]
pub(super) struct TlsFiles<'a> {
    pub(super) authority: Option<&'a Path>,
    pub(super) certificate: Option<&'a Path>,
    pub(super) key: Option<&'a Path>,
    pub(super) is_insecure: bool,
}

/// An option and what is wrong with it.
pub(super) type TlsProblem = (&'static str, String);

/// Reads the files. Certificates of the system are used if there is no `ca`.
pub(super) fn configure(files: &TlsFiles<'_>) -> Result<Arc<ClientConfig>, TlsProblem> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ("tls", error.to_string()))?;
    let builder = if files.is_insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        builder.with_root_certificates(roots(files.authority)?)
    };
    let config = match (files.certificate, files.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("certificate", certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                ("key", format!("cannot read the private key {}: {error}", key.display()))
            })?;
            builder
                .with_client_auth_cert(chain, key_der)
                .map_err(|error| ("key", format!("the key does not fit: {error}")))?
        }
        (Some(_), None) => return Err(("certificate", "`certificate` needs `key`".into())),
        (None, Some(_)) => return Err(("key", "`key` needs `certificate`".into())),
        (None, None) => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(
    option: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let explain = |error: &dyn std::fmt::Display| {
        (option, format!("cannot read certificates from {}: {error}", path.display()))
    };
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| explain(&error))?;
    if list.is_empty() {
        return Err(explain(&"the file has none in PEM format"));
    }
    Ok(list)
}

fn roots(authority: Option<&Path>) -> Result<RootCertStore, TlsProblem> {
    let mut store = RootCertStore::empty();
    match authority {
        Some(path) => {
            for certificate in certificates("ca", path)? {
                store.add(certificate).map_err(|error| {
                    ("ca", format!("{} has an invalid certificate: {error}", path.display()))
                })?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                let message = "this system has no certificate authorities; set `ca = FILE`";
                return Err(("host", message.into()));
            }
        }
    }
    Ok(store)
}

/// Accepts every certificate: the option `insecure`.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
