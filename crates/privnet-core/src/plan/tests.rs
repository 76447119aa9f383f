//! The laws of planning, over a small cloud in memory whose kinds behave like the real ones: two names, references that keep a
//! thing from being deleted, and binding on first use.

mod cloud;
mod follow;
mod generations;
mod going;
mod laws;
mod misplaced;
mod moved;
mod renamed;
mod rules;
mod words;
