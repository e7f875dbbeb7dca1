//! `dsmactl whitelist`: registers an app, its domain and its build in CCM, approves both, and fetches the zone CA's certificate.
//!
//! Whatever is there already stays as it is, so that the command may be run again.

mod build_info;
mod steps;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use self::build_info::BuildInfo;
use self::steps::Steps;
use crate::ccm::Ccm;
use crate::error::Error;
use crate::print;

/// Register and approve an app's domain and build in CCM, and fetch the zone CA's certificate
///
/// The password is asked for on the terminal; scripts put it in the variable CCM_PASSWORD, or on standard input.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Whitelist {
    /// CCM user name
    #[arg(short, long, value_name = "EMAIL")]
    username: String,

    /// Account in CCM
    #[arg(short, long, value_name = "UUID")]
    account_id: String,

    /// File with the measurements of the build: CCM's form, or what nitro-cli prints
    #[arg(short, long, value_name = "FILE")]
    build_info: PathBuf,

    /// App in which the build is registered; made where it does not exist
    #[arg(short = 'n', long, value_name = "NAME")]
    app_name: String,

    /// Group of the app
    #[arg(short, long, value_name = "UUID")]
    group_id: String,

    /// URL of CCM, without a trailing /
    #[arg(short = 'e', long, value_name = "URL")]
    ccm_endpoint: String,

    /// Domain that the app is certified for
    #[arg(long, value_name = "NAME", default_value = "fortanix.com")]
    domain: String,

    /// Directory in which zone_cert.pem is written
    #[arg(long, value_name = "DIR", default_value = ".")]
    output_dir: PathBuf,
}

impl Whitelist {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result<(), Error> {
        if self.ccm_endpoint.ends_with('/') || !self.ccm_endpoint.starts_with("https://") {
            return Err(Error::CcmEndpoint { endpoint: self.ccm_endpoint.clone() });
        }
        print(&format!("Username: {}", self.username));
        print(&format!("Account ID: {}", self.account_id));
        print(&format!("Build Info: {}", self.build_info.display()));
        print(&format!("App Name: {}", self.app_name));
        print(&format!("Group ID: {}", self.group_id));
        print(&format!("CCM Endpoint: {}", self.ccm_endpoint));
        // Before anybody types a password.
        let build_info = BuildInfo::read(&self.build_info)?;
        let password = password()?;
        print("Authenticating to ccm");
        let ccm = Ccm::log_in(&self.ccm_endpoint, &self.username, &password)?;
        let steps = Steps { ccm: &ccm, account_id: &self.account_id, app_name: &self.app_name, group_id: &self.group_id };
        print("Selecting the account");
        steps.select_account()?;
        steps.save_zone_certificate(&self.output_dir)?;
        let app = steps.find_or_create_app(&self.domain)?;
        steps.whitelist_domain(app, &self.domain)?;
        steps.whitelist_build(&build_info)
    }
}

/// From the environment, the terminal without echo, or the first line of standard input.
fn password() -> Result<Zeroizing<String>, Error> {
    let failed = |source| Error::Password { source };
    if let Ok(password) = std::env::var("CCM_PASSWORD") {
        return Ok(Zeroizing::new(password));
    }
    let prompt = "Enter your password: ";
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(failed);
    }
    let _ = write!(std::io::stdout(), "{prompt}");
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    print("");
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

const EXAMPLES: &str = "\
Examples:
  With dsma-local, whose variables are in DIR/env (the password among them):
    . DIR/env
    dsmactl whitelist -u $CCM_USERNAME -a $CCM_ACCOUNT_ID -g $CCM_GROUP_ID -n dsma-nitro -b DIR/build_info.json -e $CCM_ENDPOINT

CCM's certificate is checked by the system's roots, or by those of the file that SSL_CERT_FILE names.";
