//! Progress on standard error: what is being worked on, and what it waits for.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use privnet::{Event, Events};

use crate::args::Global;
use crate::errors::Errors;
use crate::output::{Output, is_dumb};

/// A live view of what is being done: a line for each action on a terminal; a line for each end elsewhere.
#[derive(Clone)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
}

struct Shared {
    view: View,
    bars: MultiProgress,
    lines: Mutex<BTreeMap<String, ProgressBar>>,
    errors: Errors,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// Lines that come, change and go.
    Live,
    /// A line for each thing that ended.
    Log,
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
            View::Silent
        };
        let target =
            if view == View::Live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        Self { shared: Arc::new(Shared { view, bars, lines: Mutex::default(), errors }) }
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
            View::Log | View::Silent => act(),
        }
    }

    /// A line while something without actions is done, such as observing; it goes when the result is dropped.
    pub(crate) fn during(&self, text: &str) -> During {
        let bar = (self.shared.view == View::Live).then(|| self.shared.spinner(text));
        During { shared: Arc::clone(&self.shared), bar }
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

impl Shared {
    fn spinner(&self, text: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        // One line however narrow the terminal: what does not fit is cut off, and the time stands before it.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4.dim} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn see(&self, event: Event) {
        match self.view {
            View::Silent => {}
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
                let bar = self.spinner(&action);
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
