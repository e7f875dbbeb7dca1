//! What CCM keeps.

mod account;
mod zone;

pub(crate) use self::account::{Account, Member, NodeEnrollment, Role, User};
pub(crate) use self::zone::Zone;
