//! What CCM keeps.

mod account;
mod app;
mod build;
mod node;
mod task;
mod zone;

pub(crate) use self::account::{Account, Member, MemberStatus, NodeEnrollment, Role, User};
pub(crate) use self::app::{App, CertificatePolicy, Signer};
pub(crate) use self::build::{Build, BuildStatus, Measurement};
pub(crate) use self::node::{Certificate, Node, NodeStatus, Seen, fingerprint};
pub(crate) use self::task::{Approval, Decision, Task, TaskStatus, TaskType};
pub(crate) use self::zone::Zone;
