//! HTTP as DSM's interface, CCM's and the node agent's have it in common: the table of endpoints, queries, bodies, and answers.

pub(crate) mod body;
pub(crate) mod endpoints;
pub(crate) mod query;
pub(crate) mod reply;
