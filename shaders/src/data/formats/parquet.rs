//! Parquet, by the reader of arrow-rs, where the feature `parquet` is built in: columns as those of CSV, row group after row group.
//!
//! Values become the cells of a table, so that labels, columns of few texts and missing values (nulls) are what they are in CSV. Columns of lists and
//! records are refused by name.

use std::path::Path;

use super::table::{Table, Wanted};
use crate::data::error::DataError;

/// Without the feature.
#[cfg(not(feature = "parquet"))]
pub(super) fn read(path: &Path, _: Wanted<'_>) -> Result<Table, DataError> {
    let remedy = "a build with it reads it: cargo install --path node --features parquet; or write it as CSV or NPY, as in Python: \
                  pandas.read_parquet(f).to_csv(\"data.csv\", index=False)";
    Err(DataError::whole(path, "Parquet, and this build is without the feature `parquet`", remedy))
}

#[cfg(feature = "parquet")]
pub(super) use reading::read;

#[cfg(feature = "parquet")]
mod reading {
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    use super::super::cells::Cells;
    use super::super::table::{COLUMNS_MAX, few_columns, too_large};
    use super::{DataError, Path, Table, Wanted};
    use crate::data::error::Place;
    use crate::data::files;

    const DAMAGED: &str = "the file is damaged or was cut off: write it again";

    fn damaged(path: &Path) -> impl Fn(&dyn fmt::Display) -> DataError + '_ {
        move |error| DataError::whole(path, error, DAMAGED)
    }

    /// A file's cells.
    pub(in super::super) fn read(path: &Path, wanted: Wanted<'_>) -> Result<Table, DataError> {
        // The reader is written for files of honest writers: should one make it panic, that is an error of the file.
        catch_unwind(AssertUnwindSafe(|| rows(path, wanted)))
            .unwrap_or_else(|_| Err(DataError::whole(path, "Parquet that the reader stumbles over", DAMAGED)))
    }

    fn rows(path: &Path, wanted: Wanted<'_>) -> Result<Table, DataError> {
        let wrong = damaged(path);
        let (file, _) = files::open(path)?;
        let reader = SerializedFileReader::new(file).map_err(|error| wrong(&error))?;
        let metadata = reader.metadata();
        let names: Vec<String> =
            metadata.file_metadata().schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
        if names.len() < wanted.columns_min {
            return Err(DataError::whole(path, format!("{} column(s)", names.len()), few_columns(wanted.columns_min)));
        }
        if names.len() > COLUMNS_MAX {
            let what = format!("{} columns, at most {COLUMNS_MAX}", names.len());
            return Err(DataError::whole(path, what, "save the numbers with numpy.save instead"));
        }
        let full = |full| too_large(path, &full);
        let mut cells = Cells::new(names.len(), wanted.bytes_max);
        cells.push(0, names.iter().map(String::as_str)).map_err(full)?;
        let mut number = 0;
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).map_err(|error| wrong(&error))?;
            for row in group.get_row_iter(None).map_err(|error| wrong(&error))? {
                let row = row.map_err(|error| wrong(&error))?;
                let texts: Vec<String> =
                    row.get_column_iter().map(|(name, field)| cell(path, name, field)).collect::<Result<_, _>>()?;
                number += 1;
                cells.push(number, texts.iter().map(String::as_str)).map_err(full)?;
            }
        }
        if number == 0 {
            return Err(DataError::Empty { path: path.into() });
        }
        Ok(Table::of_cells(cells))
    }

    /// As CSV would have it.
    fn cell(path: &Path, name: &str, field: &Field) -> Result<String, DataError> {
        Ok(match field {
            Field::Null => String::new(),
            Field::Bool(value) => u8::from(*value).to_string(),
            Field::Byte(value) => value.to_string(),
            Field::Short(value) => value.to_string(),
            Field::Int(value) => value.to_string(),
            Field::Long(value) => value.to_string(),
            Field::UByte(value) => value.to_string(),
            Field::UShort(value) => value.to_string(),
            Field::UInt(value) => value.to_string(),
            Field::ULong(value) => value.to_string(),
            Field::Float16(value) => value.to_f32().to_string(),
            Field::Float(value) => value.to_string(),
            Field::Double(value) => value.to_string(),
            Field::Decimal(_) => field.to_string(),
            Field::Str(text) => text.clone(),
            Field::Bytes(bytes) => match bytes.as_utf8() {
                Ok(text) => text.to_owned(),
                Err(_) => return Err(neither(path, name, "bytes that are no text")),
            },
            Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
                return Err(neither(path, name, "lists or records"));
            }
            _ => return Err(neither(path, name, "dates or times")),
        })
    }

    fn neither(path: &Path, name: &str, what: &str) -> DataError {
        let place = Place::Part(format!("column {name:?}"));
        DataError::at(path, place, what, "numbers and texts are read: leave the column out, or write it as numbers")
    }
}

#[cfg(all(test, feature = "parquet"))]
#[path = "parquet/tests.rs"]
mod tests;
