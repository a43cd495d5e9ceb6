//! The `starling` binary: everything is in the library, so that tests can reach it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A peer lives for weeks, and its threads free what others have taken: glibc's heap is in pieces after some hours of neighbours that come
/// and go (`docs/performance.md`).
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    node::cli::main()
}
