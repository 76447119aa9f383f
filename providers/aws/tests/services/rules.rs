//! Rules in a security group of the user's: which is privnet's, and which only looks like it.

use aws_sdk_ec2::types::Filter;
use privnet_core::execute::Outcome;
use privnet_core::plan::{Op, PlanOptions};
use privnet_core::{ErrorKind, Purpose};

use crate::stage::{Stage, failure};
use crate::{DESTROY, IPS, everybody_asked, file, made};

/// Descriptions are for people. A rule that lost the one that privnet wrote is still privnet's, and goes with the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_may_be_described_in_other_words() {
    use aws_sdk_ec2::types::{SecurityGroupRuleRequest, SecurityGroupRuleUpdate};
    let stage = Stage::open().await;
    let orders = file(&[made("orders", IPS, ", database_security_groups: [sg-0ddddddddddddddd4]")]);
    stage.apply(&orders).await;
    let rule = stage.live(&orders, "security-group-rule").await.unwrap();
    let words = SecurityGroupRuleRequest::builder().ip_protocol("tcp").from_port(5432).to_port(5432);
    let words = words.referenced_group_id(rule.fields["source"].as_text().unwrap());
    let words = words.description("Fivetran, ask the data team").build();
    let change =
        SecurityGroupRuleUpdate::builder().security_group_rule_id(&rule.id).security_group_rule(words);
    let request = stage.ec2().modify_security_group_rules().group_id("sg-0ddddddddddddddd4");
    request.security_group_rules(change.build()).send().await.unwrap();
    let plan = stage.plan(&orders).await;
    assert!(plan.is_empty() && !plan.warnings.iter().any(|w| w.contains("not privnet's")), "{plan:#?}");
    everybody_asked(&stage, &orders, "orders").await;
    stage.apply_with(&orders, DESTROY).await;
    let id = Filter::builder().name("security-group-rule-id").values(&rule.id).build();
    let left = stage.ec2().describe_security_group_rules().filters(id).send().await.unwrap();
    assert_eq!(left.security_group_rules().len(), 0);
}

/// The shown name is a tag like the others: a rule of the user's that has copies of all of them, and no description, stays his.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_with_copied_tags_stays_its_owners() {
    const GROUP: &str = "sg-0ddddddddddddddd4";
    let stage = Stage::open().await;
    let orders = file(&[made("orders", IPS, ", database_security_groups: [sg-0ddddddddddddddd4]")]);
    stage.apply(&orders).await;
    let ours = stage.live(&orders, "security-group-rule").await.unwrap();
    let id = |id: &str| Filter::builder().name("security-group-rule-id").values(id).build();
    let found = stage.ec2().describe_security_group_rules().filters(id(&ours.id)).send().await.unwrap();
    let tags = found.security_group_rules()[0].tags().to_vec();
    let theirs = stage.ec2().authorize_security_group_ingress().group_id(GROUP);
    let theirs = theirs.ip_protocol("tcp").from_port(5432).to_port(5432).cidr_ip("10.8.0.0/16");
    let theirs =
        theirs.send().await.unwrap().security_group_rules()[0].security_group_rule_id().unwrap().to_owned();
    stage.ec2().create_tags().resources(&theirs).set_tags(Some(tags)).send().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    stage.assert_settled(&orders).await;
    everybody_asked(&stage, &orders, "orders").await;
    stage.apply_with(&orders, DESTROY).await;
    let left = stage.ec2().describe_security_group_rules().filters(id(&theirs)).send().await.unwrap();
    assert_eq!(left.security_group_rules().len(), 1);
}

/// Reads are not of one moment: a run that looked for the security group before another run made it, and for the rules after, would
/// replace a rule by itself. It fails, and the rule stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_another_run_made_meanwhile_is_not_replaced_by_itself() {
    let stage = Stage::open().await;
    let orders = file(&[made("orders", IPS, ", database_security_groups: [sg-0ddddddddddddddd4]")]);
    stage.apply(&orders).await;

    let driver = stage.driver();
    let (desired, mut world) = driver.observe(&orders, Purpose::Plan).await;
    world.live.retain(|live| live.address.kind != "security-group");
    let mut plan = privnet_core::plan(&desired, &world, &driver.kinds(), PlanOptions::default());
    plan.actions.retain(|action| action.address.kind.starts_with("security-group"));
    let of_rule = |op: Op| {
        plan.actions
            .iter()
            .position(|a| a.op == op && a.address.kind == "security-group-rule")
            .expect("a rule's action")
    };
    let (create, delete) = (of_rule(Op::Create), of_rule(Op::Delete));
    let report = driver.execute(&plan, &desired, &world).await;
    assert!(matches!(report.outcomes[create], Outcome::Failed(_)), "{:#?}", report.outcomes);
    assert!(matches!(report.outcomes[delete], Outcome::Skipped { .. }), "{:#?}", report.outcomes);
    stage.assert_settled(&orders).await;
}

/// A rule of the user's that lets our load balancer in somewhere else. AWS keeps the security group that it names, however long one waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_users_that_names_our_group_ends_a_destroy_at_once() {
    use aws_sdk_ec2::types::{IpPermission, UserIdGroupPair};
    const GROUP: &str = "sg-0ddddddddddddddd4";
    let stage = Stage::open().await;
    let orders = file(&[made("orders", IPS, "")]);
    stage.apply(&orders).await;
    let own = stage.live(&orders, "security-group").await.unwrap().id;
    let pair = UserIdGroupPair::builder().group_id(&own).build();
    let permission = IpPermission::builder().ip_protocol("tcp").from_port(9100).to_port(9100);
    let request = stage.ec2().authorize_security_group_ingress().group_id(GROUP);
    let theirs = request.ip_permissions(permission.user_id_group_pairs(pair).build()).send().await.unwrap();
    let rule = theirs.security_group_rules()[0].security_group_rule_id().unwrap().to_owned();

    everybody_asked(&stage, &orders, "orders").await;
    let told = format!("{rule} of {GROUP}");
    // Where the file names the group that the rule is in, its rules are read, and the plan that takes ours away says so beforehand.
    let named = file(&[made("orders", IPS, ", database_security_groups: [sg-0ddddddddddddddd4]")]);
    let says = |plan: &privnet_core::Plan| plan.warnings.iter().any(|warning| warning.contains(&told));
    assert!(says(&stage.driver().plan(&named, DESTROY).await.0));
    assert!(!says(&stage.plan(&named).await), "nothing goes");
    let (_, report) = stage.driver().apply(&orders, DESTROY).await;
    let error = failure(&report);
    assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
    assert!(error.message().contains(&told), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains(&rule)), "{error:?}");

    let request = stage.ec2().revoke_security_group_ingress().group_id(GROUP);
    request.security_group_rule_ids(&rule).send().await.unwrap();
    stage.apply_with(&orders, DESTROY).await;
}
