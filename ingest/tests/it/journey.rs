//! The whole journey, with real processes.
