//! STS: who the caller is, and roles in other accounts.

use serde::Deserialize;
use serde_json::json;

use super::call::{Call, Handler, Signature, Tx};
use super::error::{ApiError, Reply};
use super::ids::{hex, partition};
use super::world::{Session, after, ids, wire_time};

pub(crate) fn handler(action: &str) -> Option<Handler> {
    match action {
        "GetCallerIdentity" => Some(get_caller_identity),
        "AssumeRole" => Some(assume_role),
        _ => None,
    }
}

/// Whose key a request was signed with. Unknown keys are the default account's.
pub(crate) fn caller(tx: &Tx, signature: &Signature) -> Session {
    if let Some(session) = tx.sessions.get(&signature.access_key) {
        return session.clone();
    }
    let known = ids::KEYS.iter().find(|(key, _)| *key == signature.access_key);
    let account = known.map_or(ids::ACCOUNT, |(_, account)| account);
    Session {
        account: account.to_owned(),
        arn: format!("arn:{}:iam::{account}:user/sandbox", partition(&signature.region)),
        user_id: format!("AIDASANDBOX{}", &account[..10]),
    }
}

fn get_caller_identity(_: &mut Tx, call: &Call) -> Reply {
    let Session { account, arn, user_id } = &call.caller;
    Ok(json!({"UserId": user_id, "Account": account, "Arn": arn}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    external_id: Option<String>,
    #[serde(default = "an_hour")]
    duration_seconds: i64,
}

fn an_hour() -> i64 {
    3600
}

fn assume_role(tx: &mut Tx, call: &Call) -> Reply {
    let input: AssumeRole = call.input()?;
    let parts: Vec<&str> = input.role_arn.splitn(6, ':').collect();
    let [_, of_partition, "iam", "", account, role] = parts[..] else {
        return Err(ApiError::new("ValidationError", format!("{} is invalid", input.role_arn)));
    };
    let name = role.strip_prefix("role/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let exists = [ids::ACCOUNT, ids::SECOND_ACCOUNT, ids::FIVETRAN].contains(&account)
        && !name.is_empty()
        && of_partition == call.partition();
    let let_in = name != ids::GUARDED_ROLE || input.external_id.as_deref() == Some(ids::EXTERNAL_ID);
    if !exists || !let_in {
        // STS does not tell a role that is not there from one that does not trust the caller.
        let why = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
            call.caller.arn, input.role_arn
        );
        return Err(ApiError::new("AccessDenied", why));
    }
    let key = format!("ASIA{}", hex(16).to_uppercase());
    let id = format!("AROASANDBOX{}:{}", &account[..10], input.role_session_name);
    let arn =
        format!("arn:{}:sts::{account}:assumed-role/{name}/{}", call.partition(), input.role_session_name);
    let session = Session { account: account.to_owned(), arn: arn.clone(), user_id: id.clone() };
    tx.sessions.insert(key.clone(), session);
    Ok(json!({
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": hex(40),
            "SessionToken": hex(64),
            "Expiration": wire_time(after(call.now, input.duration_seconds)),
        },
        "AssumedRoleUser": {"AssumedRoleId": id, "Arn": arn},
    }))
}
