//! The worker against a real NATS server and a real PostgreSQL.

mod dead_letters;
mod faults;
mod journey;
mod lanes;
mod streams;
mod world;
