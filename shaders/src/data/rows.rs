//! Rows of a table that come one after the other, from a pipe: each is read as the table of it and its header would be, so nothing waits for
//! the end and no more than a row is held.

use std::io::{BufRead, ErrorKind};
use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use super::error::{DataError, Place};
use super::formats::quotes::Quotes;
use super::formats::table;
use super::inputs;

/// Longest row, quoted line ends among it, bytes.
pub const ROW_BYTES_MAX: u64 = 16 << 20;
/// What a spreadsheet writes first.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// See the module.
#[derive(Debug)]
pub struct Rows<R> {
    reader: R,
    name: PathBuf,
    shape: Vec<usize>,
    encoding: Encoding,
    header: Option<String>,
    /// What separates the columns, once the header has shown it.
    separator: Option<u8>,
    /// Of the next row, from 1.
    line: u64,
    /// A `\r` was read last: a `\n` behind it is of the same line end.
    after_return: bool,
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
        Ok(Self { reader, name, shape, encoding, header: None, separator: None, line: 1, after_return: false })
    }

    /// The next one; `None` at the end. The first line is a header where it has no number, and names a column that the model was trained with, or
    /// holds a text where the model knows no names.
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
                self.separator = table::header(&self.name, &text, &self.encoding.columns);
                if self.separator.is_some() {
                    // Of a model that knows no names a header says nothing.
                    self.header = Some(if self.encoding.columns.is_empty() { String::new() } else { text + "\n" });
                    continue;
                }
                self.header = Some(String::new());
            }
            let header = self.header.as_deref().unwrap_or_default();
            let table = format!("{header}{text}");
            let features = inputs::rows_of_text(&self.name, &table, &self.shape, &self.encoding);
            let features = features.map_err(|error| at_line(error, line))?;
            let (found, width) = (features.len(), self.shape.iter().product::<usize>());
            if found != width {
                // Each has its answer, so one that holds several shifts those of all behind it.
                let what = format!("{found} numbers in one row, the model reads {width}");
                return Err(self.at(line, what, "is a quote (\") out of place? a row ends with its line"));
            }
            return Ok(Some(Row { line, features }));
        }
    }

    /// Up to a line end that is not quoted, and without it: `\n`, `\r\n`, or `\r` alone. None of it waits for what stands behind.
    fn read_row(&mut self) -> Result<Option<String>, DataError> {
        let begin = self.line;
        let (mut bytes, mut quotes, mut is_over) = (Vec::new(), Quotes::default(), false);
        while !is_over {
            let piece = match self.reader.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                piece => piece.map_err(DataError::read(&self.name))?,
            };
            if piece.is_empty() {
                break;
            }
            let mut used = 0;
            for &byte in piece {
                used += 1;
                let is_second = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
                self.line += u64::from(matches!(byte, b'\n' | b'\r') && !is_second);
                if is_second && bytes.is_empty() {
                    continue;
                }
                quotes = quotes.behind(byte, table::ends_cell(byte, self.separator));
                is_over = quotes != Quotes::Open && matches!(byte, b'\n' | b'\r');
                if is_over {
                    break;
                }
                bytes.push(byte);
                if bytes == BYTE_ORDER_MARK {
                    (bytes, quotes) = (Vec::new(), Quotes::default());
                }
                if bytes.len() as u64 >= ROW_BYTES_MAX {
                    break;
                }
            }
            self.reader.consume(used);
            if bytes.len() as u64 >= ROW_BYTES_MAX {
                let what = format!("a row of more than {} MiB", ROW_BYTES_MAX >> 20);
                return Err(self.at(begin, what, "is a quote open? rows end with a line"));
            }
        }
        if bytes.is_empty() && !is_over {
            return Ok(None);
        }
        let text = String::from_utf8(bytes).map(Some);
        text.map_err(|_| self.at(begin, "bytes that are no UTF-8".to_owned(), "convert it: iconv -f latin1 -t utf-8"))
    }

    fn at(&self, line: u64, what: String, remedy: &str) -> DataError {
        DataError::at(&self.name, Place::Lines(vec![line]), what, remedy)
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

    /// All rows, of those that are none their messages.
    fn all(text: &str, encoding: &Encoding, width: usize) -> Vec<Result<(u64, Vec<f32>), String>> {
        let mut rows = rows(text, encoding, width);
        let next = || rows.next_row().map(|row| row.map(|row| (row.line, row.features))).transpose();
        std::iter::from_fn(next).map(|row| row.map_err(|error| error.to_string())).collect()
    }

    fn columns(names: &[&str]) -> Encoding {
        let column = |name: &&str| Column { name: (*name).to_owned(), values: Vec::new() };
        Encoding { columns: names.iter().map(column).collect(), ..Encoding::default() }
    }

    #[test]
    fn a_row_of_numbers_is_no_header_whatever_columns_are_called() {
        // A table without a header calls its columns by their numbers.
        let found = all("0,1\n1,0\n5,7\n", &columns(&["0", "1"]), 2);
        assert_eq!(found, [Ok((1, vec![0.0, 1.0])), Ok((2, vec![1.0, 0.0])), Ok((3, vec![5.0, 7.0]))]);
        let found = all("1,yes\n2,no\n", &named(), 3);
        assert_eq!(found, [Ok((1, vec![1.0, 0.0, 1.0])), Ok((2, vec![2.0, 1.0, 0.0]))]);
        // A missing value is no name.
        let found = all("nan,NA\n2,3\n", &Encoding::default(), 2);
        assert!(found[0].as_ref().is_err_and(|error| error.contains("line 1")), "{found:?}");
        assert_eq!(found[1..], [Ok((2, vec![2.0, 3.0]))]);
        // A number within a quoted name is none.
        assert_eq!(all("\"size, 2\",b\n1,2\n", &columns(&["b", "size, 2"]), 2), [Ok((2, vec![2.0, 1.0]))]);
    }

    #[test]
    fn a_quote_within_a_cell_is_a_character() {
        let kind = Column { name: "kind".to_owned(), values: vec!["6\" nail".to_owned(), "a\"\nb".to_owned()] };
        let encoding = Encoding { columns: vec![kind, columns(&["x"]).columns[0].clone()], ..Encoding::default() };
        let (nail, other) = (vec![1.0, 0.0, 1.0], vec![0.0, 1.0, 2.0]);
        for header in ["kind,x\n", ""] {
            let found = all(&format!("{header}6\" nail,1\n6\" nail,1\n\"a\"\"\nb\",2\n6\" nail,1\n"), &encoding, 3);
            let first = 1 + header.lines().count() as u64;
            let lines = [(0, &nail), (1, &nail), (2, &other), (4, &nail)];
            assert_eq!(found, lines.map(|(line, row)| Ok((first + line, row.clone()))), "{header:?}");
        }
    }

    #[test]
    fn rows_in_one_are_refused_with_their_number() {
        // Without a header anything may separate columns, and behind it a quote opens.
        let kind = Column { name: "kind".to_owned(), values: vec!["a;\"b".to_owned()] };
        let encoding = Encoding { columns: vec![columns(&["x"]).columns[0].clone(), kind], ..Encoding::default() };
        let text = "1,a;\"b\n2,a;\"b\n3,a;\"b\n4,a;\"b\n";
        let found = all(text, &encoding, 2);
        let lines = ["line 1:", "line 3:"];
        assert_eq!(found.len(), lines.len(), "{found:?}");
        for (row, line) in found.iter().zip(lines) {
            let is_told =
                |error: &String| error.contains(line) && error.contains("4 numbers") && error.contains("reads 2");
            assert!(row.as_ref().is_err_and(is_told), "{found:?}");
        }
        assert_eq!(all(&format!("x,kind\n{text}"), &encoding, 2).iter().filter(|row| row.is_ok()).count(), 4);
    }

    #[test]
    fn a_line_ends_with_either_byte_or_both() {
        let expected: Vec<_> = (1..=3).map(|line| (line, vec![line as f32, 0.0])).collect();
        for end in ["\n", "\r\n", "\r"] {
            for last in ["", end] {
                let text = ["1,0", "2,0", "3,0"].join(end) + last;
                let found: Vec<_> = all(&text, &Encoding::default(), 2).into_iter().map(Result::unwrap).collect();
                assert_eq!(found, expected, "{text:?}");
            }
            let text = ["\u{feff}\"a\nb\",c", "1,2", "", "3,4", ""].join(end);
            let found = all(&text, &columns(&["c", "a\nb"]), 2);
            assert_eq!(found, [Ok((3, vec![2.0, 1.0])), Ok((5, vec![4.0, 3.0]))], "{text:?}");
        }
    }

    #[test]
    fn a_row_is_there_before_the_next_one_is_written() {
        /// A pipe that nobody writes into any more.
        struct Open<'a>(&'a [u8]);
        impl std::io::Read for Open<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                assert!(!self.0.is_empty(), "would wait");
                self.0.read(buffer)
            }
        }
        for text in ["1,2\n", "1,2\r"] {
            let reader = std::io::BufReader::new(Open(text.as_bytes()));
            let mut rows = Rows::new(reader, Path::new("pipe"), &[2], &Encoding::default()).unwrap();
            assert_eq!(rows.next_row().unwrap().map(|row| row.features), Some(vec![1.0, 2.0]));
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
