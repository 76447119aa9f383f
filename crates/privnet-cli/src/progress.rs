//! Progress on standard error: what is being worked on, and what it waits for.

mod tally;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use privnet::{Event, Events};

use crate::args::Global;
use crate::errors::Errors;
use crate::output::{Output, is_dumb};
use crate::render::Paint;
use tally::Tally;

/// How often a plan that takes its time is told of where nothing moves on a terminal.
const EVERY: Duration = Duration::from_secs(30);

/// A live view of what is being done: a line for each action on a terminal; elsewhere now and then a line, or one for each end.
#[derive(Clone)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
}

struct Shared {
    view: View,
    paint: Paint,
    bars: MultiProgress,
    lines: Mutex<BTreeMap<String, ProgressBar>>,
    /// How far the plan is that is being carried out, and the line that tells so on a terminal.
    tally: Mutex<(Tally, Option<ProgressBar>)>,
    errors: Errors,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// Lines that come, change and go.
    Live,
    /// A line for each thing that ended.
    Log,
    /// A line now and then.
    Sparse,
    /// Nothing.
    Silent,
}

impl Progress {
    pub(crate) fn new(global: &Global, output: Output, errors: Errors) -> Self {
        let view = if global.quiet || output.is_json() {
            View::Silent
        } else if std::io::stderr().is_terminal() && !is_dumb() {
            View::Live
        } else if global.verbose > 0 {
            View::Log
        } else {
            View::Sparse
        };
        let target =
            if view == View::Live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        Self { shared: Shared::new(view, output.paint_err(), bars, errors) }
    }

    /// The stream that a session sends to.
    pub(crate) fn events(&self) -> Events {
        let shared = Arc::clone(&self.shared);
        Events::new(move |event| shared.see(event))
    }

    /// Does something, such as writing a result, while no progress stands in the way.
    pub(crate) fn aside(&self, act: impl FnOnce()) {
        match self.shared.view {
            View::Live => self.shared.bars.suspend(act),
            View::Log | View::Sparse | View::Silent => act(),
        }
    }

    /// A line while something without actions is done, such as observing; it goes when the result is dropped.
    pub(crate) fn during(&self, text: &str) -> During {
        let bar = (self.shared.view == View::Live).then(|| self.shared.spinner(text));
        During { shared: Arc::clone(&self.shared), bar }
    }

    /// Tells how far a plan of so many actions is, until the result is dropped.
    pub(crate) fn counting(&self, total: usize) -> Counting {
        self.counting_every(total, EVERY)
    }

    fn counting_every(&self, total: usize, every: Duration) -> Counting {
        let shared = Arc::clone(&self.shared);
        // The one line of a single action is enough.
        let bar = (shared.view == View::Live && total > 1).then(|| shared.spinner(""));
        let mut tally = shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
        *tally = (Tally::of(total), bar);
        shared.show(&tally);
        drop(tally);
        let task = (self.shared.view == View::Sparse).then(|| {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(every).await;
                    let line = shared.tally.lock().unwrap_or_else(PoisonError::into_inner).0.line();
                    shared.errors.remark(&line);
                }
            })
        });
        Counting { shared, task }
    }
}

/// The count of a plan, which ends when this is dropped.
pub(crate) struct Counting {
    shared: Arc<Shared>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let mut tally = self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = tally.1.take() {
            bar.finish_and_clear();
            self.shared.bars.remove(&bar);
        }
    }
}

/// A line that goes when this is dropped.
pub(crate) struct During {
    shared: Arc<Shared>,
    bar: Option<ProgressBar>,
}

impl Drop for During {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.shared.bars.remove(bar);
        }
    }
}

/// One line however narrow the terminal: what does not fit is cut off, and the time stands before it.
fn template(paint: Paint) -> &'static str {
    match paint {
        Paint::Colour => "{spinner} {elapsed:>4.dim} {wide_msg}",
        Paint::Plain => "{spinner} {elapsed:>4} {wide_msg}",
    }
}

impl Shared {
    fn new(view: View, paint: Paint, bars: MultiProgress, errors: Errors) -> Arc<Self> {
        Arc::new(Self { view, paint, bars, lines: Mutex::default(), tally: Mutex::default(), errors })
    }

    fn spinner(&self, text: &str) -> ProgressBar {
        self.start(self.bars.add(ProgressBar::new_spinner()), text)
    }

    /// One that stands before the count.
    fn spinner_of(&self, action: &str) -> ProgressBar {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = match &tally.1 {
            Some(last) => self.bars.insert_before(last, ProgressBar::new_spinner()),
            None => self.bars.add(ProgressBar::new_spinner()),
        };
        self.start(bar, action)
    }

    fn start(&self, bar: ProgressBar, text: &str) -> ProgressBar {
        if let Ok(style) = ProgressStyle::with_template(template(self.paint)) {
            bar.set_style(style);
        }
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn show(&self, (tally, bar): &(Tally, Option<ProgressBar>)) {
        if let Some(bar) = bar {
            bar.set_message(tally.short());
        }
    }

    fn see(&self, event: Event) {
        if matches!(self.view, View::Live | View::Sparse) {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.0.see(&event);
            self.show(&tally);
        }
        match self.view {
            View::Silent | View::Sparse => {}
            View::Log => self.log(&event),
            View::Live => self.live(event),
        }
    }

    fn log(&self, event: &Event) {
        match event {
            Event::Done { action, .. } => self.errors.remark(&format!("done    {action}")),
            Event::Failed { action, error, .. } => self.errors.remark(&format!("failed  {action}: {error}")),
            Event::Throttled { bucket } => {
                self.errors.remark(&format!("slower  {bucket} asked for fewer requests"));
            }
            Event::Observing { text } => self.errors.remark(text),
            _ => {}
        }
    }

    fn live(&self, event: Event) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { action } => {
                let bar = self.spinner_of(&action);
                lines.insert(action, bar);
            }
            Event::Progress { action, text } => {
                if let Some(bar) = lines.get(&action) {
                    bar.set_message(format!("{action}  {text}"));
                }
            }
            Event::Done { action, .. } => self.end(&mut lines, &action, &format!("✓ {action}")),
            Event::Failed { action, .. } => self.end(&mut lines, &action, &format!("✗ {action}")),
            _ => {}
        }
    }

    fn end(&self, lines: &mut BTreeMap<String, ProgressBar>, action: &str, last: &str) {
        if let Some(bar) = lines.remove(action) {
            let took = bar.elapsed().as_secs_f64();
            bar.finish_and_clear();
            self.bars.remove(&bar);
            let _ = self.bars.println(format!("{last}  {took:.1}s"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Lines;

    #[test]
    fn a_line_is_painted_only_where_colours_are_wanted() {
        assert!(template(Paint::Colour).contains("dim") && !template(Paint::Plain).contains("dim"));
    }

    /// Where nothing moves a long apply is not silent; and when it is over, nothing more is said.
    #[tokio::test]
    async fn a_plan_that_takes_its_time_is_told_of_now_and_then() {
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let write = move |bytes: &[u8]| heard.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        let errors = Errors::Queued(Arc::new(Lines::new(write, |_| Vec::new())));
        let hidden = || MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let progress = Progress { shared: Shared::new(View::Sparse, Paint::Plain, hidden(), errors.clone()) };
        let counting = progress.counting_every(2, Duration::from_millis(20));
        progress.shared.see(Event::Started { action: "create a".to_owned() });
        let line = "0 of 2 actions done; under way: create a\n";
        while !said.lock().unwrap().contains(line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(counting);
        // Whoever counted on would tell of this one.
        progress.shared.see(Event::Started { action: "create b".to_owned() });
        tokio::time::sleep(Duration::from_millis(100)).await;
        errors.end(Duration::from_secs(10));
        let all = said.lock().unwrap().clone();
        assert!(all.ends_with(line) && !all.contains("create b"), "{all}");

        let silent = Progress { shared: Shared::new(View::Silent, Paint::Plain, hidden(), Errors::Straight) };
        assert!(silent.counting(2).task.is_none());
    }
}
