//! Tables: CSV, TSV, or with ; or | between the columns; quoted as RFC 4180 says (the `csv` crate takes lines apart). Those of Parquet come from
//! `parquet.rs`.
//!
//! One column is the label: the one that is asked for by name or number, else one named label or class, else the last. Columns of numbers
//! are taken as they are; a column of at most [`ONE_HOT_MAX`] different texts becomes as many numbers, one of which is 1. Anything else is
//! refused by name, since a guess would train on nonsense. A missing value is an error with its line.

use std::collections::BTreeSet;
use std::path::Path;

use crate::data::encoding::{Column, Encoding};
use crate::data::error::{DataError, Place, no_utf8};
use crate::data::formats::cells::{Cells, Full};
use crate::data::formats::quotes::Quotes;
use crate::data::formats::{Kind, kind, parquet};
use crate::data::open::{Classes, Loaded};
use crate::data::{CLASSES_MAX, DATA_BYTES_MAX, Features, Options, files};

/// Most different texts of a column that becomes numbers.
pub(crate) const ONE_HOT_MAX: usize = 32;
/// Most columns.
pub(crate) const COLUMNS_MAX: usize = 16_384;
/// Values that stand for one that is not there.
const MISSING: &[&str] = &["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"];
/// What separates columns.
const DELIMITERS: &[u8] = b",\t;|";
/// Names of a label where none is asked for.
const LABEL_NAMES: &[&str] = &["label", "class", "target", "species"];
/// Faulty lines that are collected for a message.
const FAULTS_MAX: usize = 1000;
/// Lines that are looked at to see whether there is a header.
const LINES_LOOKED_AT: usize = 100;

/// What a table is read for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Names that its header is known by.
    pub(crate) names: &'a [&'a str],
    /// Fewest columns.
    pub(crate) columns_min: usize,
    /// Most bytes of its cells.
    pub(crate) bytes_max: u64,
}

/// A file's cells.
#[derive(Debug)]
pub(crate) struct Table {
    /// The header, or the columns' numbers from 0.
    names: Vec<String>,
    /// Whether the first of the cells' rows is that.
    has_header: bool,
    /// Whether rows are told by their line in the file, or by their number from 1.
    has_lines: bool,
    cells: Cells,
}

impl Table {
    pub(crate) fn read(path: &Path, wanted: Wanted<'_>) -> Result<Self, DataError> {
        if kind(&files::head(path)?) == Kind::Parquet {
            let table = parquet::read(path, wanted)?;
            refuse_twins(path, &table.names)?;
            return Ok(table);
        }
        let bytes = files::read(path, DATA_BYTES_MAX)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            no_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to(), "save the table as UTF-8")
        })?;
        // Excel writes a byte order mark.
        Self::of_text(path, text.strip_prefix('\u{feff}').unwrap_or(&text), wanted)
    }

    fn of_text(path: &Path, text: &str, wanted: Wanted<'_>) -> Result<Self, DataError> {
        let cells = records(path, text, wanted.bytes_max)?;
        let columns = cells.columns();
        if columns < wanted.columns_min {
            let what = format!("{} line(s) of {columns} column(s)", cells.len());
            return Err(DataError::whole(path, what, few_columns(wanted.columns_min)));
        }
        if columns > COLUMNS_MAX {
            let what = format!("{columns} columns, at most {COLUMNS_MAX}");
            return Err(DataError::whole(path, what, "save the numbers with numpy.save instead"));
        }
        let has_header = has_header(&cells, wanted.names);
        let names: Vec<String> = if has_header {
            cells.row(0).map(|name| name.trim().to_owned()).collect()
        } else {
            (0..columns).map(|i| i.to_string()).collect()
        };
        refuse_twins(path, &names)?;
        let table = Self { names, has_header, has_lines: true, cells };
        if table.rows() == 0 {
            let what = format!("a header ({}), and no row below it", shown(&table.names));
            return Err(DataError::whole(path, what, "add the samples, one a line; was the file cut off?"));
        }
        if columns == 1 {
            refuse_blank_lines(path, text)?;
        }
        Ok(table)
    }

    /// Of cells that were not written as lines; the first row is the header.
    #[cfg(feature = "parquet")]
    pub(super) fn of_cells(cells: Cells) -> Self {
        let names = cells.row(0).map(str::to_owned).collect();
        Self { names, has_header: true, has_lines: false, cells }
    }

    /// Rows below the header.
    fn rows(&self) -> usize {
        self.cells.len() - usize::from(self.has_header)
    }

    /// Where rows are, by [`Self::line`].
    fn place(&self, lines: Vec<u64>) -> Place {
        if self.has_lines { Place::Lines(lines) } else { Place::Rows(lines) }
    }

    fn line(&self, row: usize) -> u64 {
        self.cells.line(row + usize::from(self.has_header))
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        self.cells.cell(row + usize::from(self.has_header), column).trim()
    }

    /// Which column is the label: none of those that a model reads.
    fn label_column(&self, path: &Path, asked: Option<&str>, read: &[usize]) -> Result<usize, DataError> {
        let none = || {
            let what = format!("no column beside those that the model reads ({})", shown(&self.names));
            DataError::whole(path, what, "add a column with the label")
        };
        let Some(asked) = asked else {
            let known = |at: &usize| LABEL_NAMES.contains(&self.names[*at].to_lowercase().as_str());
            let free = || (0..self.names.len()).filter(|at| !read.contains(at));
            return free().find(known).or_else(|| free().next_back()).ok_or_else(none);
        };
        let number = || asked.parse::<usize>().ok().filter(|at| *at < self.names.len());
        match self.names.iter().position(|name| name == asked).or_else(number) {
            Some(at) if !read.contains(&at) => Ok(at),
            Some(_) => {
                let what = format!("column {asked:?} is one that the model reads");
                Err(DataError::whole(path, what, "--label names the column of the label"))
            }
            None => {
                let what = format!("no column {asked:?}");
                let header = if self.has_header { "its header has" } else { "it has no header; its columns are" };
                let shown = shown(&self.names);
                Err(DataError::whole(path, what, format!("{header} {shown}; --label takes a name, or a number from 0")))
            }
        }
    }

    /// Where the columns of a model are.
    fn places(&self, path: &Path, columns: &[Column], with_label: bool) -> Result<Vec<usize>, DataError> {
        // Columns of a table without a header are called by their numbers, and so found where their table had them.
        let named: Option<Vec<usize>> =
            columns.iter().map(|column| self.names.iter().position(|name| *name == column.name)).collect();
        if let Some(named) = named.filter(|_| self.has_header || with_label) {
            return Ok(named);
        }
        if self.has_header {
            let missing = columns.iter().find(|column| !self.names.contains(&column.name));
            let what = format!("no column {:?}", missing.map_or("", |column| column.name.as_str()));
            let remedy = format!("the model was trained with it; this table has {}", shown(&self.names));
            return Err(DataError::whole(path, what, remedy));
        }
        if !with_label && self.names.len() == columns.len() {
            return Ok((0..columns.len()).collect());
        }
        let (found, trained) = (self.names.len(), columns.len());
        let what = format!("{found} columns without a header, the model was trained with {trained}");
        let remedy = if with_label { "add a header" } else { "add a header, or leave the label's column out" };
        Err(DataError::whole(path, what, remedy))
    }
}

/// Columns are told by their names.
fn refuse_twins(path: &Path, names: &[String]) -> Result<(), DataError> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twin) => {
            Err(DataError::whole(path, format!("two columns called {twin:?}"), "give each column a name of its own"))
        }
        None => Ok(()),
    }
}

pub(super) fn few_columns(least: usize) -> &'static str {
    if least < 2 {
        return "a table has a column at least";
    }
    "a table has a column for the label and at least one more, separated by comma, tab, semicolon or |; a text is read by model.kind = \"lm\""
}

/// Of a table with one column a line without a value is an empty line, which the reader of lines passes over.
fn refuse_blank_lines(path: &Path, text: &str) -> Result<(), DataError> {
    let (mut lines, mut blank) = (Vec::new(), Vec::new());
    for (line, content) in (1u64..).zip(text.lines()) {
        if content.trim().is_empty() {
            blank.push(line);
        } else {
            // What stands behind the last value is the end of the file.
            lines.append(&mut blank);
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(DataError::at(path, Place::Lines(lines), "a value is missing", "fill it in, or leave these lines out"))
}

pub(super) fn too_large(path: &Path, full: &Full) -> DataError {
    let what = format!("more than {} MiB as a table", full.limit >> 20);
    DataError::whole(path, what, "save the numbers with numpy.save: a plain file is read row by row")
}

/// A few names of many.
fn shown(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

fn records(path: &Path, text: &str, bytes_max: u64) -> Result<Cells, DataError> {
    let delimiter = delimiter(first_line(text));
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut cells, mut uneven) = (None, Vec::new());
    let mut record = csv::StringRecord::new();
    let quote = |error| DataError::whole(path, error, "quote cells that hold the separator");
    while reader.read_record(&mut record).map_err(quote)? {
        let cells = cells.get_or_insert_with(|| Cells::new(record.len(), bytes_max));
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != cells.columns() && uneven.len() < FAULTS_MAX {
            uneven.push((line, record.len(), cells.columns()));
        }
        cells.push(line, record.iter()).map_err(|full| too_large(path, &full))?;
    }
    if let Some(line) = left_open(text, delimiter) {
        let what = "a quote (\") that is opened here and never closed";
        let remedy = "close it; a quote within a cell is written twice (\"\")";
        return Err(DataError::at(path, Place::Lines(vec![line]), what, remedy));
    }
    let Some(&(_, found, expected)) = uneven.first() else {
        return cells.ok_or_else(|| DataError::Empty { path: path.into() });
    };
    let lines = uneven.iter().map(|(line, ..)| *line).collect();
    let what = format!("{found} columns, the first line has {expected}");
    Err(DataError::at(path, Place::Lines(lines), what, "quote cells that hold the separator; was the file cut off?"))
}

/// What separates the columns of a table that begins with that line: what it has most of.
fn delimiter(first: &str) -> u8 {
    // As 1,5;2,5: commas are as many, or more, and all within numbers.
    let within_numbers = |&delimiter: &u8| {
        let mut cells = first.split(char::from(delimiter));
        let is_sound = |cell: &str| !cell.contains(',') || has_decimal_comma(cell);
        delimiter != b',' && first.as_bytes().contains(&delimiter) && {
            cells.clone().all(is_sound) && cells.any(has_decimal_comma)
        }
    };
    let count = |delimiter: u8| first.bytes().filter(|&byte| byte == delimiter).count();
    let most = || DELIMITERS.iter().copied().rev().max_by_key(|&delimiter| count(delimiter));
    DELIMITERS.iter().copied().find(within_numbers).or_else(most).unwrap_or(b',')
}

/// The first line that says something.
fn first_line(text: &str) -> &str {
    text.split(['\n', '\r']).find(|line| !line.trim().is_empty()).unwrap_or("")
}

/// Whether a byte ends a cell that is not quoted, and maybe its row; what separates columns is known once a header was read.
pub(crate) fn ends_cell(byte: u8, separator: Option<u8>) -> bool {
    matches!(byte, b'\n' | b'\r') || separator.map_or(DELIMITERS.contains(&byte), |separator| byte == separator)
}

/// Of a row that comes alone, before the others: what separates its columns, if it is a header. That is one without a number, which names a column
/// that the model was trained with, or, of a model that knows no names, holds a text.
pub(crate) fn header(path: &Path, text: &str, columns: &[Column]) -> Option<u8> {
    // What is no table is no header either; whoever reads it says why.
    let cells = records(path, text, DATA_BYTES_MAX).ok()?;
    let row = || cells.row(0).map(str::trim);
    let is_text = |cell: &str| !MISSING.contains(&cell) && cell.parse::<f64>().is_err();
    let is_name = |cell: &str| columns.iter().any(|column| column.name == cell);
    let named = if columns.is_empty() { row().any(is_text) } else { row().any(is_name) };
    (named && !row().any(is_any_number)).then(|| delimiter(first_line(text)))
}

/// The line of a quoted cell that the end of the file closes: everything behind it would be part of it.
fn left_open(text: &str, delimiter: u8) -> Option<u64> {
    let (mut line, mut opened, mut quotes) = (1, 1, Quotes::default());
    for byte in text.bytes() {
        let before = quotes;
        quotes = before.behind(byte, ends_cell(byte, Some(delimiter)));
        if before == Quotes::Begin && quotes == Quotes::Open {
            opened = line;
        }
        line += u64::from(byte == b'\n');
    }
    (quotes == Quotes::Open).then_some(opened)
}

fn is_number(cell: &str) -> bool {
    cell.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

/// As 3,14: what reads as a number once its only comma is a point.
fn has_decimal_comma(cell: &str) -> bool {
    cell.matches(',').count() == 1 && !cell.starts_with(',') && is_number(&cell.replace(',', "."))
}

/// However its decimals are written.
fn is_any_number(cell: &str) -> bool {
    is_number(cell) || has_decimal_comma(cell)
}

/// The first line is a header when it has a name that is known, when a column of numbers begins with none, or when it names a label of itself.
fn has_header(cells: &Cells, names: &[&str]) -> bool {
    if cells.len() == 0 || cells.row(0).any(is_any_number) {
        return false;
    }
    let named = |cell: &str| {
        let cell = cell.trim();
        names.contains(&cell) || LABEL_NAMES.contains(&cell.to_lowercase().as_str())
    };
    let below = 1..cells.len().min(LINES_LOOKED_AT);
    let number_below = |column: usize| below.clone().any(|row| is_any_number(cells.cell(row, column)));
    cells.row(0).any(named) || (0..cells.columns()).any(number_below)
}

/// A table as samples and labels; with columns of a model, encoded as that was trained.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Loaded, DataError> {
    let asked = options.label.as_deref();
    let names: Vec<&str> = options.columns.iter().map(|column| column.name.as_str()).chain(asked).collect();
    let table = Table::read(path, Wanted { names: &names, columns_min: 2, bytes_max: DATA_BYTES_MAX })?;
    let trained = if options.columns.is_empty() { Vec::new() } else { table.places(path, &options.columns, true)? };
    let label = table.label_column(path, asked, &trained)?;
    let matters = |column: usize| trained.is_empty() || column == label || trained.contains(&column);
    refuse_missing(path, &table, matters)?;
    let (places, columns) = if trained.is_empty() {
        let places: Vec<usize> = (0..table.names.len()).filter(|&i| i != label).collect();
        let columns = places.iter().map(|&i| column(path, &table, i)).collect::<Result<Vec<_>, _>>()?;
        (places, columns)
    } else {
        (trained, options.columns.clone())
    };
    let (labels, class_names) = labels(path, &table, label, &options.classes)?;
    let features = encode(path, &table, &places, &columns)?;
    Ok(Loaded {
        shape: vec![columns.iter().map(Column::width).sum()],
        features: Features::Resident(features),
        labels,
        labels_path: path.into(),
        encoding: Encoding { columns, class_names, ..Encoding::default() },
        varied: true,
        ..Loaded::default()
    })
}

/// The rows of a table for a model that was trained on such columns; a column that is not among them, as a label, is not looked at.
pub(crate) fn rows(path: &Path, columns: &[Column]) -> Result<Vec<f32>, DataError> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let table = Table::read(path, Wanted { names: &names, columns_min: 1, bytes_max: DATA_BYTES_MAX })?;
    encoded(path, &table, columns)
}

/// The same of a table that is at hand.
pub(crate) fn rows_of_text(path: &Path, text: &str, columns: &[Column]) -> Result<Vec<f32>, DataError> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let table = Table::of_text(path, text, Wanted { names: &names, columns_min: 1, bytes_max: DATA_BYTES_MAX })?;
    encoded(path, &table, columns)
}

fn encoded(path: &Path, table: &Table, columns: &[Column]) -> Result<Vec<f32>, DataError> {
    let places = table.places(path, columns, false)?;
    refuse_missing(path, table, |column| places.contains(&column))?;
    encode(path, table, &places, columns)
}

fn refuse_missing(path: &Path, table: &Table, matters: impl Fn(usize) -> bool) -> Result<(), DataError> {
    let (mut lines, mut first) = (Vec::new(), None);
    for row in 0..table.rows() {
        let missing = (0..table.names.len()).find(|&i| matters(i) && MISSING.contains(&table.cell(row, i)));
        if let Some(column) = missing.filter(|_| lines.len() < FAULTS_MAX) {
            first.get_or_insert((column, table.cell(row, column).to_owned()));
            lines.push(table.line(row));
        }
    }
    let Some((column, found)) = first else { return Ok(()) };
    let what = format!("a value is missing: {found:?} in column {:?}", table.names[column]);
    Err(DataError::at(path, table.place(lines), what, "fill it in, or leave these rows out"))
}

/// As texts, numbers would be so many things that have nothing in common.
fn refuse_decimal_commas(path: &Path, table: &Table, at: usize) -> Result<(), DataError> {
    let cells = || (0..table.rows()).map(|row| table.cell(row, at));
    let Some(example) = cells().find(|cell| has_decimal_comma(cell)) else { return Ok(()) };
    let commas = cells().filter(|cell| has_decimal_comma(cell)).count();
    let numbers = cells().filter(|cell| is_number(cell)).count();
    // Whole numbers have none, and nine of ten say enough.
    if 10 * (numbers + commas) < 9 * table.rows() {
        return Ok(());
    }
    let what = format!("numbers with a comma, as {example:?}, in {commas} of {} rows", table.rows());
    let place = Place::Part(format!("column {:?}", table.names[at]));
    Err(DataError::at(path, place, what, "write a decimal point (3.14), and no separators of thousands"))
}

/// What a column becomes.
fn column(path: &Path, table: &Table, at: usize) -> Result<Column, DataError> {
    let name = table.names[at].clone();
    let odd = (0..table.rows()).find(|&row| !is_number(table.cell(row, at)));
    let Some(odd) = odd else { return Ok(Column { name, values: Vec::new() }) };
    refuse_decimal_commas(path, table, at)?;
    let (mut values, mut numbers) = (BTreeSet::new(), 0usize);
    for row in 0..table.rows() {
        let cell = table.cell(row, at);
        numbers += usize::from(is_number(cell));
        if values.len() <= ONE_HOT_MAX {
            values.insert(cell);
        }
    }
    let place = Place::Part(format!("column {name:?}"));
    if numbers > table.rows() / 2 {
        let row = if table.has_lines { "line" } else { "row" };
        let what = format!("{:?} in {row} {} among numbers", table.cell(odd, at), table.line(odd));
        return Err(DataError::at(path, place, what, "mend that line, or leave it out"));
    }
    if values.len() > ONE_HOT_MAX {
        let what = format!("more than {ONE_HOT_MAX} different texts, as {:?}", table.cell(odd, at));
        return Err(DataError::at(path, place, what, "remove the column, or write numbers in place of the texts"));
    }
    Ok(Column { name, values: values.into_iter().map(str::to_owned).collect() })
}

fn encode(path: &Path, table: &Table, places: &[usize], columns: &[Column]) -> Result<Vec<f32>, DataError> {
    let width: usize = columns.iter().map(Column::width).sum();
    let bytes = (table.rows() as u64).saturating_mul((width * size_of::<f32>()) as u64);
    if bytes > DATA_BYTES_MAX {
        let what = format!("{} MiB as floats, at most {} are held", bytes >> 20, DATA_BYTES_MAX >> 20);
        return Err(DataError::whole(path, what, "save the numbers with numpy.save: a plain file is read row by row"));
    }
    let mut out = Vec::with_capacity(table.rows() * width);
    for row in 0..table.rows() {
        for (&place, column) in places.iter().zip(columns) {
            let cell = table.cell(row, place);
            if column.values.is_empty() {
                let value = cell.parse::<f32>().ok().filter(|value| value.is_finite());
                let why =
                    || if is_number(cell) { "is larger than a number of 32 bits (3.4e38)" } else { "is no number" };
                out.push(value.ok_or_else(|| not_among(path, table, row, (place, column), why()))?);
                continue;
            }
            let found = column.values.iter().position(|value| value == cell);
            let found = found.ok_or_else(|| {
                not_among(path, table, row, (place, column), "was not there when the model was trained")
            })?;
            out.extend((0..column.values.len()).map(|i| f32::from(u8::from(i == found))));
        }
    }
    Ok(out)
}

fn not_among(path: &Path, table: &Table, row: usize, (at, column): (usize, &Column), why: &str) -> DataError {
    let what = format!("{:?} in column {:?} {why}", table.cell(row, at), column.name);
    DataError::at(path, table.place(vec![table.line(row)]), what, "mend it, or leave it out")
}

/// The classes, and their names where they have some: those that a job gives, or all that there are, sorted. Whole numbers are
/// classes as they are.
fn labels(path: &Path, table: &Table, at: usize, classes: &Classes) -> Result<(Vec<u32>, Vec<String>), DataError> {
    let cells = || (0..table.rows()).map(|row| table.cell(row, at));
    let place = || Place::Part(format!("column {:?}", table.names[at]));
    let whole =
        |cell: &str| cell.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && (0.0..f64::from(CLASSES_MAX)).contains(n));
    let beyond = |row: usize, class: u32, count: u32| {
        let what =
            format!("label {:?} in column {:?} is class {class} of {count}", table.cell(row, at), table.names[at]);
        let remedy = "classes are counted from 0: raise data.classes, on every peer, or leave the row out";
        DataError::at(path, table.place(vec![table.line(row)]), what, remedy)
    };
    // Told here, where the line is known.
    let within = |labels: Vec<u32>| match classes {
        Classes::Count(count) => match labels.iter().position(|class| class >= count) {
            Some(row) => Err(beyond(row, labels[row], *count)),
            None => Ok(labels),
        },
        _ => Ok(labels),
    };
    if !matches!(classes, Classes::Named(_)) && cells().all(|cell| whole(cell).is_some()) {
        return Ok((within(cells().filter_map(whole).map(|n| n as u32).collect())?, Vec::new()));
    }
    let odd = (0..table.rows()).find(|&row| whole(table.cell(row, at)).is_none()).filter(|_| cells().all(is_number));
    if let Some(odd) = odd {
        let what = format!("{} in column {:?} is no class", table.cell(odd, at), table.names[at]);
        let remedy = format!(
            "classes are texts, or whole numbers from 0 to {}: is this the column of the label (--label)?",
            CLASSES_MAX - 1
        );
        return Err(DataError::at(path, table.place(vec![table.line(odd)]), what, remedy));
    }
    if !matches!(classes, Classes::Named(_)) {
        refuse_decimal_commas(path, table, at)?;
    }
    let names: Vec<String> = match classes {
        Classes::Named(names) => names.clone(),
        _ => cells().collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect(),
    };
    if names.len() > CLASSES_MAX as usize {
        let what = format!("{} different labels, at most {CLASSES_MAX}", names.len());
        return Err(DataError::at(path, place(), what, "is this the column of the label (--label)?"));
    }
    let class = |row: usize| {
        let cell = table.cell(row, at);
        let class = names.iter().position(|name| name == cell).map(|class| class as u32);
        class.ok_or_else(|| {
            let what = format!("label {cell:?} is none of data.classes ({})", shown(&names));
            DataError::at(
                path,
                table.place(vec![table.line(row)]),
                what,
                "add it there, on every peer, or leave the row out",
            )
        })
    };
    let labels = (0..table.rows()).map(class).collect::<Result<_, _>>()?;
    Ok((within(labels)?, names))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn columns_of_one_name_are_refused() {
        let path = std::env::temp_dir().join(format!("starling-twins-{}.csv", std::process::id()));
        std::fs::write(&path, "x,x,label\n1,2,0\n3,4,1\n").unwrap();
        let error =
            Table::read(&path, Wanted { columns_min: 2, names: &[], bytes_max: 1 << 20 }).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains("two columns called \"x\"") && error.contains("a name of its own"), "{error}");
    }

    #[test]
    fn a_table_costs_no_more_than_the_limit() {
        let path = std::env::temp_dir().join(format!("starling-table-limit-{}.csv", std::process::id()));
        std::fs::write(&path, format!("a,label\n{}", "1,0\n".repeat(1000))).unwrap();
        let read = |bytes_max| Table::read(&path, Wanted { names: &[], columns_min: 2, bytes_max });
        // A header of 6 bytes, rows of 2; and for each 16, and 4 a cell.
        let least = 6 + 1000 * 2 + 1001 * (16 + 2 * 4);
        assert_eq!(read(least).unwrap().rows(), 1000);
        let error = read(least - 1).unwrap_err().to_string();
        assert!(
            error.contains("-limit-") && error.contains("MiB as a table") && error.contains("numpy.save"),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();
    }
}
