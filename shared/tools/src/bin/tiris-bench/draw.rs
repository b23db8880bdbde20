//! Curves as SVG.
//!
//! Owns: axes, lines, labels. Must not know: what they mean.

use crate::figure::Curve;
use std::fmt::Write;

const WIDTH: u64 = 720;
const HEIGHT: u64 = 400;
const LEFT: u64 = 80;
const RIGHT: u64 = 20;
const TOP: u64 = 40;
const BOTTOM: u64 = 80;
/// Lines across, the axis among them.
const STEPS: u64 = 4;
const COLOURS: [&str; 4] = ["#1b6ca8", "#c8553d", "#3a7d44", "#6b4c9a"];

/// The curve as a document; both axes begin at zero.
pub(crate) fn svg(curve: &Curve) -> String {
    let points = || curve.series.iter().flat_map(|series| series.points.iter());
    let right = round_up(points().map(|point| point.0).max().unwrap_or(1));
    let top = round_up(points().map(|point| point.1).max().unwrap_or(1));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut out, LEFT, TOP / 2, "start", &curve.title);
    for step in 0..=STEPS {
        let (across, up) = (right * step / STEPS, top * step / STEPS);
        let (x, y) = (x_of(across, right), y_of(up, top));
        line(&mut out, (LEFT, y), (WIDTH - RIGHT, y));
        text(&mut out, LEFT - 8, y + 4, "end", &short(up));
        text(&mut out, x, HEIGHT - BOTTOM + 18, "middle", &short(across));
    }
    text(
        &mut out,
        (LEFT + WIDTH - RIGHT) / 2,
        HEIGHT - BOTTOM + 36,
        "middle",
        &curve.across,
    );
    text(&mut out, 4, TOP - 8, "start", &curve.upward);
    for (number, series) in curve.series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let path: Vec<String> = series
            .points
            .iter()
            .map(|(x, y)| format!("{},{}", x_of(*x, right), y_of(*y, top)))
            .collect();
        put(
            &mut out,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ),
        );
        for (x, y) in &series.points {
            let (x, y) = (x_of(*x, right), y_of(*y, top));
            put(
                &mut out,
                format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>"),
            );
        }
        let x = LEFT + u64::try_from(number).unwrap_or(0) * 210;
        put(
            &mut out,
            format_args!(
                "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>",
                HEIGHT - 26
            ),
        );
        text(&mut out, x + 18, HEIGHT - 16, "start", &series.name);
    }
    out.push_str("</svg>\n");
    out
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

fn line(out: &mut String, from: (u64, u64), to: (u64, u64)) {
    put(
        out,
        format_args!(
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#ddd\"/>",
            from.0, from.1, to.0, to.1
        ),
    );
}

fn text(out: &mut String, x: u64, y: u64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    put(
        out,
        format_args!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>"),
    );
}

fn put(out: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    writeln!(out, "{element}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Series;

    #[test]
    fn the_highest_point_is_at_the_top_and_zero_at_the_foot() {
        let points = vec![(0, 0), (1_000, 20_000)];
        let series = vec![Series {
            name: "a < b".to_owned(),
            points,
        }];
        let curve = Curve {
            name: "c".to_owned(),
            title: "t".to_owned(),
            across: "rows".to_owned(),
            upward: "events/s".to_owned(),
            series,
        };
        let text = svg(&curve);
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
