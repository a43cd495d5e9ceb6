//! Where the quotes of a table stand, byte by byte, as the `csv` crate takes them: one opens at the beginning of a cell and nowhere else, so that
//! the inches of `6" nail` open none.

/// See the module: what the bytes so far mean for the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// It begins a cell.
    #[default]
    Begin,
    /// It is of a cell that is not quoted, or stands behind what was.
    Plain,
    /// It is quoted.
    Open,
    /// A quote stands before it, within a cell that is quoted: twice it is one of the text, else the end of it.
    Closing,
}

impl Quotes {
    /// Behind that byte; `ends_cell`: unless it is quoted.
    pub(crate) fn behind(self, byte: u8, ends_cell: bool) -> Self {
        match (self, byte) {
            (Self::Begin | Self::Closing, b'"') => Self::Open,
            (Self::Open, b'"') => Self::Closing,
            (Self::Open, _) => Self::Open,
            _ if ends_cell => Self::Begin,
            _ => Self::Plain,
        }
    }
}
