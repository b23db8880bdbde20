//! S9: a thousand people at once, each asking about once a second, four fifths of it reading.

use crate::bench::{Bench, LOG, ONE, Outcome};
use crate::desks;
use crate::figure::{Line, Samples, Target, Unit};
use crate::wrk::{self, Ask, Load};
use anyhow::Result;

const CONNECTIONS: u32 = 1_000;
const REST_MICROS: u64 = 1_000_000;
const P99_MOST_MICROS: u64 = 250_000;
/// Each of them is to ask more than once or twice.
const TIMES_AS_LONG: u32 = 2;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let folder = bench.stage.files();
    let database = bench.stage.database(ONE).await?;
    let api = bench.stage.start_api(&database, LOG).await?;
    bench.phase("S9: tradings to look at")?;
    let file = desks::write(&desks::make(&api, &database).await?, folder)?;

    let mut p99 = Samples::default();
    let mut p50 = Samples::default();
    let mut rates = Samples::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S9: {CONNECTIONS} connections, round {round}"))?;
        let load = Load {
            ask: Ask::Portal,
            connections: CONNECTIONS,
            time: bench.sizes.load_time() * TIMES_AS_LONG,
            rest_micros: REST_MICROS,
            what: &file.to_string_lossy(),
            token: "-",
        };
        let answered = wrk::ask(&api.url(), folder, &load).await?;
        p99.add(answered.p99);
        p50.add(answered.p50);
        rates.add(answered.rate());
    }
    drop(api);
    database.verify().await?;
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
