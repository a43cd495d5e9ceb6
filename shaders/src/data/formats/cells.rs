//! Cells of a table as its file has them: all their texts side by side in one piece of memory, since a text of its own for each row takes many times
//! what a row of numbers does. What they cost is counted while they come.

/// See the module.
#[derive(Debug)]
pub(crate) struct Cells {
    columns: usize,
    text: String,
    /// Where each row begins in the text, and its line in the file.
    rows: Vec<(u64, u64)>,
    /// Where each cell ends, from the beginning of its row.
    ends: Vec<u32>,
    limit: u64,
}

/// There are more than may be held.
#[derive(Debug)]
pub(crate) struct Full {
    /// Bytes that may be.
    pub(crate) limit: u64,
}

impl Cells {
    /// Rows of so many cells, in at most so many bytes.
    pub(crate) fn new(columns: usize, limit: u64) -> Self {
        Self { columns, text: String::new(), rows: Vec::new(), ends: Vec::new(), limit }
    }

    /// Appends a row. Cells that are too many are left out; those that are missing are empty.
    pub(crate) fn push<'a>(&mut self, line: u64, cells: impl Iterator<Item = &'a str>) -> Result<(), Full> {
        let full = Full { limit: self.limit };
        let begin = self.text.len();
        let expected = self.ends.len() + self.columns;
        self.rows.push((begin as u64, line));
        for cell in cells.take(self.columns) {
            self.text.push_str(cell);
            match u32::try_from(self.text.len() - begin) {
                Ok(end) => self.ends.push(end),
                Err(_) => return Err(full),
            }
        }
        let end = u32::try_from(self.text.len() - begin).unwrap_or(u32::MAX);
        self.ends.resize(expected, end);
        if self.bytes() > self.limit { Err(full) } else { Ok(()) }
    }

    /// What they take.
    pub(crate) fn bytes(&self) -> u64 {
        let beside = size_of_val(&self.rows[..]) + size_of_val(&self.ends[..]);
        (self.text.len() + beside) as u64
    }

    /// Rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Cells of a row.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The line of a row, as it was pushed.
    pub(crate) fn line(&self, row: usize) -> u64 {
        self.rows[row].1
    }

    /// A cell, with what stands around it.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        let (at, begin) = (row * self.columns + column, self.rows[row].0 as usize);
        let first = if column == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[begin + first..begin + self.ends[at] as usize]
    }

    /// All cells of a row.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        (0..self.columns).map(move |column| self.cell(row, column))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn cells_are_what_was_pushed() {
        let mut cells = Cells::new(3, 1000);
        cells.push(1, ["a", "", "ßc"].into_iter()).unwrap();
        cells.push(4, ["", "d"].into_iter()).unwrap();
        cells.push(5, ["e", "f", "g", "too many"].into_iter()).unwrap();
        let rows: Vec<Vec<&str>> = (0..cells.len()).map(|row| cells.row(row).collect()).collect();
        assert_eq!(rows, [["a", "", "ßc"], ["", "d", ""], ["e", "f", "g"]]);
        assert_eq!((cells.columns(), cells.line(1)), (3, 4));
    }

    #[test]
    fn rows_of_nothing_are_counted() {
        let mut cells = Cells::new(2, 1000);
        let taken = (0..1000).take_while(|_| cells.push(1, ["", ""].into_iter()).is_ok()).count();
        // 16 bytes a row and 4 a cell.
        assert_eq!(taken, 1000 / 24);
    }
}
