//! Programs that use privnet as a library; see `src/bin`.
