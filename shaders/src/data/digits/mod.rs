//! The embedded digits; where they come from stands in the NOTICE beside this file.

use super::named::{Named, Source};

pub(super) const DIGITS: Named = Named {
    name: "digits",
    about: "1,797 handwritten digits of 8x8 pixels, 10 classes (embedded)",
    source: Source::Idx([
        include_bytes!("train-images-idx3-ubyte.gz"),
        include_bytes!("train-labels-idx1-ubyte.gz"),
        include_bytes!("t10k-images-idx3-ubyte.gz"),
        include_bytes!("t10k-labels-idx1-ubyte.gz"),
    ]),
};
