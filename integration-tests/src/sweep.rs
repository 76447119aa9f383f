//! What fault sweeps share: the work through a proxy, the same work again, sampled pairs, and the count of what was tried.

use privnet::{PlanOptions, Session};

use crate::proxy::{Fault, Proxy};
use crate::stage::Fail;

/// Does the work through a proxy, until it is done or killed.
pub async fn do_work(session: &Session, options: PlanOptions, proxy: &Proxy) {
    let kill = proxy.kill();
    tokio::select! {
        _ = session.apply(options) => {}
        () = kill.cancelled() => {}
    }
}

/// The same work again, undisturbed: it succeeds, and planning it once more gives nothing.
///
/// # Errors
/// When it does not.
pub async fn mend(session: &Session, options: PlanOptions) -> Result<(), Fail> {
    let again = session.apply(options).await;
    if let Some(error) = again.report.failures().next() {
        return Err(format!("the second run failed: {error}").into());
    }
    if !again.planned.plan.refusals.is_empty() || !again.planned.unreachable.is_empty() {
        let refusals = &again.planned.plan.refusals;
        return Err(format!("the second run: {refusals:?} {:?}", again.planned.unreachable).into());
    }
    let empty = session.plan(options).await;
    if !empty.plan.is_empty() || !empty.plan.refusals.is_empty() {
        return Err(format!("planning again gives {:?} {:?}", empty.plan.actions, empty.plan.refusals).into());
    }
    Ok(())
}

/// A small generator, so that the sampled pairs are the same in every run.
#[derive(Debug)]
pub struct Sample(pub u64);

impl Sample {
    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }

    /// Two faults at two of so many requests.
    pub fn pair(&mut self, requests: usize) -> Vec<(usize, Fault)> {
        let mut one = || {
            let at = self.below(requests);
            let fault = Fault::ALL.get(self.below(Fault::ALL.len())).copied();
            (at, fault.unwrap_or(Fault::Lost))
        };
        vec![one(), one()]
    }
}
