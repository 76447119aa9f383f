//! The decoder on hostile and broken input: it never panics, always ends soon, and always says something.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "in a test a panic is the failure"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use privnet_core::spec::{Text, decode, render_all};
use privnet_core::spec::{aws_ids, azure_ids, gcp_ids};
use proptest::prelude::*;

const GOOD: [&str; 4] = [
    include_str!("bad_files/good/format.yaml"),
    include_str!("bad_files/good/aws.yaml"),
    include_str!("bad_files/good/azure.yaml"),
    include_str!("bad_files/good/gcp.yaml"),
];

/// Generous for a debug build; what it catches takes minutes, or for ever.
const SOON: Duration = Duration::from_secs(20);

/// What this thread has used of a processor, so that a busy machine makes nothing late; elsewhere than on Linux the time that passed.
fn used(begun: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|line| line.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

/// Decodes, and holds the outcome to what every caller relies on.
fn holds(text: &str) {
    let begun = Instant::now();
    let before = used(begun);
    let outcome = decode("fuzz.yaml", text);
    let took = used(begun).saturating_sub(before);
    assert!(took < SOON, "{took:?} for {} bytes", text.len());
    let Err(errors) = outcome else { return };
    assert!(!errors.is_empty() && errors.len() <= 1001);
    let lines = u32::try_from(text.lines().count()).unwrap().max(1);
    for error in &errors {
        assert_ne!(error.code, "internal", "{text:?}");
        assert!((1..=lines + 1).contains(&error.line), "{error:?} in {text:?}");
        assert!(
            error.column >= 1 && error.width >= 1 && error.source_line.chars().count() <= 120,
            "{error:?}"
        );
        assert!(!error.message.contains(char::is_control) && !error.source_line.contains(char::is_control));
    }
    assert!(!render_all(&errors, true).is_empty());
}

/// Pieces that are likely to meet in interesting ways.
fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "\n",
            "\n  ",
            "\n    ",
            "- ",
            ": ",
            ", ",
            "{",
            "}",
            "[",
            "]",
            "&a ",
            "*a",
            "!!str ",
            "!x ",
            "|\n ",
            ">-\n ",
            "\"",
            "'",
            "#",
            "---\n",
            "...\n",
            "? ",
            "\t",
            "\r\n",
            "~",
            "null",
            "true",
            "no",
            "0",
            "-1",
            "65536",
            "1e9",
            "*",
            "%YAML 1.2\n",
            "\u{feff}",
            "\u{85}",
            "\u{0}",
            "é",
            "𝕏",
            "version",
            "services",
            "deployment",
            "consumers",
            "defaults",
            "aws",
            "azure",
            "gcp",
            "ports",
            "listen",
            "to",
            "forwarder",
            "existing",
            "hosted",
            "remove",
            "allow",
            "name",
            "<<",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        holds(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(token(), 0..80)) {
        holds(&pieces.concat());
    }

    /// A good file with some parts cut out, doubled, moved, or replaced.
    #[test]
    fn changed_files(
        which in 0..GOOD.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..30, token(), 0_u8..4), 1..6),
    ) {
        let mut text: Vec<char> = GOOD[which].chars().collect();
        for (at, length, piece, kind) in changes {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + length).min(text.len());
            let cut: Vec<char> = text[at..end].to_vec();
            match kind {
                0 => drop(text.splice(at..end, [])),
                1 => drop(text.splice(at..at, cut)),
                2 => drop(text.splice(at..end, piece.chars())),
                _ => drop(text.splice(at..at, piece.chars())),
            }
        }
        holds(&text.into_iter().collect::<String>());
    }

    /// One scalar or key of a good file becomes something else, so that the structure stays.
    #[test]
    fn changed_values(which in 0..GOOD.len(), at in any::<prop::sample::Index>(), value in prop_oneof![
        prop::sample::select(vec!["~", "true", "{}", "[]", "0", "1", "{a: b}", "[a]", "*", "\"\"", "x", "-", "99999999999999999999999"])
            .prop_map(str::to_owned),
        "[a-z0-9:/._-]{1,40}",
    ]) {
        let text = GOOD[which];
        let words: Vec<(usize, &str)> = text
            .match_indices(|c: char| c.is_ascii_alphanumeric())
            .map(|(start, _)| start)
            .filter(|start| *start == 0 || !text.as_bytes()[start - 1].is_ascii_alphanumeric())
            .map(|start| (start, text[start..].split(|c: char| !c.is_ascii_alphanumeric() && !"-_./".contains(c)).next().unwrap()))
            .collect();
        let (start, word) = words[at.index(words.len())];
        let changed = format!("{}{value}{}", &text[..start], &text[start + word.len()..]);
        holds(&changed);
    }

    /// What an id is shown as is the id again.
    #[test]
    fn ids_read_back(
        arn in "arn:(aws|aws-us-gov|\\{partition\\}):iam::[0-9]{12}:(root|role/[a-zA-Z0-9+=,.@_-]{1,20})",
        arm in "/subscriptions/[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/resource[gG]roups/[a-z0-9_()-]{1,20}/providers/Microsoft\\.[A-Z][a-z]{1,10}/[a-z]{1,10}/[A-Za-z0-9_-]{1,20}(/[a-z]{1,10}/[A-Za-z0-9_-]{1,20})?",
        network in "(https://compute\\.googleapis\\.com/compute/v1/)?projects/[a-z][a-z0-9]{5,20}/global/networks/[a-z][a-z0-9]{0,20}",
        group in "(projects/[a-z]{6,20}/)?(zones/us-east4-a|regions/us-east4)/instanceGroups/[a-z][a-z0-9]{0,20}",
        connection in 1_u64..,
    ) {
        reads_back::<aws_ids::PrincipalArn>(&arn);
        reads_back::<azure_ids::ArmId>(&arm);
        reads_back::<gcp_ids::NetworkPath>(&network);
        reads_back::<gcp_ids::GcpInstanceGroup>(&group);
        reads_back::<gcp_ids::PscConnectionId>(&connection.to_string());
    }
}

fn reads_back<T: Text + PartialEq + std::fmt::Debug + std::fmt::Display>(text: &str) {
    let parsed = T::parse_text(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    assert_eq!(T::parse_text(&parsed.to_string()).unwrap(), parsed, "{text}");
}

#[test]
fn bombs_of_aliases_are_refused_soon() {
    let mut bomb =
        "version: 1\ndeployment: dd\nservices: []\ntags:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            .to_owned();
    for level in 1..12 {
        let below = level - 1;
        writeln!(bomb, "  a{level}: &a{level} [{}]", vec![format!("*a{below}"); 10].join(", ")).unwrap();
    }
    holds(&bomb);
    let errors = decode("bomb.yaml", &bomb).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].code, "too-many-aliases");
    // A million repeated maps that are all wrong: bounded in time and in what is said.
    let many = format!(
        "version: 1\ndeployment: dd\nx: &x {{ y: z }}\nservices: [{}]\n",
        vec!["*x"; 200_000].join(", ")
    );
    holds(&many);
}

#[test]
fn deep_nesting_is_refused_soon() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        for depth in [60, 70, 250, 300, 100_000] {
            holds(&format!("{}{}", open.repeat(depth), close.repeat(depth)));
        }
    }
    let stairs: String = (0..5000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    holds(&stairs);
}

#[test]
fn long_things_are_read_soon() {
    holds(&format!("version: 1\ndeployment: {}\n", "a".repeat(2_000_000)));
    holds(&format!("version: 1\ndeployment: \"{}\n", "\\n".repeat(500_000)));
    holds(&"a: b\n".repeat(100_000));
    holds(&format!("{{{}}}", (0..50_000).map(|n| format!("k{n}: v")).collect::<Vec<_>>().join(", ")));
    holds(&format!("[{}]", vec!["*x"; 100_000].join(", ")));
}

/// A deployment of that many services, with each cloud in turn.
fn large(services: usize) -> String {
    let mut text = "\
version: 1
deployment: large
consumers: { v: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] }, gcp: { projects: [acme-apps] } } }
defaults:
  aws: { account: \"123456789012\", region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1] }
  azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg, location: eastus2, vnet: hub, load_balancer_subnet: lb }
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
"
    .to_owned();
    for number in 0..services {
        let cloud = match number % 3 {
            0 => "aws: { ports: [{ listen: 5432, engine: postgres, to: { ips: [10.0.3.17, 10.0.4.17] } }] }"
                .to_owned(),
            1 => "azure: { nat_subnet: { existing: nat }, ports: [{ listen: 5432, to: { nics: [db] } }] }"
                .to_owned(),
            _ => format!(
                "gcp: {{ nat_subnets: [{{ existing: nat-{number} }}], ports: [{{ listen: 5432, to: {{ instances: [zones/us-east4-b/instances/db-{number}] }} }}] }}"
            ),
        };
        let consumer = if number % 3 == 0 { "fivetran" } else { "v" };
        writeln!(text, "  - name: s{number}\n    allow: {{ {consumer}: {{}} }}\n    {cloud}").unwrap();
    }
    text
}

#[test]
fn time_grows_with_the_file_and_no_faster() {
    let time = |services: usize| {
        let text = large(services);
        (0..3)
            .map(|_| {
                let begun = Instant::now();
                let spec = decode("large.yaml", &text)
                    .unwrap_or_else(|errors| panic!("{}", render_all(&errors[..1], false)));
                assert_eq!(spec.services.len(), services);
                begun.elapsed()
            })
            .min()
            .unwrap()
    };
    let (small, large) = (time(500), time(5000));
    println!("500 services: {small:?}; 5,000: {large:?}");
    // Ten times the file; a square would be a hundred times. The machine may be busy.
    assert!(large < small * 40 + Duration::from_millis(50), "{small:?}, {large:?}");
}
