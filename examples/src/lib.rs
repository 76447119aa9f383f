//! Programs that use privnet as a library.
