//! What the file says of an endpoint service changes in place: names, families, zones, regions, tags, who is allowed and who is told.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Tag;
use privnet_core::plan::{Op, PlanOptions, Rule};
use privnet_core::spec::presets_in;
use privnet_core::{ErrorKind, Live};

use crate::stage::{Stage, failure, file, service, until};
use crate::{DESTROY, FIVETRAN, SUPPLIED_BALANCER, changed, principals, service_id};

#[tokio::test(flavor = "multi_thread")]
async fn principals_follow_the_file_and_drift_is_mended() {
    let stage = Stage::open().await;
    let one = file("");
    stage.apply(&one).await;
    stage.assert_settled(&one).await;
    let id = service_id(&stage, &one).await;
    assert_eq!(principals(&stage, &id).await, BTreeSet::from([FIVETRAN.to_owned()]));

    // On a service of its own every principal is privnet's: one that was added by hand goes again.
    let stray = "arn:aws:iam::999988887777:root";
    let add =
        stage.ec2().modify_vpc_endpoint_service_permissions().service_id(&id).add_allowed_principals(stray);
    add.send().await.unwrap();
    let plan = until("the stray principal is seen", || async {
        let plan = stage.plan(&one).await;
        (!plan.is_empty()).then_some(plan)
    })
    .await;
    assert_eq!(changed(&plan), BTreeSet::from(["allowed-principals.principals".to_owned()]));
    assert!(plan.warnings.iter().any(|w| w.contains(stray) && w.contains("disconnects nobody")), "{plan:#?}");
    stage.apply(&one).await;
    assert_eq!(principals(&stage, &id).await, BTreeSet::from([FIVETRAN.to_owned()]));

    // Another consumer.
    let two = service("allow: { fivetran: {}, dbt-cloud: {} }", "");
    stage.apply(&two).await;
    stage.assert_settled(&two).await;
    assert_eq!(principals(&stage, &id).await.len(), 2);
    stage.apply(&one).await;
    stage.assert_settled(&one).await;
    assert_eq!(service_id(&stage, &one).await, id, "the hand-over is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_name_is_asked_for_and_waited_for() {
    let stage = Stage::open().await;
    let named = file("private_dns_name: db.corp.example");
    stage.apply(&named).await;
    let plan = stage.plan(&named).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let wait =
        plan.waits.iter().find(|wait| wait.why.contains("db.corp.example")).expect("a wait for the record");
    assert!(wait.on == "you" && wait.why.contains("TXT"), "{wait:?}");
    let handoff = {
        let driver = stage.driver();
        let (_, world) = driver.observe(&named, privnet_core::Purpose::Plan).await;
        use privnet_core::conformance::Subject as _;
        stage.provider().handoff(&named, &named.services[0], &world)
    };
    assert!(handoff.fields.contains_key("private_dns_record"), "{handoff:?}");
    assert_eq!(handoff.fields["az_ids"].as_array().unwrap().len(), 2);
    assert!(
        handoff.fields["service_name"]
            .as_str()
            .unwrap()
            .starts_with("com.amazonaws.vpce.us-east-1.vpce-svc-")
    );

    // AWS does not find the record: that is somebody's to do, and no reason for another apply.
    until("the verification has failed", || async {
        let live = stage.live(&named, "endpoint-service").await.unwrap();
        let record = live.fields["private_dns_record"].as_map().unwrap().clone();
        (record["state"] == privnet_core::Value::text("failed")).then_some(())
    })
    .await;
    stage.assert_settled(&named).await;

    // Once it is there, apply asks AWS to look again.
    let record = &handoff.fields["private_dns_record"];
    stage.set_text(record["name"].as_str().unwrap(), record["value"].as_str().unwrap());
    let plan = stage.apply(&named).await;
    assert_eq!(changed(&plan), BTreeSet::from(["endpoint-service.private_dns_verification".to_owned()]));
    until("the name is verified", || async {
        let plan = stage.plan(&named).await;
        assert!(plan.is_empty(), "{plan:#?}");
        (!plan.waits.iter().any(|wait| wait.why.contains("TXT"))).then_some(())
    })
    .await;

    // Out of the file, off the service.
    let plain = file("");
    let plan = stage.apply(&plain).await;
    assert_eq!(changed(&plan), BTreeSet::from(["endpoint-service.private_dns_name".to_owned()]));
    stage.assert_settled(&plain).await;
    assert_eq!(
        stage.live(&plain, "endpoint-service").await.unwrap().fields["private_dns_name"],
        privnet_core::Value::Null
    );

    // Given back, it is verified anew: what was started for the name of before says nothing of this one.
    stage.apply(&named).await;
    until("the name that was given back is being verified", || async {
        let live = stage.live(&named, "endpoint-service").await.unwrap();
        let record = live.fields["private_dns_record"].as_map().unwrap().clone();
        (record["state"] != privnet_core::Value::text("pendingVerification")).then_some(())
    })
    .await;
    stage.assert_settled(&named).await;
}

/// Who leaves the list in the same edit that opens the service is off it before the door is open: else he would be let in, unasked.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_opened_after_its_list_is_cut() {
    let stage = Stage::open().await;
    let asked = service("allow: { fivetran: {}, dbt-cloud: {} }", "");
    stage.apply(&asked).await;
    let id = service_id(&stage, &asked).await;
    let open = service("allow: { fivetran: {} }\n    acceptance: automatic", "");
    stage.fault("aws:ModifyVpcEndpointServicePermissions:1+:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&open, PlanOptions::default()).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Denied);
    let required = |live: Live| live.fields["acceptance_required"].as_bool();
    assert_eq!(required(stage.live(&open, "endpoint-service").await.unwrap()), Some(true));
    stage.heal();
    stage.apply(&open).await;
    assert_eq!(required(stage.live(&open, "endpoint-service").await.unwrap()), Some(false));
    assert_eq!(service_id(&stage, &open).await, id);
    stage.assert_settled(&open).await;
    // The other way round the door is shut first, whoever comes on the list.
    stage.fault("aws:ModifyVpcEndpointServiceConfiguration:1+:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&asked, PlanOptions::default()).await;
    assert!(!report.all_done());
    let names = stage.live(&asked, "allowed-principals").await.unwrap().fields["principals"].clone();
    assert_eq!(names.as_list().map(<[_]>::len), Some(1), "{names}");
}

/// A service that nobody is to be allowed on would be open to those on its list until that goes: they are taken off first, by another file.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_not_opened_to_a_list_that_nobody_is_to_be_on() {
    let stage = Stage::open().await;
    stage.apply(&file("")).await;
    let nobody = |policy: &str| {
        let mut spec = service(policy, "");
        spec.consumers.clear();
        spec
    };
    let (manual, open) =
        (nobody("allow: { fivetran: {} }"), nobody("allow: { fivetran: {} }\n    acceptance: automatic"));
    let plan = stage.plan(&open).await;
    let refused = plan.refusals.iter().any(|refusal| refusal.why.contains("`acceptance: manual` first"));
    assert!(refused && plan.is_empty(), "{plan:#?}");
    stage.apply(&manual).await;
    stage.apply(&open).await;
    stage.assert_settled(&open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_in_place() {
    let stage = Stage::open().await;
    let plain = file("");
    stage.apply(&plain).await;
    let id = service_id(&stage, &plain).await;
    let topic = "arn:aws:sns:us-east-1:123456789012:privnet-connections";
    let more = service(
        "allow: { fivetran: {} }\n    acceptance: automatic",
        &format!(
            "ip_address_type: ipv4\nsupported_regions: [us-east-1, eu-west-1]\nnotification: {{ sns_topic: \"{topic}\", events: [Accept, Connect] }}"
        ),
    );
    let plan = stage.apply(&more).await;
    assert_eq!(service_id(&stage, &more).await, id);
    assert!(changed(&plan).contains("endpoint-service.acceptance_required"), "{plan:#?}");
    assert!(changed(&plan).contains("endpoint-service.supported_regions"));
    assert!(plan.warnings.iter().any(|warning| warning.contains("automatic")));
    stage.assert_settled(&more).await;

    let other = service(
        "allow: { fivetran: {} }",
        &format!(
            "supported_regions: [us-east-1]\nnotification: {{ sns_topic: \"{topic}\", events: [Reject] }}"
        ),
    );
    let plan = stage.apply(&other).await;
    assert!(changed(&plan).contains("connection-notification.events"), "{plan:#?}");
    stage.assert_settled(&other).await;

    let plan = stage.apply(&plain).await;
    assert!(
        plan.actions.iter().any(|a| a.op == Op::Delete && a.address.kind == "connection-notification"),
        "{plan:#?}"
    );
    stage.assert_settled(&plain).await;
    stage.apply_with(&plain, DESTROY).await;
    assert!(stage.world(&plain).await.live.is_empty());
}

/// To both families and back: the endpoint service leaves IPv6 before its load balancer does, and not under a live consumer.
#[tokio::test(flavor = "multi_thread")]
async fn ipv6_comes_and_goes() {
    let stage = Stage::open().await;
    let (ipv4, both) = (file("ip_address_type: ipv4"), file("ip_address_type: dualstack"));
    for spec in [&ipv4, &both, &ipv4, &both] {
        stage.apply(spec).await;
        stage.assert_settled(spec).await;
    }
    stage.until_pending(&both, "orders", 1).await;
    stage.decide(&both, &privnet_core::accept::Ask::default()).await;
    let plan = stage.plan(&ipv4).await;
    assert!(plan.actions.is_empty(), "{plan:#?}");
    assert!(plan.refusals.iter().any(|refusal| refusal.rule == Rule::WouldSever), "{:#?}", plan.refusals);
    stage.apply_with(&ipv4, PlanOptions { sever_connections: true, ..PlanOptions::default() }).await;
    stage.assert_settled(&ipv4).await;
}

/// Zones that the load balancer gains reach the service only when it is associated again, and no consumer is cut.
#[tokio::test(flavor = "multi_thread")]
async fn zones_added_later_reach_the_service() {
    let stage = Stage::open().await;
    let two = file("");
    stage.apply(&two).await;
    let id = service_id(&stage, &two).await;
    stage.until_pending(&two, "orders", 2).await;
    stage.decide(&two, &privnet_core::accept::Ask::default()).await;
    let three =
        file("subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2, subnet-0ccccccccccccccc3]");
    let plan = stage.apply(&three).await;
    assert!(changed(&plan).contains("endpoint-service.zones"), "{plan:#?}");
    let live = stage.live(&three, "endpoint-service").await.unwrap();
    assert_eq!((live.id.as_str(), live.fields["zones"].as_list().unwrap().len()), (id.as_str(), 3));
    stage.assert_settled(&three).await;
    let connected = stage.connections(&three, "orders").await;
    assert_eq!(
        connected.iter().filter(|c| c.state.may_be_live()).count(),
        1,
        "the consumer stayed: {connected:?}"
    );
}

/// The presets are data of privnet's own: when a vendor's account changes there, the next plan says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_preset_is_a_difference() {
    const DATA: &str = include_str!("../../../../crates/privnet-core/presets/consumers.yaml");
    let stage = Stage::open().await;
    let mut spec = file("");
    stage.apply(&spec).await;
    let later = presets_in(&DATA.replace("834469178297", "555566667777")).unwrap();
    spec.consumers.get_mut(&"fivetran".parse().unwrap()).unwrap().aws.clone_from(&later["fivetran"].aws);
    let plan = stage.plan(&spec).await;
    assert_eq!(changed(&plan), BTreeSet::from(["allowed-principals.principals".to_owned()]), "{plan:#?}");
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let id = service_id(&stage, &spec).await;
    assert_eq!(
        principals(&stage, &id).await,
        BTreeSet::from([FIVETRAN.replace("834469178297", "555566667777")])
    );
}

/// Regions that left the file stay, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn regions_that_left_the_file_stay_and_are_named() {
    let stage = Stage::open().await;
    stage.apply(&file("supported_regions: [us-east-1, eu-west-1]")).await;
    let plan = stage.plan(&file("")).await;
    assert!(plan.is_empty(), "{plan:#?}");
    assert!(plan.warnings.iter().any(|warning| warning.contains("eu-west-1")), "{:#?}", plan.warnings);
    let plan = stage.apply(&file("supported_regions: [us-east-1]")).await;
    assert_eq!(changed(&plan), BTreeSet::from(["endpoint-service.supported_regions".to_owned()]));
    assert!(!stage.plan(&file("")).await.warnings.iter().any(|warning| warning.contains("eu-west-1")));
}

/// The user's tags follow the file; those that others set stay.
#[tokio::test(flavor = "multi_thread")]
async fn tags_follow_the_file_on_services_and_permissions() {
    let stage = Stage::open().await;
    let with = |tags: &str| {
        let mut spec = file("");
        let entries = tags.split_whitespace().filter_map(|pair| pair.split_once('='));
        spec.tags = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        spec
    };
    stage.apply(&with("team=data cost=1")).await;
    let id = service_id(&stage, &with("")).await;
    let tag = Tag::builder().key("theirs").value("x").build();
    stage.ec2().create_tags().resources(&id).tags(tag).send().await.unwrap();
    stage.apply(&with("team=ops")).await;
    stage.assert_settled(&with("team=ops")).await;
    let described =
        stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(&id).send().await.unwrap();
    let tags: BTreeSet<_> =
        described.service_configurations()[0].tags().iter().filter_map(|t| t.key()).collect();
    assert!(tags.contains("theirs") && tags.contains("team") && !tags.contains("cost"), "{tags:?}");
    let permissions =
        stage.ec2().describe_vpc_endpoint_service_permissions().service_id(&id).send().await.unwrap();
    let tags = permissions.allowed_principals()[0].tags();
    assert!(tags.iter().any(|tag| tag.key() == Some("team") && tag.value() == Some("ops")), "{tags:?}");
    assert!(tags.iter().all(|tag| tag.key() != Some("cost")), "{tags:?}");
}

/// A `Name` of the user's is shown in place of ours; once it is out of the file ours is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_users_goes_with_its_tag() {
    let stage = Stage::open().await;
    let mut named = file("");
    named.tags.insert("Name".to_owned(), "mine".to_owned());
    stage.apply(&named).await;
    stage.apply(&file("")).await;
    stage.assert_settled(&file("")).await;
    let id = service_id(&stage, &file("")).await;
    let permissions =
        stage.ec2().describe_vpc_endpoint_service_permissions().service_id(&id).send().await.unwrap();
    for permission in permissions.allowed_principals() {
        let name = permission.tags().iter().find(|tag| tag.key() == Some("Name"));
        let name = name.and_then(|tag| tag.value()).expect("a name");
        assert_ne!(name, "mine");
    }
}

/// An endpoint service of privnet's own has one load balancer. Another one that somebody added is a difference, which would cut whoever
/// comes in by it while consumers are connected; with nobody connected it goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_load_balancer_goes_when_nobody_is_connected() {
    let stage = Stage::open().await;
    let spec = file("");
    stage.apply(&spec).await;
    let id = service_id(&stage, &spec).await;
    let balancers = async || -> BTreeSet<String> {
        let request = stage.ec2().describe_vpc_endpoint_service_configurations().service_ids(&id);
        let described = request.send().await.unwrap();
        described.service_configurations()[0].network_load_balancer_arns().iter().cloned().collect()
    };
    let own = balancers().await;
    let waiting = stage.until_pending(&spec, "orders", 2).await;
    stage.decide(&spec, &privnet_core::accept::Ask::default()).await;
    let add = stage.ec2().modify_vpc_endpoint_service_configuration().service_id(&id);
    add.add_network_load_balancer_arns(SUPPLIED_BALANCER).send().await.unwrap();

    let plan = until("the second one is seen and refused", || async {
        let plan = stage.plan(&spec).await;
        (!plan.refusals.is_empty()).then_some(plan)
    })
    .await;
    let [refusal] = &plan.refusals[..] else { panic!("{plan:#?}") };
    assert_eq!(refusal.rule, Rule::WouldSever);
    assert!(refusal.why.contains(SUPPLIED_BALANCER) && plan.actions.is_empty(), "{plan:#?}");
    assert_eq!(balancers().await.len(), 2);

    for connection in waiting {
        stage.reject(&spec, &connection.id, true).await;
    }
    let plan = stage.apply(&spec).await;
    assert_eq!(changed(&plan), BTreeSet::from(["endpoint-service.load_balancers".to_owned()]));
    assert_eq!(balancers().await, own);
    stage.assert_settled(&spec).await;
    assert_eq!(service_id(&stage, &spec).await, id, "the hand-over is kept");
}
