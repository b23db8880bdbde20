//! S9: a thousand connections, each with about one request a second, four fifths of them reads.

use crate::figure::{Line, Samples, Target, Unit};
use crate::site::{Bench, LOG, ONE, Outcome};
use crate::traders;
use crate::wrk::{self, Load, Request};
use anyhow::Result;
use tiris_tools::verify_books;

const CONNECTIONS: u32 = 1_000;
const PAUSE_MICROS: u64 = 1_000_000;
const P99_MOST_MICROS: u64 = 250_000;
/// Each connection sends more than one or two requests.
const TIMES_AS_LONG: u32 = 2;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let database = bench.stage.database(ONE).await?;
    let api = bench.stage.start_api(&database.url, LOG).await?;
    bench.phase("S9: creating tradings")?;
    let traders = traders::create(bench, &api, &database).await?;
    let load = Load {
        request: Request::Portal { traders: &traders },
        connections: CONNECTIONS,
        time: bench.sizes.load_time() * TIMES_AS_LONG,
        pause_micros: PAUSE_MICROS,
    };

    let mut p99 = Samples::default();
    let mut p50 = Samples::default();
    let mut rates = Samples::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S9: {CONNECTIONS} connections, round {round}"))?;
        let responses = wrk::run(bench, &api.url(), load).await?;
        p99.add(responses.p99);
        p50.add(responses.p50);
        rates.add(responses.rate());
    }
    drop(api);
    verify_books(&database.url).await?;
    bench.stage.drop(database).await?;

    let what = format!("p99 of {CONNECTIONS} connections, 80 % reads");
    let note = format!(
        "at {}, p50 {}, no error",
        rates.show(Unit::PerSecond),
        p50.show(Unit::Micros)
    );
    let line = Line::new(what, Unit::Micros, p99)
        .target(Target::AtMost(P99_MOST_MICROS))
        .note(note);
    Ok(vec![line].into())
}
