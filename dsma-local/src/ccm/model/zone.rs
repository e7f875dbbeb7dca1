//! Zones: where nodes enrol, and whose CA certifies nodes and apps.

use base64_simd::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use crate::ccm::zone_ca::{NewCa, ZoneCa};
use crate::error::Error;
use crate::secrets::make_secret;
use crate::store::{Record, Records};

/// Random bytes in a join token.
const JOIN_TOKEN_SIZE: u32 = 32;

/// A zone, with the certificates of its CA in PEM. Its keys and its join token are its secret, see [`ZoneSecrets`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Zone {
    pub(crate) zone_id: Uuid,
    pub(crate) acct_id: Uuid,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) certificate: String,
    /// Made, and not yet in use.
    pub(crate) next_certificate: Option<String>,
    /// Out of use, the last one first.
    pub(crate) previous_certificates: Vec<String>,
}

/// What nobody may read: the CA's keys (PKCS#8, base64), and the token with which nodes enrol.
#[derive(Serialize, Deserialize)]
pub(crate) struct ZoneSecrets {
    key: String,
    next_key: Option<String>,
    pub(crate) join_token: String,
}

impl Drop for ZoneSecrets {
    fn drop(&mut self) {
        self.key.zeroize();
        self.next_key.zeroize();
        self.join_token.zeroize();
    }
}

impl Record for Zone {
    const KIND: &'static str = "zone";

    fn id(&self) -> Uuid {
        self.zone_id
    }

    fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    fn key(&self) -> Option<String> {
        None
    }
}

impl Zone {
    /// Makes the zone of a new account, with its CA.
    pub(crate) fn create(records: &Records<'_>, acct_id: Uuid, name: &str) -> Result<Self, Error> {
        let zone_id = Uuid::new_v4();
        let NewCa { certificate, key } = ZoneCa::generate(zone_id)?;
        let zone = Self {
            zone_id,
            acct_id,
            name: name.to_owned(),
            description: None,
            certificate,
            next_certificate: None,
            previous_certificates: Vec::new(),
        };
        records.insert(&zone)?;
        // The zone's id in front tells whose token it is, before anything is compared.
        let join_token = format!("{zone_id}.{}", *make_secret(JOIN_TOKEN_SIZE)?);
        zone.keep(records, &ZoneSecrets { key: STANDARD.encode_to_string(&*key), next_key: None, join_token })?;
        Ok(zone)
    }

    /// The keys and the join token.
    pub(crate) fn secrets(&self, records: &Records<'_>) -> Result<ZoneSecrets, Error> {
        let secret = records.secret::<Self>(self.zone_id)?.ok_or(Error::Crypto(dsma_crypto::Error::Malformed))?;
        Ok(serde_json::from_slice(&secret)?)
    }

    /// The CA that signs now.
    pub(crate) fn ca(&self, records: &Records<'_>) -> Result<ZoneCa, Error> {
        let secrets = self.secrets(records)?;
        let key = STANDARD.decode_to_vec(&secrets.key).map_err(|_| Error::Crypto(dsma_crypto::Error::Malformed))?;
        ZoneCa::open(self.zone_id, &self.certificate, &Zeroizing::new(key))
    }

    /// Makes the CA's next key and certificate, in place of a next one that there is.
    pub(crate) fn make_next(&mut self, records: &Records<'_>) -> Result<(), Error> {
        let NewCa { certificate, key } = ZoneCa::generate(self.zone_id)?;
        let mut secrets = self.secrets(records)?;
        secrets.next_key = Some(STANDARD.encode_to_string(&*key));
        self.next_certificate = Some(certificate);
        records.update(self)?;
        self.keep(records, &secrets)
    }

    /// Puts the next CA in use; `false` where there is none.
    pub(crate) fn rotate(&mut self, records: &Records<'_>) -> Result<bool, Error> {
        let mut secrets = self.secrets(records)?;
        let (Some(certificate), Some(key)) = (self.next_certificate.take(), secrets.next_key.take()) else {
            return Ok(false);
        };
        self.previous_certificates.insert(0, std::mem::replace(&mut self.certificate, certificate));
        secrets.key.zeroize();
        secrets.key = key;
        records.update(self)?;
        self.keep(records, &secrets)?;
        Ok(true)
    }

    fn keep(&self, records: &Records<'_>, secrets: &ZoneSecrets) -> Result<(), Error> {
        records.set_secret::<Self>(self.zone_id, &Zeroizing::new(serde_json::to_vec(secrets)?))
    }
}
