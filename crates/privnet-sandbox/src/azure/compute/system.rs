//! The operating system's part of a machine or of a scale set: how one gets in, and what the machine is given. Passwords and custom data are
//! checked, and only a digest of the data is kept.

use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::azure::error::ArmError;
use crate::azure::kind::Put;

/// Where the digest of write-only parts is kept; answers leave it out.
pub(crate) const DIGEST: &str = "$digest";

/// 400 of the compute provider, with the parameter that is wrong.
pub(super) fn parameter(target: &str, message: impl Into<String>) -> ArmError {
    let mut error = ArmError::invalid("InvalidParameter", message);
    error.details.push(("Target".to_owned(), target.to_owned()));
    error
}

/// Checks who gets in and what is given, takes that out, and gives the digest of what is given, or was before.
pub(super) fn check_access(put: &Put<'_>, system: &mut Value) -> Result<Option<Value>, ArmError> {
    let mut digest = Sha256::new();
    if let Some(data) = system["customData"].as_str() {
        let good = data.len() <= 87380 && base64::engine::general_purpose::STANDARD.decode(data).is_ok();
        if !good {
            return Err(parameter(
                "customData",
                "Custom data in OSProfile must be in Base64 encoding and with a maximum length of 87380 characters.",
            ));
        }
        digest.update(data);
    }
    let linux = &system["linuxConfiguration"];
    let keys = linux["ssh"]["publicKeys"].as_array().is_some_and(|keys| !keys.is_empty());
    let had_access = put.old.is_some();
    if linux.is_object() && !keys && system["adminPassword"].as_str().is_none() && !had_access {
        return Err(parameter(
            "linuxConfiguration",
            "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
        ));
    }
    if !linux.is_object() && system["adminPassword"].as_str().is_none() && !had_access {
        return Err(parameter("adminPassword", "Required parameter 'adminPassword' is missing (null)."));
    }
    let given = system["customData"].is_string();
    if let Some(map) = system.as_object_mut() {
        map.remove("customData");
        map.remove("adminPassword");
    }
    let kept = put.old.and_then(|old| old.body.get(DIGEST)).cloned();
    Ok(if given { Some(json!(hex(&digest.finalize()))) } else { kept })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
