//! Parquet, by the reader of arrow-rs, where the feature `parquet` is built in: columns as those of CSV, row group after row group.
//!
//! Values become the cells of a table, so that labels, columns of few texts and missing values (nulls) are what they are in CSV. Columns of lists and
//! records are refused by name.

use std::path::Path;

use super::table::Table;
use crate::data::error::DataError;

/// Without the feature.
#[cfg(not(feature = "parquet"))]
pub(super) fn read(path: &Path) -> Result<Table, DataError> {
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

    use super::super::table::COLUMNS_MAX;
    use super::{DataError, Path, Table};
    use crate::data::error::Place;
    use crate::data::{DATA_BYTES_MAX, files};

    const DAMAGED: &str = "the file is damaged or was cut off: write it again";

    fn damaged(path: &Path) -> impl Fn(&dyn fmt::Display) -> DataError + '_ {
        move |error| DataError::whole(path, error, DAMAGED)
    }

    /// A file's cells.
    pub(in super::super) fn read(path: &Path) -> Result<Table, DataError> {
        // The reader is written for files of honest writers: should one make it panic, that is an error of the file.
        catch_unwind(AssertUnwindSafe(|| rows(path)))
            .unwrap_or_else(|_| Err(DataError::whole(path, "Parquet that the reader stumbles over", DAMAGED)))
    }

    fn rows(path: &Path) -> Result<Table, DataError> {
        let wrong = damaged(path);
        let (file, _) = files::open(path)?;
        let reader = SerializedFileReader::new(file).map_err(|error| wrong(&error))?;
        let metadata = reader.metadata();
        let names: Vec<String> =
            metadata.file_metadata().schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
        if names.len() < 2 || names.len() > COLUMNS_MAX {
            let what = format!("{} columns", names.len());
            let remedy = format!("a table has a column for the label and from 1 to {} more", COLUMNS_MAX - 1);
            return Err(DataError::whole(path, what, remedy));
        }
        let mut cells = Vec::new();
        // Bytes of the cells as text, and what each of them takes beside.
        let mut bytes = 0u64;
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).map_err(|error| wrong(&error))?;
            for row in group.get_row_iter(None).map_err(|error| wrong(&error))? {
                let row = row.map_err(|error| wrong(&error))?;
                let mut record = csv::StringRecord::with_capacity(row.len() * 8, row.len());
                for (name, field) in row.get_column_iter() {
                    record.push_field(&cell(path, name, field)?);
                }
                bytes += (record.as_slice().len() + record.len() * size_of::<usize>()) as u64;
                if bytes > DATA_BYTES_MAX {
                    let what = format!("more than {} MiB as a table", DATA_BYTES_MAX >> 20);
                    let remedy = "save the numbers with numpy.save: a plain file is read row by row";
                    return Err(DataError::whole(path, what, remedy));
                }
                cells.push(record);
            }
        }
        if cells.is_empty() {
            return Err(DataError::Empty { path: path.into() });
        }
        Ok(Table::of_cells(names, cells))
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
