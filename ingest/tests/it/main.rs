//! The worker against a real NATS server and a real PostgreSQL.

mod ahead;
mod chaos;
mod crew;
mod dead_letter_stream;
mod dead_letters;
mod faults;
mod identity;
mod journey;
mod lanes;
mod maintenance;
mod observe;
mod poison;
mod process;
mod purge;
mod range_replay;
mod reader;
mod replays;
mod retries;
mod rights;
mod streams;
mod world;
