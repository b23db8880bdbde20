//! S5: a worker comes back to all that waited, beside the backlog of S1, and how much memory that takes.

use crate::bench::{Bench, LOG, MANY, Outcome};
use crate::figure::{Curve, Line, Samples, Series, Target, Unit};
use anyhow::Result;

/// Of the rate of a short backlog, in thousandths.
const LEAST_OF_SHORT: u64 = 900;
const PEAK_MOST_KIB: u64 = 150 * 1_024;
/// Points of the curve.
const POINTS: u64 = 20;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let waiting = bench.sizes.waiting;
    let short = bench.sizes.events;
    bench.phase("S5: a short backlog before")?;
    let before = bench.fresh_backlog(MANY, short, LOG).await?;
    bench.phase(&format!("S5: {waiting} events wait"))?;
    let long = bench.fresh_backlog(MANY, waiting, LOG).await?;
    bench.phase("S5: a short backlog after")?;
    let after = bench.fresh_backlog(MANY, short, LOG).await?;

    let of = |rate: u64| -> Samples { [rate].into_iter().collect() };
    let what = format!("ingest of {waiting} events that wait");
    let note = format!("the limit is the mean of a backlog of {short} before and after");
    let mut lines = vec![
        Line::new(what, Unit::PerSecond, of(long.rate()))
            .against(of(u64::midpoint(before.rate(), after.rate())))
            .target(Target::RatioAtLeast(LEAST_OF_SHORT))
            .note(note),
    ];
    if let Some(peak) = long.peak_kib {
        let line = Line::new("its resident memory at most", Unit::Kibibytes, of(peak));
        lines.push(line.target(Target::AtMost(PEAK_MOST_KIB)));
    }

    let series = Series {
        name: "events/s".to_owned(),
        points: points(&long.course, waiting),
    };
    let curve = Curve::of_rates(
        "S5",
        "Ingest after an outage",
        "events in the books",
        vec![series],
    );
    Ok(Outcome {
        lines,
        curves: vec![curve],
    })
}

/// The rate of each piece of the course.
fn points(course: &[(u64, u64)], events: u64) -> Vec<(u64, u64)> {
    let mut points = Vec::new();
    let mut from = (0, 0);
    for (millis, done) in course.iter().copied() {
        if done.saturating_sub(from.1) >= (events / POINTS).max(1) && millis > from.0 {
            points.push((done, (done - from.1) * 1_000 / (millis - from.0)));
            from = (millis, done);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_course_becomes_the_rates_of_its_pieces() {
        let course = [
            (0, 0),
            (500, 50),
            (1_000, 1_000),
            (1_500, 1_400),
            (3_000, 2_000),
        ];
        assert_eq!(
            super::points(&course, 20_000),
            [(1_000, 1_000), (2_000, 500)]
        );
    }
}
