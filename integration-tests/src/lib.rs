//! Golden command scripts, fault and drift sweeps, third-party clients and emulators.
