//! A Query request to the local AWS, or a JSON request to the local Azure or GCP, as somebody else's program would send it: so that something drifts, and privnet is not who did it.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Which API is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// EC2, version 2016-11-15.
    Ec2,
    /// Elastic Load Balancing v2, version 2015-12-01.
    Elb,
}

/// Who asks, and where: an access key of the local cloud, and a region.
pub type Caller = (&'static str, &'static str);

/// The account that the service is in, in its region.
const OWN: Caller = ("AKIASANDBOX123456789", "us-east-1");

/// The answer's body. `parameters` are written as they are: names and values of plain characters, `:` and `/`.
///
/// # Errors
/// When the cloud does not answer, or answers with an error.
pub fn query(url: &str, api: Api, action: &str, parameters: &[(&str, &str)]) -> io::Result<String> {
    query_as(OWN, url, api, action, parameters)
}

/// The same asked by somebody else, or somewhere else.
///
/// # Errors
/// As for [`query`].
pub fn query_as(
    (key, region): Caller,
    url: &str,
    api: Api,
    action: &str,
    parameters: &[(&str, &str)],
) -> io::Result<String> {
    let (service, version) = match api {
        Api::Ec2 => ("ec2", "2016-11-15"),
        Api::Elb => ("elasticloadbalancing", "2015-12-01"),
    };
    let mut body = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        body.push_str(&format!("&{name}={}", value.replace(':', "%3A").replace('/', "%2F")));
    }
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(answer) } else { Err(io::Error::other(answer)) }
}

/// The answer of Azure's or GCP's REST API.
///
/// # Errors
/// When the cloud does not answer, answers with an error, or with something else than JSON.
pub fn rest(url: &str, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Authorization: Bearer sandbox\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 20") => Ok(serde_json::from_str(body)?),
        _ => Err(io::Error::other(answer)),
    }
}

/// The text of the first element of this name after `from`.
#[must_use]
pub fn element<'a>(xml: &'a str, from: &str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(from)?;
    let (_, rest) = rest.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}
