//! Which certificate authorities an upstream's certificate may come from.

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Certificate authorities that are trusted beside the machine's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads a PEM file's content: one or more `CERTIFICATE` sections; others are passed over.
    ///
    /// The error says what is wrong with it, in half a sentence.
    pub fn from_pem(pem: &[u8]) -> Result<Authorities, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|e| format!("it is no PEM file ({e})"))?;
        if found.is_empty() {
            return Err("it has no certificate (PEM: -----BEGIN CERTIFICATE-----)".to_owned());
        }
        let mut roots = RootCertStore::empty();
        for certificate in &found {
            roots.add(certificate.clone()).map_err(|e| format!("one of its certificates cannot be used ({e})"))?;
        }
        Ok(Authorities(found))
    }

    pub(crate) fn add_to(&self, roots: &mut RootCertStore) {
        roots.add_parsable_certificates(self.0.iter().cloned());
    }
}

/// How many there are.
impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificate authorities", self.0.len())
    }
}

/// The machine's own; Mozilla's where it has none.
pub(crate) fn machines_own() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("this machine has no certificate authorities; using the built-in Mozilla set");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_usable_certificate_is_told() {
        for (pem, why) in [
            ("", "it has no certificate"),
            ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", "it has no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "one of its certificates"),
            ("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n", "it is no PEM file"),
        ] {
            let told = Authorities::from_pem(pem.as_bytes()).unwrap_err();
            assert!(told.starts_with(why), "{told}");
        }
    }
}
