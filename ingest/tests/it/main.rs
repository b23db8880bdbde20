//! The worker against a real NATS server and a real PostgreSQL.

mod crew;
mod dead_letters;
mod faults;
mod identity;
mod journey;
mod lanes;
mod poison;
mod process;
mod replays;
mod retries;
mod streams;
mod world;
