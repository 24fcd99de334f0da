//! What an OTLP receiver's certificate is held to, and what limpid shows of itself.
//!
//! Everything is checked when it is read, so that a wrong file is told by `limpid check` and not by every export.

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The TLS material of an export; by default the machine's authorities, and no certificate of limpid's own.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OtlpTls {
    authorities: Option<Vec<u8>>,
    identity: Option<Identity>,
}

/// limpid's own certificate and key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl OtlpTls {
    /// Trusts the authorities of a PEM file alone. The error says what is wrong with it, in half a sentence.
    pub fn trust(&mut self, pem: Vec<u8>) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&pem)? {
            roots.add(certificate).map_err(|e| format!("one of its certificates cannot be used ({e})"))?;
        }
        self.authorities = Some(pem);
        Ok(())
    }

    /// Shows a certificate, whose PEM file has the chain from it to the authority, and proves it with a key. The
    /// errors say what is wrong with the certificate's file, or with the key's.
    pub fn identify(&mut self, certificate: Vec<u8>, key: Vec<u8>) -> Result<(), IdentityError> {
        certificates(&certificate).map_err(IdentityError::Certificate)?;
        // What the parser says might quote the key.
        PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| IdentityError::Key("it has no private key (PEM: -----BEGIN PRIVATE KEY-----)".to_owned()))?;
        self.identity = Some(Identity { certificate, key });
        Ok(())
    }

    pub(crate) fn authorities(&self) -> Option<&[u8]> {
        self.authorities.as_deref()
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

/// Which of the two files of an identity is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityError {
    /// The certificate's.
    Certificate(String),
    /// The key's.
    Key(String),
}

/// Says what there is, and no key.
impl fmt::Debug for OtlpTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authorities = if self.authorities.is_some() { "own" } else { "the machine's" };
        f.debug_struct("OtlpTls")
            .field("authorities", &authorities)
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|e| format!("it is no PEM file ({e})"))?;
    if found.is_empty() {
        return Err("it has no certificate (PEM: -----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_work_are_told() {
        let mut tls = OtlpTls::default();
        assert!(tls.trust(Vec::new()).unwrap_err().starts_with("it has no certificate"));
        let odd = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_vec();
        assert!(tls.trust(odd.clone()).unwrap_err().starts_with("one of its certificates"));
        assert!(matches!(tls.identify(odd, b"hush".to_vec()), Err(IdentityError::Key(why)) if !why.contains("hush")));
        assert!(matches!(tls.identify(Vec::new(), Vec::new()), Err(IdentityError::Certificate(_))));
        assert_eq!(tls, OtlpTls::default());
    }
}
