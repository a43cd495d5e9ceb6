//! Rows of a table that come one after the other, from a pipe: each is read as the table of it and its header would be, so nothing waits for
//! the end and no more than a row is held.

use std::io::{BufRead, Read as _};
use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use super::error::{DataError, Place};
use super::inputs;

/// Longest row, quoted line ends among it, bytes.
pub const ROW_BYTES_MAX: u64 = 16 << 20;

/// See the module.
#[derive(Debug)]
pub struct Rows<R> {
    reader: R,
    name: PathBuf,
    shape: Vec<usize>,
    encoding: Encoding,
    header: Option<String>,
    /// Of the next row, from 1.
    line: u64,
}

/// A row, encoded as the model was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it begins, from 1.
    pub line: u64,
    /// Its numbers.
    pub features: Vec<f32>,
}

impl<R: BufRead> Rows<R> {
    /// Of a model that reads samples of that shape; `name` is for messages.
    ///
    /// # Errors
    /// The model reads no rows of tables.
    pub fn new(reader: R, name: &Path, shape: &[usize], encoding: &Encoding) -> Result<Self, DataError> {
        if shape.len() != 1 {
            let what = format!("rows of a table, and the model reads samples of {shape:?}");
            return Err(DataError::whole(name, what, "name files: pictures, idx or NPY"));
        }
        let (name, shape, encoding) = (name.to_owned(), shape.to_vec(), encoding.clone());
        Ok(Self { reader, name, shape, encoding, header: None, line: 1 })
    }

    /// The next one; `None` at the end. The first line is a header where it names a column that the model was trained with, or no
    /// number where the model knows no names.
    ///
    /// # Errors
    /// What is wrong in which line; the rows behind it can be read all the same, unless the pipe itself is at fault.
    pub fn next_row(&mut self) -> Result<Option<Row>, DataError> {
        loop {
            let line = self.line;
            let Some(text) = self.read_row()? else { return Ok(None) };
            if text.trim().is_empty() {
                continue;
            }
            if self.header.is_none() {
                if self.is_header(&text) {
                    // Of a model that knows no names a header says nothing.
                    self.header = Some(if self.encoding.columns.is_empty() { String::new() } else { text });
                    continue;
                }
                self.header = Some(String::new());
            }
            let header = self.header.as_deref().unwrap_or_default();
            let table = format!("{header}{text}");
            let features = inputs::rows_of_text(&self.name, &table, &self.shape, &self.encoding);
            return features.map(|features| Some(Row { line, features })).map_err(|error| at_line(error, line));
        }
    }

    /// Up to a line end that is not quoted.
    fn read_row(&mut self) -> Result<Option<String>, DataError> {
        let (mut bytes, mut is_quoted) = (Vec::new(), false);
        loop {
            let room = ROW_BYTES_MAX - bytes.len() as u64;
            let before = bytes.len();
            let read = self.reader.by_ref().take(room).read_until(b'\n', &mut bytes);
            let read = read.map_err(DataError::read(&self.name))?;
            self.line += u64::from(bytes.last() == Some(&b'\n') && read > 0);
            if bytes.len() as u64 >= ROW_BYTES_MAX {
                let what = format!("a row of more than {} MiB", ROW_BYTES_MAX >> 20);
                return Err(self.at(what, "is a quote open? rows end with a line"));
            }
            is_quoted ^= bytes[before..].iter().filter(|&&byte| byte == b'"').count() % 2 == 1;
            if read == 0 || !is_quoted {
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        // What a spreadsheet writes first.
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map(Some)
            .map_err(|_| self.at("bytes that are no UTF-8".to_owned(), "convert it: iconv -f latin1 -t utf-8"))
    }

    fn at(&self, what: String, remedy: &str) -> DataError {
        DataError::at(&self.name, Place::Lines(vec![self.line.saturating_sub(1).max(1)]), what, remedy)
    }

    fn is_header(&self, text: &str) -> bool {
        let mut cells = text.split([',', '\t', ';', '|']).map(|cell| cell.trim().trim_matches('"'));
        if self.encoding.columns.is_empty() {
            return !cells.any(|cell| cell.parse::<f64>().is_ok());
        }
        cells.any(|cell| self.encoding.columns.iter().any(|column| column.name == cell))
    }
}

/// What is wrong with the table of one row is wrong in that row.
fn at_line(error: DataError, line: u64) -> DataError {
    match error {
        DataError::Content { path, place: Place::Lines(_) | Place::Whole, what, remedy } => {
            DataError::Content { path, place: Place::Lines(vec![line]), what, remedy }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoding::Column;
    use super::*;

    fn rows<'a>(text: &'a str, encoding: &Encoding, width: usize) -> Rows<&'a [u8]> {
        Rows::new(text.as_bytes(), Path::new("(standard input)"), &[width], encoding).unwrap()
    }

    fn named() -> Encoding {
        let column = |name: &str, values: &[&str]| Column {
            name: name.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        };
        Encoding { columns: vec![column("size", &[]), column("scent", &["no", "yes"])], ..Encoding::default() }
    }

    #[test]
    fn rows_are_read_as_a_whole_table_would_be() {
        let mut rows = rows("scent;kind;size\n\nyes;a;1.5\nno;\"b\nc\";2\n", &named(), 3);
        assert_eq!(rows.next_row().unwrap(), Some(Row { line: 3, features: vec![1.5, 0.0, 1.0] }));
        assert_eq!(rows.next_row().unwrap(), Some(Row { line: 4, features: vec![2.0, 1.0, 0.0] }));
        assert_eq!(rows.next_row().unwrap(), None);
    }

    #[test]
    fn a_bad_row_is_named_and_the_next_one_is_read() {
        let mut rows = rows("size,scent\n1,yes\n,no\n3,maybe\n4,no\n", &named(), 3);
        assert!(rows.next_row().unwrap().is_some());
        for line in [3, 4] {
            let error = rows.next_row().unwrap_err().to_string();
            assert!(error.contains(&format!("(standard input), line {line}")), "{error}");
        }
        assert_eq!(rows.next_row().unwrap().map(|row| row.line), Some(5));
    }

    #[test]
    fn numbers_without_names_need_no_header() {
        for header in ["", "a,b\n"] {
            let text = format!("{header}1,2\n3,4\n");
            let mut rows = rows(&text, &Encoding::default(), 2);
            let found: Vec<_> = std::iter::from_fn(|| rows.next_row().unwrap()).map(|row| row.features).collect();
            assert_eq!(found, [vec![1.0, 2.0], vec![3.0, 4.0]], "{header:?}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_at_the_bound() {
        let text = format!("1,2\n\"{}", "x\n".repeat(ROW_BYTES_MAX as usize / 2));
        let mut rows = rows(&text, &Encoding::default(), 2);
        rows.next_row().unwrap();
        assert!(rows.next_row().unwrap_err().to_string().contains("16 MiB"));
    }
}
