//! The points of a work: each request in each way, each write that has an operation with each late failure, and sampled pairs.

use std::collections::BTreeSet;

use privnet_integration_tests::proxy::{Fault, Place, Request};
use privnet_integration_tests::sweep::{Faults, Recorded, Sample};

use super::works::Work;

/// How an operation ends that was accepted: `Canceled` is that of `CanceledAndSupersededDueToAnotherOperation`.
const LATE: [&str; 2] = ["InternalServerError", "Canceled"];

/// What is spoiled: requests on their way, and a write's operation after it was accepted: the nth of its sort.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    pub(super) on_the_way: Faults,
    pub(super) late: Option<(String, usize, &'static str)>,
}

impl Point {
    pub(super) fn named(&self) -> String {
        let faults = self.on_the_way.iter().map(|(place, fault)| match place {
            Place::Nth(name, nth) | Place::Again(name, nth) => {
                format!("{fault:?} at {name}, the {nth}th from 0")
            }
            Place::At(at) => format!("{fault:?} at {at}"),
        });
        let late = self.late.iter().map(|(sort, nth, code)| format!("late {code} at {sort}, the {nth}th"));
        faults.chain(late).collect::<Vec<_>>().join(" and ")
    }
}

/// The points of work with these requests: each that it spoils in each of its ways, each write with each late failure, and pairs.
pub(super) fn points(work: Work, recorded: &Recorded) -> Vec<Point> {
    let requests = &recorded.0;
    let on_the_way = |on_the_way| Point { on_the_way, late: None };
    let chosen = work.spoils(requests);
    let (pairs, ways) = (work.pairs(), |at: &usize| work.ways(&requests[*at]));
    let each =
        chosen.iter().flat_map(|at| ways(at).into_iter().filter_map(|fault| recorded.spoil(*at, fault)));
    let mut points: Vec<Point> = each.map(|fault| on_the_way(vec![fault])).collect();
    let singles = points.len();
    let writes: Vec<usize> = chosen.iter().copied().filter(|at| may_fail_late(work, requests, *at)).collect();
    for at in &writes {
        let (sort, nth) = (sort_of(&requests[*at].action), nth_of_its_sort(requests, *at));
        points.extend(LATE.map(|code| Point { late: Some((sort.clone(), nth, code)), ..Point::default() }));
    }
    assert!(!chosen.is_empty() && !writes.is_empty());
    assert_eq!(singles, chosen.iter().map(|at| ways(at).len()).sum::<usize>());
    let older = chosen.iter().filter(|at| ways(at).contains(&Fault::Stale)).count();
    privnet_integration_tests::tell!(
        "fault sweep on Azure, {work:?}: {} of {} requests, {older} of them with an older answer = {singles} points; {} writes × {} late failures; and \
         {pairs} pairs",
        chosen.len(),
        requests.len(),
        writes.len(),
        LATE.len(),
    );
    let mut sample = Sample(work as u64 + 1);
    points.extend((0..pairs).map(|_| on_the_way(recorded.pair(&mut sample))));
    points
}

/// The sorts of faults that must have had their effect: an older answer only where a request has one.
pub(super) fn sorts(points: &[Point]) -> BTreeSet<Fault> {
    points.iter().flat_map(|point| &point.on_the_way).map(|(_, fault)| *fault).collect()
}

/// What the local cloud calls a request.
pub(super) fn sort_of(action: &str) -> String {
    let (method, path) = action.split_once(' ').unwrap_or_default();
    let mut parts = path.rsplit_once("/providers/").map_or(path, |(_, rest)| rest).split('/');
    let provider = parts.next().unwrap_or_default().to_owned();
    format!("{method} {}", parts.step_by(2).fold(provider, |kind, part| format!("{kind}/{part}")))
}

/// Which of its sort a request is: runs differ in how often they look, not in what they write.
fn nth_of_its_sort(requests: &[Request], at: usize) -> usize {
    let own = sort_of(&requests[at].action);
    requests[..=at].iter().filter(|request| sort_of(&request.action) == own).count()
}

/// Whether a request has an operation that may fail: writes, and questions about health. How often these are asked differs between
/// runs, so it is the first of them. SQL refuses to turn away who was let in, and so begins nothing; Storage has done it when it answers.
fn may_fail_late(work: Work, requests: &[Request], at: usize) -> bool {
    let is = |method: &str| requests[at].action.starts_with(method);
    (is("PUT ") && work != Work::Remove && !requests[at].action.contains("/Microsoft.Storage/"))
        || is("DELETE ")
        || (is("POST ") && nth_of_its_sort(requests, at) == 1)
}
