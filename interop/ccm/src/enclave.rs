//! em-app, the vendor's client inside the enclave: it attests with /dev/nsm, asks our node agent, and gets CCM's certificate.

use em_app::get_fortanix_em_certificate;
use em_node_agent_client::models::TaskStatusType;
use mbedtls::alloc::List;
use mbedtls::pk::Pk;
use mbedtls::rng::Rdrand;
use mbedtls::x509::Certificate;

use crate::{Failure, Scenario, expect, variable};

/// What `dsmactl whitelist` approves.
const DOMAIN: &str = "fortanix.com";

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("em-app: an RSA key is attested and certified for the approved domain", || certified(&mut rsa(2048)?)),
    ("em-app: so is one of 3072 bits, as salmiac makes it", || certified(&mut rsa(3072)?)),
    ("em-app: another domain is denied", other_domain),
];

fn certified(key: &mut Pk) -> Result<(), Failure> {
    let answer = get_fortanix_em_certificate(&variable("NODE_AGENT")?, DOMAIN, key).map_err(|error| format!("{error:?}"))?;
    let response = answer.certificate_response;
    expect(response.task_status == Some(TaskStatusType::SUCCESS), format!("{response:?}"))?;
    // A zero ends a text of mbedtls'.
    let pem = [response.certificate.ok_or("there is no certificate")?.into_bytes(), vec![0]].concat();
    let mut certificate = Certificate::from_pem(&pem)?;
    expect(certificate.subject()?.contains(DOMAIN), format!("subject {}", certificate.subject()?))?;
    expect(certificate.public_key_mut().write_public_der_vec()? == key.write_public_der_vec()?, "the certificate is for another key")?;
    let zone = std::fs::read(variable("ZONE_CERT")?)?;
    let (mut chain, mut roots) = (List::new(), List::new());
    chain.push(certificate);
    roots.push(Certificate::from_pem(&[zone, vec![0]].concat())?);
    let mut problem = String::new();
    Certificate::verify(&chain, &roots, None, Some(&mut problem)).map_err(|error| format!("mbedtls refuses it: {error} {problem}").into())
}

fn other_domain() -> Result<(), Failure> {
    let answer = get_fortanix_em_certificate(&variable("NODE_AGENT")?, "other.example.com", &mut rsa(2048)?);
    let response = answer.map_err(|error| format!("{error:?}"))?.certificate_response;
    expect(response.task_status == Some(TaskStatusType::DENIED) && response.certificate.is_none(), format!("{response:?}"))
}

/// RSA alone: for an EC key the published crate gives mbedtls too small a buffer for the signature (`PkSigLenMismatch`).
fn rsa(bits: u32) -> Result<Pk, Failure> {
    Ok(Pk::generate_rsa(&mut Rdrand, bits, 65537)?)
}
