use super::*;

fn there(region: &'static str) -> Caller {
    Caller { region, ..OWNER }
}

/// Name and status of each Region that is answered.
fn regions(bench: &Bench, caller: Caller, parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    let text = success(&bench.answer_as(caller, Api::Ec2, "DescribeRegions", parameters));
    values(&text, "regionName").into_iter().zip(values(&text, "optInStatus")).collect()
}

fn status(bench: &Bench, caller: Caller, name: &str) -> String {
    let found = regions(bench, caller, &[("RegionName.1", name)]);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].1.clone()
}

#[test]
fn an_account_is_shown_the_regions_that_it_has_and_all_on_request() {
    let bench = Bench::new();
    let own = regions(&bench, OWNER, &[]);
    assert_eq!(own.len(), 17);
    assert!(own.iter().all(|(_, status)| status == "opt-in-not-required"), "{own:?}");
    let all = regions(&bench, OWNER, &[("AllRegions", "true")]);
    assert_eq!(all.len(), 34);
    assert!(all.contains(&("af-south-1".to_owned(), "not-opted-in".to_owned())));
    assert_eq!(regions(&bench, OWNER, &[("AllRegions", "false")]), own);
    // An account of another partition has that partition's alone.
    for (caller, names) in [
        (there("cn-north-1"), ["cn-north-1", "cn-northwest-1"]),
        (there("us-gov-west-1"), ["us-gov-east-1", "us-gov-west-1"]),
    ] {
        let found = regions(&bench, caller, &[("AllRegions", "true")]);
        assert_eq!(found, names.map(|name| (name.to_owned(), "opt-in-not-required".to_owned())));
    }
}

#[test]
fn a_region_that_the_account_uses_is_opted_in() {
    let bench = Bench::new();
    assert_eq!(status(&bench, OWNER, "eu-south-1"), "not-opted-in");
    assert_eq!(status(&bench, there("eu-south-1"), "eu-south-1"), "opted-in");
    assert_eq!(regions(&bench, there("eu-south-1"), &[]).len(), 18);
    assert_eq!(status(&bench, OWNER, "eu-south-1"), "not-opted-in");
    let template = [("LaunchTemplateName", "there"), ("LaunchTemplateData.InstanceType", "t4g.small")];
    success(&bench.answer_as(there("eu-south-1"), Api::Ec2, "CreateLaunchTemplate", &template));
    assert_eq!(status(&bench, OWNER, "eu-south-1"), "opted-in");
    assert_eq!(status(&bench, CONSUMER, "eu-south-1"), "not-opted-in");
}

#[test]
fn what_is_named_is_shown_whether_it_is_enabled_or_not() {
    let bench = Bench::new();
    let named =
        [("RegionName.1", "us-west-2"), ("RegionName.2", "mx-central-1"), ("RegionName.3", "us-west-2")];
    let text = bench.ec2("DescribeRegions", &named);
    assert_eq!(values(&text, "regionName"), ["mx-central-1", "us-west-2"]);
    assert_eq!(
        values(&text, "regionEndpoint"),
        ["ec2.mx-central-1.amazonaws.com", "ec2.us-west-2.amazonaws.com"]
    );
    assert_eq!(
        values(&text, "geographySet"),
        ["<item><name>Mexico</name></item>", "<item><name>United States of America</name></item>"]
    );
    let text = success(&bench.answer_as(there("cn-north-1"), Api::Ec2, "DescribeRegions", &[]));
    assert_eq!(
        values(&text, "regionEndpoint"),
        ["ec2.cn-north-1.amazonaws.com.cn", "ec2.cn-northwest-1.amazonaws.com.cn"]
    );
}

#[test]
fn a_region_that_is_not_there_is_refused() {
    let bench = Bench::new();
    let refused = |caller, parameters: &[(&str, &str)]| {
        let answer = bench.answer_as(caller, Api::Ec2, "DescribeRegions", parameters);
        assert_eq!((answer.status, failure(&answer).as_str()), (400, "InvalidParameterValue"));
        value(&answer.text(), "Message")
    };
    let several =
        [("RegionName.1", "us-east-1"), ("RegionName.2", "us-east-9"), ("RegionName.3", "eu-west-9")];
    assert_eq!(refused(OWNER, &several), "Invalid region: [eu-west-9]");
    // Another partition's is as unknown as one that is nowhere.
    assert_eq!(refused(OWNER, &[("RegionName.1", "us-gov-east-1")]), "Invalid region: [us-gov-east-1]");
    assert_eq!(refused(there("cn-north-1"), &[("RegionName.1", "us-east-1")]), "Invalid region: [us-east-1]");
}

#[test]
fn filters_are_applied_to_what_is_shown() {
    let bench = Bench::new();
    let names = |parameters: &[(&str, &str)]| -> Vec<String> {
        regions(&bench, OWNER, parameters).into_iter().map(|(name, _)| name).collect()
    };
    let by = |name, value| [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
    assert_eq!(names(&by("endpoint", "ec2.us-west-*")), ["us-west-1", "us-west-2"]);
    assert_eq!(names(&by("region-name", "eu-central-?")), ["eu-central-1"]);
    assert!(names(&by("opt-in-status", "not-opted-in")).is_empty());
    let mut all = by("opt-in-status", "not-opted-in").to_vec();
    all.push(("AllRegions", "true"));
    assert_eq!(names(&all).len(), 17);
    assert_eq!(bench.ec2_error("DescribeRegions", &by("state", "available")), "InvalidParameterValue");
    assert_eq!(bench.ec2_error("DescribeRegions", &by("tag:Name", "a")), "InvalidParameterValue");
    assert_eq!(bench.ec2_error("DescribeRegions", &[("DryRun", "true")]), "DryRunOperation");
}
