//! The console: the one place that writes to standard output and standard error and that asks what the terminal can do.
//!
//! A script's own output (`print`, the value of `-c`, the output of a program) passes unchanged. Everything else may
//! quote foreign text (file names, thrown values, names from the kernel), so it is escaped first: no text steers the
//! terminal.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use escape::{escaped, escaped_offset};
pub use palette::{Palette, Style, restyled};

use crate::status::Status;

mod escape;
mod palette;

/// Why output is lost. The console has reported it where that makes sense; the caller only has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The reader closed the pipe, as `head` does.
    ReaderClosed,
    /// The kernel refused the write, as on a full disk.
    Failed,
}

impl Lost {
    /// The exit status of a program whose output is lost.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::ReaderClosed => Status::ReaderClosed,
            Self::Failed => Status::OutputFailed,
        }
    }
}

/// The result of a write. After a failure, every later write to the same stream fails too.
pub type Written = Result<(), Lost>;

/// A handle on the two output streams; clones share them.
#[derive(Clone)]
pub struct Console {
    out: Arc<Stream>,
    err: Arc<Stream>,
}

/// One output stream.
struct Stream {
    sink: Mutex<Box<dyn Write + Send>>,
    palette: Palette,
    lost: OnceLock<Lost>,
}

impl Stream {
    fn new(sink: impl Write + Send + 'static, palette: Palette) -> Arc<Self> {
        Arc::new(Self { sink: Mutex::new(Box::new(sink)), palette, lost: OnceLock::new() })
    }

    /// Writes all of `text` at once; returns the kernel's error with the first loss only.
    fn write(&self, text: &str) -> Result<(), (Lost, Option<io::Error>)> {
        if let Some(lost) = self.lost.get() {
            return Err((*lost, None));
        }
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.write_all(text.as_bytes()).and_then(|()| sink.flush()).map_err(|error| {
            let lost = if error.kind() == ErrorKind::BrokenPipe { Lost::ReaderClosed } else { Lost::Failed };
            let is_first = self.lost.set(lost).is_ok();
            (lost, is_first.then_some(error))
        })
    }
}

impl Console {
    /// Standard output and standard error, in colour where the terminal allows it.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            out: Stream::new(io::stdout(), palette_for(io::stdout().is_terminal())),
            err: Stream::new(io::stderr(), palette_for(io::stderr().is_terminal())),
        }
    }

    /// Two streams of the caller's, without colour.
    #[must_use]
    pub fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self { out: Stream::new(out, Palette::PLAIN), err: Stream::new(err, Palette::PLAIN) }
    }

    /// The colours of standard output.
    #[must_use]
    pub fn palette(&self) -> Palette {
        self.out.palette
    }

    /// The colours of standard error.
    #[must_use]
    pub fn error_palette(&self) -> Palette {
        self.err.palette
    }

    /// Writes a line of a script's own output to standard output, unchanged.
    ///
    /// # Errors
    /// When the output is lost.
    pub fn print(&self, text: &str) -> Written {
        self.write_out(&format!("{text}\n"))
    }

    /// Writes lines of nslab's own to standard output, escaped.
    ///
    /// # Errors
    /// When the output is lost.
    pub fn say(&self, text: &str) -> Written {
        self.write_out(&format!("{}\n", escaped(text)))
    }

    /// Writes a remark beside the results to standard output: escaped, and dim where there is colour.
    ///
    /// # Errors
    /// When the output is lost.
    pub fn remark(&self, text: &str) -> Written {
        self.write_out(&format!("{}\n", self.out.palette.paint(Style::Dim, &escaped(text))))
    }

    /// Writes `error: …` to standard error, escaped.
    pub fn error(&self, text: &str) {
        let label = self.err.palette.paint(Style::Error, "error:");
        self.write_err(&format!("{label} {}\n", escaped(text)));
    }

    /// Writes `error: …`, and `hint: …` if there is a hint.
    pub fn error_with_hint(&self, error: &stdlib::Error) {
        self.error(&error.to_string());
        if let Some(hint) = error.hint_text() {
            self.note(&format!("hint: {hint}"));
        }
    }

    /// Writes lines to standard error, escaped.
    pub fn note(&self, text: &str) {
        self.write_err(&format!("{}\n", escaped(text)));
    }

    /// Writes a text that its author has escaped and coloured with [`Console::error_palette`] to standard error.
    pub fn report(&self, text: &str) {
        self.write_err(text);
    }

    /// Why standard output is lost, if it is.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        self.out.lost.get().copied()
    }

    /// The status to end with: a lost output outweighs the result. A lost standard error does so only for a success,
    /// since any other status says by itself that something failed.
    #[must_use]
    pub fn conclude(&self, status: Status) -> Status {
        let of_err = self.err.lost.get().filter(|_| status.is_success());
        self.out.lost.get().or(of_err).map_or(status, |lost| lost.status())
    }

    fn write_out(&self, text: &str) -> Written {
        self.out.write(text).map_err(|(lost, error)| {
            // A reader that closed the pipe has seen enough and needs no message.
            if let (Lost::Failed, Some(error)) = (lost, error) {
                self.error(&format!("cannot write to standard output: {}", describe(&error)));
            }
            lost
        })
    }

    fn write_err(&self, text: &str) {
        // No stream is left to report this on; `conclude` gives the status.
        let _ = self.err.write(text);
    }
}

/// The kernel's words for an error, without Rust's "(os error N)".
pub(crate) fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}

/// Whether a person types: standard input is a terminal.
#[must_use]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// The columns that a diagnostic may take: those of the terminal; without a terminal, enough for ordinary code.
#[must_use]
pub fn width() -> usize {
    size().map_or(160, |(columns, _)| columns.into())
}

/// Columns and lines of the terminal; none without a terminal.
#[must_use]
pub fn size() -> Option<(u16, u16)> {
    terminal_size::terminal_size().map(|(columns, lines)| (columns.0, lines.0))
}

/// Colour for a terminal that has it, unless `NO_COLOR` is set to anything (<https://no-color.org>).
fn palette_for(is_terminal: bool) -> Palette {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    if is_terminal && !is_dumb && !is_set("NO_COLOR") { Palette::COLOURED } else { Palette::PLAIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that a test reads back.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// A stream that fails.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_scripts_own_output_passes_unchanged() {
        let (out, err) = (Page::default(), Page::default());
        let console = Console::new(out.clone(), err.clone());
        console.print("\x1b[31m").unwrap();
        console.say("\x1b[31m\nb").unwrap();
        console.remark("\u{202e}").unwrap();
        console.error("\x07");
        assert_eq!(out.text(), "\x1b[31m\n\\u{1b}[31m\nb\n\\u{202e}\n");
        assert_eq!(err.text(), "error: \\u{7}\n");
    }

    #[test]
    fn a_write_that_fails_is_reported_once_and_decides_the_status() {
        let err = Page::default();
        let console = Console::new(Broken(ErrorKind::StorageFull), err.clone());
        assert_eq!(console.print("1"), Err(Lost::Failed));
        assert_eq!(console.say("2"), Err(Lost::Failed));
        assert_eq!(err.text(), "error: cannot write to standard output: no storage space\n");
        assert_eq!(console.conclude(Status::CheckFailed), Status::OutputFailed);
    }

    #[test]
    fn a_reader_that_closed_the_pipe_needs_no_message() {
        let err = Page::default();
        let console = Console::new(Broken(ErrorKind::BrokenPipe), err.clone());
        assert_eq!(console.print("1"), Err(Lost::ReaderClosed));
        assert_eq!(err.text(), "");
        assert_eq!(console.conclude(Status::Ok), Status::ReaderClosed);
    }

    #[test]
    fn a_lost_standard_error_spoils_only_a_success() {
        let console = Console::new(Page::default(), Broken(ErrorKind::StorageFull));
        console.note("1");
        assert_eq!(console.conclude(Status::Ok), Status::OutputFailed);
        assert_eq!(console.conclude(Status::Failed), Status::Failed);
    }
}
