//! The colours of the program: one palette for errors, the input line, hints, tables and events.
//!
//! Only attributes and the standard colours that have contrast on light and on dark backgrounds. Yellow, white and the
//! bright variants vanish on white, blue vanishes on black.

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The label of an error, and the source text it marks.
    Error,
    /// A state that works: `UP`, `ACCEPT`.
    Good,
    /// A state that does not work: `DOWN`, `DROP`.
    Bad,
    /// A call that led to an error.
    Call,
    /// Text beside the matter: hints, comments, events, frames.
    Dim,
    /// Text to notice: the prompt, the argument at the cursor.
    Strong,
    /// A keyword of the language.
    Keyword,
    /// A function of nslab.
    Function,
    /// A string.
    Text,
    /// A string that the input does not close.
    OpenText,
}

impl Style {
    /// The parameters of the escape sequence "Select Graphic Rendition" (ECMA-48).
    fn code(self) -> &'static str {
        match self {
            Self::Error | Self::Bad => "31",
            Self::Good | Self::Text => "32",
            Self::OpenText => "4;32",
            Self::Call | Self::Keyword => "35",
            Self::Dim => "2",
            Self::Strong | Self::Function => "1",
        }
    }
}

/// Whether styles become escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    is_coloured: bool,
}

impl Palette {
    /// No escape sequences.
    pub const PLAIN: Self = Self { is_coloured: false };
    /// Escape sequences.
    pub const COLOURED: Self = Self { is_coloured: true };

    /// Whether styles become escape sequences.
    #[must_use]
    pub fn is_coloured(self) -> bool {
        self.is_coloured
    }

    /// The text in a style. The text must not contain escape sequences.
    #[must_use]
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }
}

/// A coloured text with the codes of another library replaced by styles, or removed.
#[must_use]
pub fn restyled(text: &str, codes: &[(&str, Option<Style>)]) -> String {
    codes.iter().fold(text.to_owned(), |text, (code, style)| {
        let ours = style.map_or(String::new(), |style| format!("\x1b[{}m", style.code()));
        text.replace(&format!("\x1b[{code}m"), &ours)
    })
}
