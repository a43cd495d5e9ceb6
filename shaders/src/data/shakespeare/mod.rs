//! Four plays; where they come from stands in the NOTICE beside this file.

use super::named::{Named, Source};

pub(super) const SHAKESPEARE: Named = Named {
    name: "shakespeare",
    about: "four plays, 535,348 characters, for a language model on bytes (embedded)",
    source: Source::Text(include_bytes!("plays.txt.gz")),
};
