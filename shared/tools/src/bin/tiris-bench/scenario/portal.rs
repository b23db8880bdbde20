//! S9: a thousand people at once, each asking about once a second, four fifths of it reading.

use super::{Bench, LOG, ONE, Outcome};
use crate::api::Api;
use crate::desks;
use crate::figure::{Line, Samples, Target, Unit};
use crate::wrk::{self, Ask, Load};
use anyhow::{Result, ensure};
use indicatif::ProgressBar;

const CONNECTIONS: u32 = 1_000;
const REST_MICROS: u64 = 1_000_000;
const P99_MOST_MICROS: u64 = 250_000;
/// Each of them is to ask more than once or twice.
const TIMES_AS_LONG: u32 = 2;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let folder = bench.stage.files();
    let database = bench.stage.database(ONE).await?;
    let api = Api::start(&bench.stage, &database, LOG).await?;
    bench.phase("S9: tradings to look at")?;
    let file = desks::write(&desks::make(&api, &database).await?, folder)?;
    let (mut p99, mut p50, mut rates) =
        (Samples::default(), Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S9: {CONNECTIONS} connections, round {round}"))?;
        let what = &file.to_string_lossy();
        let time = bench.sizes.load_time() * TIMES_AS_LONG;
        let (ask, connections, rest_micros) = (Ask::Portal, CONNECTIONS, REST_MICROS);
        let load = Load {
            ask,
            connections,
            time,
            rest_micros,
            what,
            token: "-",
        };
        let answered = wrk::ask(&api.url, folder, &load).await?;
        p99.add(answered.p99);
        p50.add(answered.p50);
        rates.add(answered.rate());
    }
    drop(api);
    let report = tiris_migrations::verify(&database.url, &ProgressBar::hidden()).await?;
    ensure!(report.is_clean(), "the books are wrong: {report}");
    bench.stage.drop(database).await?;
    let note = format!(
        "at {}, p50 {}, no error",
        rates.show(Unit::PerSecond),
        p50.show(Unit::Micros)
    );
    let line = Line::new(
        format!("p99 of {CONNECTIONS} connections, 80 % reads"),
        Unit::Micros,
        p99,
    );
    Ok(vec![line.target(Target::AtMost(P99_MOST_MICROS)).note(note)].into())
}
