//! Tests of the schema and `tiris-migrate` on a real PostgreSQL.

mod after_restore;
mod append_only;
mod book;
mod cli;
mod dead_letters;
mod entities;
mod history;
mod info;
mod migrate;
mod orders;
mod partitions;
mod people;
mod roles;
mod statements;
mod verify;
