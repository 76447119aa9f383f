//! Answers that are whole. The SDK reads one that ends before its end, as a proxy may leave it, without a word: what would have come is
//! missing then, which says of things that are there that they are not.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// An answer that ends before the end of its document.
#[derive(Debug, thiserror::Error)]
#[error("the answer ends before its end")]
pub(crate) struct CutShort;

/// Looks at the end of each answer that is a success.
#[derive(Debug)]
pub(crate) struct Whole;

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let body = answer.body().bytes().unwrap_or_default();
        if answer.status().is_success() && !is_whole(body) { Err(CutShort.into()) } else { Ok(()) }
    }
}

/// Whether an XML document ends with its root's end: all answers have one that is `<Operation>Response`, with something in it.
fn is_whole(body: &[u8]) -> bool {
    body.trim_ascii_end().ends_with(b"Response>")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;

    use privnet_core::execute::{Context, Events, Settings};
    use privnet_core::{Error, ErrorKind};

    use crate::clients::Reach;
    use crate::cloud::Cloud;
    use crate::{auto_scaling, balancing, privatelink};

    /// A server that answers every request alike: as a proxy does, whatever is asked.
    fn answers(status: &str, body: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        url
    }

    fn context() -> Context {
        let settings = Settings { pace: 1000.0, ..Settings::default() };
        Context::new(settings, Events::none(), Default::default())
    }

    async fn each(status: &str, body: &str) -> Vec<Result<usize, Error>> {
        let (reach, context) = (Reach::local(answers(status, body)), context());
        let cloud = Cloud { reach: &reach, context: &context };
        vec![
            privatelink::services(&cloud).await.map(|all| all.len()),
            privatelink::connections(&cloud, None).await.map(|all| all.len()),
            balancing::load_balancers(&cloud).await.map(|all| all.len()),
            auto_scaling::groups(&cloud, "d", &BTreeSet::new()).await.map(|all| all.len()),
        ]
    }

    /// A proxy may answer with a page of its own, or with nothing: that is no empty account.
    #[tokio::test]
    async fn what_is_no_answer_of_awss_says_of_nothing_that_it_is_not_there() {
        let page = "<html>Sign in</html>";
        let other = [("200 OK", page), ("200 OK", "{}"), ("200 OK", "null"), ("200 OK", "")];
        for (status, body) in other.into_iter().chain([("204 No Content", ""), ("404 Not Found", page)]) {
            for answer in each(status, body).await {
                let error = answer.expect_err("no list");
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{status} {body}: {error}");
                assert!(error.hints()[0].contains("is a proxy in between"), "{:?}", error.hints());
            }
        }
    }

    #[tokio::test]
    async fn what_an_answer_that_is_cut_short_does_not_show_may_be_there() {
        let services = "<DescribeVpcEndpointServiceConfigurationsResponse><serviceConfigurationSet>";
        let balancers = "<DescribeLoadBalancersResponse><DescribeLoadBalancersResult><LoadBalancers>";
        for (nth, body) in [
            (0, services.to_owned()),
            (0, format!("{services}<item><serviceId>vpce-svc-1</serviceId></item><item><serv")),
            (0, format!("{services}</serviceConfigurationSet>")),
            (2, balancers.to_owned()),
            (2, format!("{balancers}<member><LoadBalancerName>a</LoadBalancerName></member><member><Lo")),
        ] {
            let error = each("200 OK", &body).await.swap_remove(nth).expect_err("no list");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{body}: {error}");
            assert!(error.to_string().contains("cannot be read"), "{error}");
        }
        let body = format!(
            "{services}</serviceConfigurationSet></DescribeVpcEndpointServiceConfigurationsResponse>\n"
        );
        assert_eq!(each("200 OK", &body).await.swap_remove(0).expect("a list"), 0);
    }
}
