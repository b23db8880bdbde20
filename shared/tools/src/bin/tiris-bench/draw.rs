//! Curves as SVG.
//!
//! Owns: axes, lines, labels. Must not know: what they mean.

use crate::figure::{Curve, Series};
use std::fmt::{self, Write};

const WIDTH: u64 = 720;
const HEIGHT: u64 = 400;
const LEFT: u64 = 80;
const RIGHT: u64 = 20;
const TOP: u64 = 40;
const BOTTOM: u64 = 80;
/// Lines across, the axis among them.
const STEPS: u64 = 4;
/// From the label of one line to the next.
const LABEL_WIDTH: usize = 210;
const COLOURS: [&str; 4] = ["#1b6ca8", "#c8553d", "#3a7d44", "#6b4c9a"];

/// The curve as a document; both axes begin at zero.
pub(crate) fn svg(curve: &Curve) -> Result<String, fmt::Error> {
    let points = || curve.series.iter().flat_map(|series| series.points.iter());
    let right = round_up(points().map(|point| point.0).max().unwrap_or(1));
    let top = round_up(points().map(|point| point.1).max().unwrap_or(1));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );

    text(&mut out, LEFT, TOP / 2, "start", &curve.title)?;
    axes(&mut out, curve, right, top)?;
    let labels = (LEFT..).step_by(LABEL_WIDTH).zip(COLOURS.iter().cycle());
    for ((x, colour), series) in labels.zip(&curve.series) {
        line(&mut out, series, colour, right, top)?;

        let y = HEIGHT - 26;
        writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
        )?;
        text(&mut out, x + 18, HEIGHT - 16, "start", &series.name)?;
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// Lines across with their figures, and what the axes count.
fn axes(out: &mut String, curve: &Curve, right: u64, top: u64) -> fmt::Result {
    for step in 0..=STEPS {
        let across = right * step / STEPS;
        let up = top * step / STEPS;
        let y = y_of(up, top);
        let end = WIDTH - RIGHT;
        writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" stroke=\"#ddd\"/>"
        )?;
        text(out, LEFT - 8, y + 4, "end", &short(up))?;
        let x = x_of(across, right);
        text(out, x, HEIGHT - BOTTOM + 18, "middle", &short(across))?;
    }

    let middle = (LEFT + WIDTH - RIGHT) / 2;
    text(out, middle, HEIGHT - BOTTOM + 36, "middle", &curve.across)?;
    text(out, 4, TOP - 8, "start", &curve.upward)
}

fn line(out: &mut String, series: &Series, colour: &str, right: u64, top: u64) -> fmt::Result {
    let points: Vec<(u64, u64)> = series
        .points
        .iter()
        .map(|(x, y)| (x_of(*x, right), y_of(*y, top)))
        .collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let path = path.join(" ");
    writeln!(
        out,
        "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
    )?;

    for (x, y) in points {
        writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>"
        )?;
    }
    Ok(())
}

fn x_of(value: u64, most: u64) -> u64 {
    LEFT + value * (WIDTH - LEFT - RIGHT) / most
}

fn y_of(value: u64, most: u64) -> u64 {
    HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM) / most
}

/// The next number that has one digit and zeros, or a half of one.
fn round_up(value: u64) -> u64 {
    let mut unit = 1;
    while unit * 10 <= value {
        unit *= 10;
    }
    let half = (unit / 2).max(1);
    value.div_ceil(half).max(1) * half
}

fn short(value: u64) -> String {
    match value {
        0..10_000 => value.to_string(),
        10_000..10_000_000 => format!("{}k", value / 1_000),
        _ => format!("{}M", value / 1_000_000),
    }
}

fn text(out: &mut String, x: u64, y: u64, anchor: &str, words: &str) -> fmt::Result {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_point_is_at_the_top_and_zero_at_the_foot() {
        let series = Series {
            name: "a < b".to_owned(),
            points: vec![(0, 0), (1_000, 20_000)],
        };

        let text = svg(&Curve::of_rates("c", "t", "rows", vec![series])).expect("written");

        assert!(text.contains("points=\"80,320 700,40\""), "{text}");
        assert!(
            text.contains("a &lt; b") && text.contains(">20k<"),
            "{text}"
        );
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!(
            [0, 1, 7, 10, 11, 480, 501, 18_432].map(round_up),
            [1, 1, 7, 10, 15, 500, 550, 20_000]
        );
    }
}
