//! CCM, the Confidential Computing Manager: it knows apps, their builds and domains, and certifies what attests to be one of them.
//!
//! Source: the published OpenAPI of Fortanix CCM, and what its clients send in practice.

mod model;
mod provision;
mod zone_ca;

pub(crate) use self::provision::{CcmAccount, provision};
