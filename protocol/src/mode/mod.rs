//! How progress is shared: one folder a mode. `incremental`, the delta log, is the default and so far the only one.

pub(crate) mod incremental;
