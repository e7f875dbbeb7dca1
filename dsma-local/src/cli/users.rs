//! `user`, with `ls`, `add` and `show`.

use std::fs;
use std::path::PathBuf;

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use clap::Subcommand;
use dsma_crypto::random;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::Client;
use super::commands::{items, named};
use super::output::Output;
use crate::error::Error;

/// Random bytes in a password that is made here.
const PASSWORD_LEN: usize = 18;

/// `dsma-local user`.
#[derive(Subcommand)]
pub(crate) enum User {
    /// List the users of the account
    Ls,
    /// Make a user who is a member of the account, and print the password if none was given
    #[command(after_help = "Examples:\n  \
        dsma-local --state ~/dsm user add ann@example.com --role ACCOUNTADMINISTRATOR\n  \
        dsma-local --state ~/dsm user add bob@example.com --password-file bob.txt")]
    Add {
        /// Address, which is the name at login
        email: String,
        /// What the user may do in the account
        #[arg(long, default_value = "ACCOUNTMEMBER", value_parser = ["ACCOUNTADMINISTRATOR", "ACCOUNTMEMBER", "ACCOUNTAUDITOR"])]
        role: String,
        /// The password is the first line of this file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Show a user
    Show {
        /// Address or id
        user: String,
    },
}

impl User {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<(), Error> {
        let users = || Ok::<_, Error>(items(client.ask("GET", "/sys/v1/users", None)?));
        match self {
            Self::Ls => output.table(&users()?, &[("ADDRESS", "user_email"), ("USER", "user_id"), ("ROLE", "account_role")]),
            Self::Show { user } => output.object(&named(users()?, &user, "user_id")?),
            Self::Add { email, role, password_file } => {
                let given = password_file.map(first_line).transpose()?;
                let made = given.is_none();
                let password = given.map_or_else(new_password, Ok)?;
                let mut user = add(client, &email, &password, &role)?;
                if made {
                    user["password"] = password.as_str().into();
                }
                output.object(&user)
            }
        }
    }
}

/// Signs up, invites, and accepts the invitation as the new user.
fn add(client: &Client, email: &str, password: &str, role: &str) -> Result<Value, Error> {
    client.ask("POST", "/sys/v1/users", Some(&json!({"user_email": email, "user_password": password})))?;
    let credential = Zeroizing::new(STANDARD.encode_to_string(format!("{email}:{password}")));
    let join = || {
        client.ask("POST", "/sys/v1/users/invite", Some(&json!({"user_email": email, "account_role": [role]})))?;
        let groups = client.ask("GET", "/sys/v1/groups", None)?;
        client.ask_as(&credential, "POST", "/sys/v1/users/process_invite", Some(&json!({"accepts": [groups[0]["acct_id"]]})))
    };
    if let Err(error) = join() {
        // A user who belongs to nothing is not left behind; where that fails as well, the first failure is the one to be told.
        let _ = client.ask_as(&credential, "DELETE", "/sys/v1/users", None);
        return Err(error);
    }
    named(items(client.ask("GET", "/sys/v1/users", None)?), &email.to_lowercase(), "user_id")
}

fn first_line(file: PathBuf) -> Result<Zeroizing<String>, Error> {
    let text = fs::read_to_string(&file).map_err(|source| Error::File { path: file, action: "read", source })?;
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn new_password() -> Result<Zeroizing<String>, Error> {
    let mut bytes = Zeroizing::new([0; PASSWORD_LEN]);
    random::fill(&mut *bytes)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode_to_string(*bytes)))
}
