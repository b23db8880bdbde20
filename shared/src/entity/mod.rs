//! Entities, one file per table.
