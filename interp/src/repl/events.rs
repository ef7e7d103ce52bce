//! Events of the lab, shown above the prompt while nothing runs. The one place that listens to them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stdlib::Result;
use stdlib::lab::Lab;
use stdlib::lab::events::Event;

use super::editor::Above;
use crate::console::{Palette, Style, escaped};

/// How long the kernel may take to report what an input did.
const AFTERMATH: Duration = Duration::from_millis(100);

/// Whether an input runs, or ran within the aftermath. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Mutex<Activity>>);

#[derive(Clone, Copy, Default)]
enum Activity {
    #[default]
    Idle,
    Running,
    EndedAt(Instant),
}

impl Busy {
    /// An input begins.
    pub(super) fn start(&self) {
        self.set(Activity::Running);
    }

    /// The input has ended.
    pub(super) fn end(&self) {
        self.set(Activity::EndedAt(Instant::now()));
    }

    fn set(&self, activity: Activity) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = activity;
    }

    fn is_busy(&self) -> bool {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Activity::Idle => false,
            Activity::Running => true,
            Activity::EndedAt(end) => end.elapsed() < AFTERMATH,
        }
    }
}

/// Shows events above the prompt from here on.
///
/// # Errors
/// When the kernel refuses to watch the lab.
pub(super) fn show(lab: &Lab, palette: Palette, busy: Busy, above: Above) -> Result<()> {
    let above = Mutex::new(above);
    lab.listen(move |event| {
        if is_news(event, &busy) {
            let text = palette.paint(Style::Dim, &escaped(&format!("[{event}]")));
            above.lock().unwrap_or_else(PoisonError::into_inner)(text + "\n");
        }
    })
}

/// Whether an event is news. The effect of a running input on links and names is none.
fn is_news(event: &Event, busy: &Busy) -> bool {
    match event {
        Event::LinkState { .. } | Event::LinkGone { .. } | Event::NameGone { .. } if busy.is_busy() => false,
        Event::LinkState { state, .. } => matches!(*state, "DOWN" | "LOWERLAYERDOWN"),
        Event::LinkGone { .. } | Event::ProcessEnded { .. } | Event::NameGone { .. } => true,
    }
}
