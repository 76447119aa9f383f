//! The core of privnet: file, plan, policy and execution. It knows no cloud, no HTTP, no files and no terminal.
