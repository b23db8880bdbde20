//! S5: a worker empties the backlog of an outage, beside the backlog of S1, and the memory it needs.

use crate::figure::{Line, Samples, Target, Unit};
use crate::site::{Bench, LOG, MANY, Outcome};
use anyhow::Result;
use tiris_tools::{Curve, Series};

/// Minimum rate relative to that of a short backlog, in thousandths.
const LEAST_OF_SHORT: u64 = 900;
const PEAK_MOST_KIB: u64 = 150 * 1_024;
/// The number of points of the curve.
const POINTS: u64 = 20;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let waiting = bench.sizes.waiting;
    let short = bench.sizes.events;
    bench.phase("S5: a short backlog before")?;
    let before = bench.fresh_backlog(MANY, short, LOG).await?;
    bench.phase(&format!("S5: {waiting} waiting events"))?;
    let long = bench.fresh_backlog(MANY, waiting, LOG).await?;
    bench.phase("S5: a short backlog after")?;
    let after = bench.fresh_backlog(MANY, short, LOG).await?;

    let what = format!("ingest of {waiting} waiting events");
    let limit = Samples(vec![u64::midpoint(before.rate(), after.rate())]);
    let note = format!("the limit is the mean of a backlog of {short} before and after");
    let mut lines = vec![
        Line::rate(what, Samples(vec![long.rate()]), limit)
            .target(Target::RatioAtLeast(LEAST_OF_SHORT))
            .note(note),
    ];
    if let Some(peak) = long.peak_kib {
        let what = "its maximum resident memory";
        let line = Line::new(what, Unit::Kibibytes, Samples(vec![peak]));
        lines.push(line.target(Target::AtMost(PEAK_MOST_KIB)));
    }

    let curve = Curve {
        name: "S5".to_owned(),
        title: "Ingest after an outage".to_owned(),
        across: "events in the books".to_owned(),
        up: "events/s".to_owned(),
        series: vec![Series {
            name: "events/s".to_owned(),
            points: points(&long.course, waiting),
        }],
    };
    let curve = Some(curve);
    Ok(Outcome { lines, curve })
}

/// Returns the rate in each section of the course.
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
    fn divides_a_course_into_sections_with_their_rates() {
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
