//! The steps, in the words of the vendor's script.

use std::path::Path;

use serde_json::{Value, json};

use super::build_info::BuildInfo;
use crate::ccm::Ccm;
use crate::error::Error;
use crate::print;

/// What every step needs.
pub(super) struct Steps<'a> {
    pub(super) ccm: &'a Ccm,
    pub(super) account_id: &'a str,
    pub(super) app_name: &'a str,
    pub(super) group_id: &'a str,
}

impl Steps<'_> {
    pub(super) fn select_account(&self) -> Result<(), Error> {
        let path = format!("/v1/sys/session/select_account/{}", self.account_id);
        self.ccm.call("select the account", "POST", &path, None).map(|_| ())
    }

    /// The certificate of this account's zone, not of any other that the user may see.
    pub(super) fn save_zone_certificate(&self, dir: &Path) -> Result<(), Error> {
        let zones = self.ccm.call("list the zones", "GET", "/v1/zones", None)?;
        let mut zones = zones.as_array().into_iter().flatten();
        let zone = zones.find(|zone| zone["acct_id"].as_str().is_some_and(|id| id.eq_ignore_ascii_case(self.account_id)));
        let certificate = zone.and_then(|zone| zone["certificate"].as_str()).ok_or_else(|| self.ccm.odd("no zone of this account"))?;
        let path = dir.join("zone_cert.pem");
        print(&format!("Copying the zone CA certificate to {}", path.display()));
        let part = dir.join("zone_cert.pem.new");
        let write = || {
            std::fs::write(&part, certificate)?;
            std::fs::rename(&part, &path)
        };
        write().map_err(|source| Error::Write { path, source })
    }

    /// The app with exactly this name: CCM's `name` is a search.
    pub(super) fn find_or_create_app(&self, domain: &str) -> Result<Value, Error> {
        let found = self.ccm.call("list the apps", "GET", &format!("/v1/apps?limit=1000&name={}", escaped(self.app_name)), None)?;
        let mut items = found["items"].as_array().into_iter().flatten();
        let app = match items.find(|app| app["name"] == self.app_name) {
            Some(app) => {
                if app["group_id"].as_str().is_some_and(|group| !group.eq_ignore_ascii_case(self.group_id)) {
                    let group = app["group_id"].as_str().unwrap_or_default().to_owned();
                    return Err(Error::OtherGroup { app: self.app_name.to_owned(), group });
                }
                print("App exists already");
                app.clone()
            }
            None => {
                print("App does not exist, creating one");
                let request = json!({
                    "name": self.app_name,
                    "group_id": self.group_id,
                    "input_image_name": self.app_name,
                    "output_image_name": self.app_name,
                    "allowed_domains": [domain],
                });
                self.ccm.call("create the app", "POST", "/v1/apps", Some(&request))?
            }
        };
        print(&format!("APPID: {}", app["app_id"]));
        Ok(app)
    }

    pub(super) fn whitelist_domain(&self, mut app: Value, domain: &str) -> Result<(), Error> {
        print("Whitelisting the Domain");
        if contains(&app["whitelisted_domains"], domain) {
            print("The Domain is whitelisted already");
            return Ok(());
        }
        let path = format!("/v1/apps/{}", self.text(&app["app_id"])?);
        if !contains(&app["allowed_domains"], domain) {
            let wanted = app["allowed_domains"].as_array().into_iter().flatten().cloned().chain([json!(domain)]);
            let request = json!({ "allowed_domains": wanted.collect::<Vec<_>>() });
            app = self.ccm.call("add the domain", "PATCH", &path, Some(&request))?;
        }
        self.approve("approve the domain", &app)?;
        print("Successfully whitelisted the Domain");
        Ok(())
    }

    pub(super) fn whitelist_build(&self, info: &BuildInfo) -> Result<(), Error> {
        let app = self.find_app()?;
        let app_id = self.text(&app["app_id"])?;
        let builds = self.ccm.call("list the builds", "GET", "/v1/builds?limit=1000", None)?;
        let known = builds["items"].as_array().into_iter().flatten().find(|build| info.is(build)).cloned();
        let build = match known {
            Some(build) if build["app_id"] == app["app_id"] => {
                print(&format!("The build was added to the app:{} already", self.app_name));
                build
            }
            Some(build) => {
                let app = build["app_name"].as_str().unwrap_or_default().to_owned();
                return Err(Error::OtherApp { app, build: self.text(&build["build_id"])?.to_owned() });
            }
            None => {
                let request = info.request(app_id, self.app_name, self.group_id);
                let build = self.ccm.call("add the build", "POST", "/v1/builds", Some(&request))?;
                print(&format!("Successfully added the build to the app:{}", self.app_name));
                build
            }
        };
        print("Whitelisting the build");
        match build["status"]["status"].as_str() {
            Some("WHITELISTED") => print("The build is whitelisted already"),
            Some("REJECTED") => return Err(Error::Rejected { build: self.text(&build["build_id"])?.to_owned() }),
            _ => {
                self.approve("approve the build", &build)?;
                print("Successfully whitelisted the build");
            }
        }
        Ok(())
    }

    fn find_app(&self) -> Result<Value, Error> {
        let found = self.ccm.call("list the apps", "GET", &format!("/v1/apps?limit=1000&name={}", escaped(self.app_name)), None)?;
        let mut items = found["items"].as_array().into_iter().flatten();
        items.find(|app| app["name"] == self.app_name).cloned().ok_or_else(|| self.ccm.odd("the app is gone"))
    }

    /// Approves the task that an app or a build waits for.
    fn approve(&self, what: &'static str, pending: &Value) -> Result<(), Error> {
        let task = self.text(&pending["pending_task_id"])?;
        let result = self.ccm.call(what, "PATCH", &format!("/v1/tasks/{task}"), Some(&json!({ "status": "APPROVED" })))?;
        match result["task_status"]["status"].as_str() {
            Some("SUCCESS") => Ok(()),
            // An account may want more than one approval.
            _ => Err(Error::Undecided { what, task: task.to_owned() }),
        }
    }

    fn text<'v>(&self, value: &'v Value) -> Result<&'v str, Error> {
        value.as_str().ok_or_else(|| self.ccm.odd("an id is missing"))
    }
}

fn contains(list: &Value, text: &str) -> bool {
    list.as_array().into_iter().flatten().any(|item| item.as_str().is_some_and(|item| item.eq_ignore_ascii_case(text)))
}

/// Percent-encoding (RFC 3986) of all that is not unreserved.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
