//! Tables: CSV, TSV, or with ; or | between the columns; quoted as RFC 4180 says (the `csv` crate takes lines apart). Those of Parquet come from
//! `parquet.rs`.
//!
//! One column is the label: the one that is asked for by name or number, else one named label or class, else the last. Columns of numbers
//! are taken as they are; a column of at most [`ONE_HOT_MAX`] different texts becomes as many numbers, one of which is 1. Anything else is
//! refused by name, since a guess would train on nonsense. A missing value is an error with its line.

use std::collections::BTreeSet;
use std::path::Path;

use crate::data::encoding::{Column, Encoding};
use crate::data::error::{DataError, Place};
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

/// A file's cells.
#[derive(Debug)]
pub(crate) struct Table {
    /// The header, or the columns' numbers from 0.
    names: Vec<String>,
    has_header: bool,
    /// Whether rows are told by their line in the file, or by their number from 1.
    has_lines: bool,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    pub(crate) fn read(path: &Path, label: Option<&str>) -> Result<Self, DataError> {
        if kind(&files::head(path)?) == Kind::Parquet {
            return parquet::read(path);
        }
        let bytes = files::read(path, DATA_BYTES_MAX)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            DataError::at(path, Place::Lines(vec![line as u64]), "bytes that are no UTF-8", "save the table as UTF-8")
        })?;
        // Excel writes a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut rows = records(path, text)?;
        let columns = rows.first().map_or(0, csv::StringRecord::len);
        if columns < 2 {
            let what = format!("{} line(s) of {columns} column(s)", rows.len());
            let remedy = "a table has a column for the label and at least one more, separated by comma, tab, semicolon or |; a text \
                          is read by model.kind = \"lm\"";
            return Err(DataError::whole(path, what, remedy));
        }
        if columns > COLUMNS_MAX {
            let what = format!("{columns} columns, at most {COLUMNS_MAX}");
            return Err(DataError::whole(path, what, "save the numbers with numpy.save instead"));
        }
        let has_header = has_header(&rows, label);
        let names = if has_header {
            rows.remove(0).iter().map(|name| name.trim().to_owned()).collect()
        } else {
            (0..columns).map(|i| i.to_string()).collect()
        };
        if rows.is_empty() {
            return Err(DataError::Empty { path: path.into() });
        }
        Ok(Self { names, has_header, has_lines: true, rows })
    }

    /// Of cells that were not written as lines.
    #[cfg(feature = "parquet")]
    pub(super) fn of_cells(names: Vec<String>, rows: Vec<csv::StringRecord>) -> Self {
        Self { names, has_header: true, has_lines: false, rows }
    }

    /// Where rows are, by [`Self::line`].
    fn place(&self, lines: Vec<u64>) -> Place {
        if self.has_lines { Place::Lines(lines) } else { Place::Rows(lines) }
    }

    fn line(&self, row: usize) -> u64 {
        self.rows[row].position().map_or(row as u64 + 1, csv::Position::line)
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        self.rows[row].get(column).unwrap_or("").trim()
    }

    /// Which column is the label.
    fn label_column(&self, path: &Path, asked: Option<&str>) -> Result<usize, DataError> {
        let Some(asked) = asked else {
            let known = |name: &String| LABEL_NAMES.contains(&name.to_lowercase().as_str());
            return Ok(self.names.iter().position(known).unwrap_or(self.names.len() - 1));
        };
        if let Some(at) = self.names.iter().position(|name| name == asked) {
            return Ok(at);
        }
        match asked.parse::<usize>() {
            Ok(at) if at < self.names.len() => Ok(at),
            _ => {
                let what = format!("no column {asked:?}");
                let header = if self.has_header { "its header has" } else { "it has no header; its columns are" };
                let shown = shown(&self.names);
                Err(DataError::whole(path, what, format!("{header} {shown}; --label takes a name, or a number from 0")))
            }
        }
    }
}

/// A few names of many.
fn shown(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

fn records(path: &Path, text: &str) -> Result<Vec<csv::StringRecord>, DataError> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let count = |delimiter: u8| first.bytes().filter(|&byte| byte == delimiter).count();
    let delimiter = DELIMITERS.iter().copied().rev().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows: Vec<csv::StringRecord> = Vec::new();
    let mut uneven = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| DataError::whole(path, error, "quote cells that hold the separator"))?;
        let expected = rows.first().map_or(record.len(), csv::StringRecord::len);
        if record.len() != expected && uneven.len() < FAULTS_MAX {
            uneven.push((record.position().map_or(0, csv::Position::line), record.len(), expected));
        }
        rows.push(record);
    }
    let Some(&(_, found, expected)) = uneven.first() else { return Ok(rows) };
    let lines = uneven.iter().map(|(line, ..)| *line).collect();
    let what = format!("{found} columns, the first line has {expected}");
    Err(DataError::at(path, Place::Lines(lines), what, "quote cells that hold the separator; was the file cut off?"))
}

fn is_number(cell: &str) -> bool {
    cell.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

/// The first line is a header when it names the label, when a column of numbers begins with none, or when it names a label of itself.
fn has_header(rows: &[csv::StringRecord], label: Option<&str>) -> bool {
    let Some(first) = rows.first() else { return false };
    let below = &rows[1..rows.len().min(LINES_LOOKED_AT)];
    if first.iter().any(is_number) {
        return false;
    }
    let named = |cell: &str| {
        let cell = cell.trim();
        label.is_some_and(|label| label == cell) || LABEL_NAMES.contains(&cell.to_lowercase().as_str())
    };
    let number_below = |i: usize| below.iter().filter_map(|row| row.get(i)).any(is_number);
    first.iter().any(named) || (0..first.len()).any(number_below)
}

/// A table as samples and labels.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Loaded, DataError> {
    let table = Table::read(path, options.label.as_deref())?;
    let label = table.label_column(path, options.label.as_deref())?;
    refuse_missing(path, &table, |_| true)?;
    let columns = (0..table.names.len())
        .filter(|&i| i != label)
        .map(|i| column(path, &table, i))
        .collect::<Result<Vec<_>, _>>()?;
    let (labels, class_names) = labels(path, &table, label, &options.classes)?;
    let places: Vec<usize> = (0..table.names.len()).filter(|&i| i != label).collect();
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
    let table = Table::read(path, columns.first().map(|column| column.name.as_str()))?;
    let places: Vec<usize> = if table.has_header {
        let place = |column: &Column| {
            table.names.iter().position(|name| *name == column.name).ok_or_else(|| {
                let what = format!("no column {:?}", column.name);
                DataError::whole(
                    path,
                    what,
                    format!("the model was trained with it; this table has {}", shown(&table.names)),
                )
            })
        };
        columns.iter().map(place).collect::<Result<_, _>>()?
    } else if table.names.len() == columns.len() {
        (0..columns.len()).collect()
    } else {
        let what =
            format!("{} columns without a header, the model was trained with {}", table.names.len(), columns.len());
        return Err(DataError::whole(path, what, "add a header, or leave the label's column out"));
    };
    refuse_missing(path, &table, |column| places.contains(&column))?;
    encode(path, &table, &places, columns)
}

fn refuse_missing(path: &Path, table: &Table, matters: impl Fn(usize) -> bool) -> Result<(), DataError> {
    let (mut lines, mut first) = (Vec::new(), None);
    for row in 0..table.rows.len() {
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

/// What a column becomes.
fn column(path: &Path, table: &Table, at: usize) -> Result<Column, DataError> {
    let name = table.names[at].clone();
    let odd = (0..table.rows.len()).find(|&row| !is_number(table.cell(row, at)));
    let Some(odd) = odd else { return Ok(Column { name, values: Vec::new() }) };
    let mut values = BTreeSet::new();
    let mut numbers = 0usize;
    for row in 0..table.rows.len() {
        let cell = table.cell(row, at);
        numbers += usize::from(is_number(cell));
        if values.len() <= ONE_HOT_MAX {
            values.insert(cell);
        }
    }
    let place = Place::Part(format!("column {name:?}"));
    if numbers > table.rows.len() / 2 {
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
    let bytes = (table.rows.len() as u64).saturating_mul((width * size_of::<f32>()) as u64);
    if bytes > DATA_BYTES_MAX {
        let what = format!("{} MiB as floats, at most {} are held", bytes >> 20, DATA_BYTES_MAX >> 20);
        return Err(DataError::whole(path, what, "save the numbers with numpy.save: a plain file is read row by row"));
    }
    let mut out = Vec::with_capacity(table.rows.len() * width);
    for row in 0..table.rows.len() {
        for (&place, column) in places.iter().zip(columns) {
            let cell = table.cell(row, place);
            if column.values.is_empty() {
                let value = cell.parse::<f32>().ok().filter(|value| value.is_finite());
                out.push(value.ok_or_else(|| not_among(path, table, row, column, "is no number"))?);
                continue;
            }
            let found = column.values.iter().position(|value| value == cell);
            let found =
                found.ok_or_else(|| not_among(path, table, row, column, "was not there when the model was trained"))?;
            out.extend((0..column.values.len()).map(|i| f32::from(u8::from(i == found))));
        }
    }
    Ok(out)
}

fn not_among(path: &Path, table: &Table, row: usize, column: &Column, why: &str) -> DataError {
    let place = table.names.iter().position(|name| *name == column.name).unwrap_or(0);
    let what = format!("{:?} in column {:?} {why}", table.cell(row, place), column.name);
    DataError::at(path, table.place(vec![table.line(row)]), what, "mend it, or leave it out")
}

/// The classes, and their names where they have some: those that a job gives, or all that there are, sorted. Whole numbers are
/// classes as they are.
fn labels(path: &Path, table: &Table, at: usize, classes: &Classes) -> Result<(Vec<u32>, Vec<String>), DataError> {
    let cells = || (0..table.rows.len()).map(|row| table.cell(row, at));
    let place = || Place::Part(format!("column {:?}", table.names[at]));
    let whole =
        |cell: &str| cell.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && (0.0..f64::from(CLASSES_MAX)).contains(n));
    if !matches!(classes, Classes::Named(_)) && cells().all(|cell| whole(cell).is_some()) {
        return Ok((cells().filter_map(whole).map(|n| n as u32).collect(), Vec::new()));
    }
    if let Some(odd) = cells().find(|cell| is_number(cell)).filter(|_| cells().all(is_number)) {
        let what = format!("{odd} is no class");
        let remedy = format!(
            "classes are texts, or whole numbers from 0 to {}: is this the column of the label (--label)?",
            CLASSES_MAX - 1
        );
        return Err(DataError::at(path, place(), what, remedy));
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
    let labels = (0..table.rows.len()).map(class).collect::<Result<_, _>>()?;
    Ok((labels, names))
}
