//! Numbers with extents, as idx and NPY files hold them: the first extent counts the samples.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::data::error::{DataError, Place};
use crate::data::features::{Element, Features, NOT_FINITE, Rows, Stored};
use crate::data::{CLASSES_MAX, DATA_BYTES_MAX};

/// See the module.
#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) path: PathBuf,
    pub(crate) shape: Vec<usize>,
    pub(crate) element: Element,
    /// What each number is divided by when it is a feature: bytes of a picture become 0 to 1.
    pub(crate) divisor: f32,
    pub(crate) values: Values,
}

/// Of pictures of bytes.
pub(crate) const BYTE: f32 = 255.0;

/// Where the numbers are; that they are all there was checked.
#[derive(Debug)]
pub(crate) enum Values {
    Bytes(Vec<u8>),
    /// From this byte on.
    File(Arc<File>, u64),
}

impl Array {
    pub(crate) fn samples(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Extents of a sample; numbers have the extent 1.
    pub(crate) fn sample_shape(&self) -> Vec<usize> {
        match self.shape.get(1..) {
            Some([]) | None => vec![1],
            Some(shape) => shape.to_vec(),
        }
    }

    fn bytes(&self) -> Result<Vec<u8>, DataError> {
        match &self.values {
            Values::Bytes(bytes) => Ok(bytes.clone()),
            Values::File(file, begin) => {
                let length = self.shape.iter().product::<usize>() * self.element.bytes();
                let mut all = Vec::with_capacity(length);
                Stored::scan(file, &self.path, (*begin, begin + length as u64), 1, |piece| {
                    all.extend_from_slice(piece);
                    Ok(())
                })?;
                Ok(all)
            }
        }
    }

    /// Whether its samples would stay in the file.
    pub(crate) fn is_stored(&self, resident_bytes_max: u64) -> bool {
        let numbers = self.shape.iter().map(|&extent| extent as u64).product::<u64>();
        matches!(self.values, Values::File(..)) && numbers.saturating_mul(size_of::<f32>() as u64) > resident_bytes_max
    }

    /// Samples in the file whose label is one of their numbers, and the labels.
    pub(crate) fn with_label(self, column: usize, resident_bytes_max: u64) -> Result<(Features, Vec<u32>), DataError> {
        let (samples, bytes) = (self.samples(), self.element.bytes());
        let (element, path) = (self.element, self.path.clone());
        let Features::Stored(stored) = self.features(resident_bytes_max)? else { return Ok(Default::default()) };
        let (row, mut labels) = (stored.stride as usize, Vec::with_capacity(samples));
        let range = (stored.begin, stored.begin + samples as u64 * stored.stride);
        Stored::scan(&stored.file, &path, range, row, |piece| {
            for row in piece.chunks_exact(row) {
                let number = element.numbers(&row[column * bytes..][..bytes]);
                labels.push(label(&path, labels.len(), number.first().copied().unwrap_or(f64::NAN))?);
            }
            Ok(())
        })?;
        let width = stored.width - 1;
        Ok((Features::Stored(Stored { width, skipped: Some(column), ..stored }), labels))
    }

    /// As samples: in memory, or where that takes more than so many bytes, in the file.
    pub(crate) fn features(self, resident_bytes_max: u64) -> Result<Features, DataError> {
        let width: usize = self.sample_shape().iter().product();
        let numbers = self.samples() as u64 * width as u64;
        if let Values::File(file, begin) = &self.values
            && numbers * size_of::<f32>() as u64 > resident_bytes_max
        {
            return Ok(Features::Stored(Stored {
                path: self.path,
                file: Arc::clone(file),
                begin: *begin,
                stride: (width * self.element.bytes()) as u64,
                width,
                element: self.element,
                divisor: self.divisor,
                normalization: None,
                rows: Rows::Range(0, numbers / width.max(1) as u64),
                skipped: None,
            }));
        }
        if numbers * size_of::<f32>() as u64 > DATA_BYTES_MAX {
            let what = format!("{} MiB as floats, at most {} are held", numbers >> 18, DATA_BYTES_MAX >> 20);
            return Err(DataError::whole(&self.path, what, "unpack it: a plain file is read row by row"));
        }
        let mut out = Vec::with_capacity(numbers as usize);
        self.element.append(&self.bytes()?, self.divisor, &mut out);
        if let Some(at) = out.iter().position(|value| !value.is_finite()) {
            let place = Place::Part(format!("sample {}", at / width.max(1)));
            return Err(DataError::at(&self.path, place, NOT_FINITE, "replace it, or leave the sample out"));
        }
        Ok(Features::Resident(out))
    }

    /// As the labels of so many samples.
    pub(crate) fn labels(self, samples: usize) -> Result<Vec<u32>, DataError> {
        let one_each = self.shape.iter().skip(1).all(|&extent| extent == 1);
        if !one_each || self.shape.is_empty() {
            let what = format!("labels of extents {:?}", self.shape);
            return Err(DataError::whole(
                &self.path,
                what,
                format!("one whole number a sample is wanted: [{samples}]"),
            ));
        }
        if self.samples() != samples {
            return Err(DataError::Count { path: self.path, images: samples, labels: self.shape[0] });
        }
        let numbers = self.element.numbers(&self.bytes()?);
        numbers.iter().enumerate().map(|(sample, &number)| label(&self.path, sample, number)).collect()
    }
}

/// A class, from a number that should be one.
pub(crate) fn label(path: &std::path::Path, sample: usize, number: f64) -> Result<u32, DataError> {
    if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
        let place = Place::Part(format!("sample {sample}"));
        let what = format!("label {number} is no class");
        return Err(DataError::at(
            path,
            place,
            what,
            format!("classes are whole numbers from 0 to {}", CLASSES_MAX - 1),
        ));
    }
    Ok(number as u32)
}
