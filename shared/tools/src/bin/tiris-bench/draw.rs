//! Draws curves as SVG; both axes begin at zero.

use crate::figure::{Curve, Series};

const WIDTH: u64 = 720;
const HEIGHT: u64 = 400;
const LEFT: u64 = 80;
const RIGHT: u64 = 20;
const TOP: u64 = 40;
const BOTTOM: u64 = 80;
/// The number of intervals between grid lines.
const STEPS: u64 = 4;
const LABEL_WIDTH: usize = 210;
const COLOURS: [&str; 4] = ["#1b6ca8", "#c8553d", "#3a7d44", "#6b4c9a"];

/// The greatest values of both axes.
struct Axes {
    right: u64,
    top: u64,
}

impl Axes {
    fn x(&self, value: u64) -> u64 {
        LEFT + value * (WIDTH - LEFT - RIGHT) / self.right
    }

    fn y(&self, value: u64) -> u64 {
        HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM) / self.top
    }
}

/// Returns the curve as an SVG document.
pub(crate) fn svg(curve: &Curve) -> String {
    let points = || curve.series.iter().flat_map(|series| &series.points);
    let axes = Axes {
        right: round_up(points().map(|point| point.0).max().unwrap_or(1)),
        top: round_up(points().map(|point| point.1).max().unwrap_or(1)),
    };

    let middle = (LEFT + WIDTH - RIGHT) / 2;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>
"#
    );
    out += &text(LEFT, TOP / 2, "start", &curve.title);
    out += &text(middle, HEIGHT - BOTTOM + 36, "middle", &curve.across);
    out += &text(4, TOP - 8, "start", "events/s");
    out += &grid(&axes);
    let labels = (LEFT..).step_by(LABEL_WIDTH).zip(COLOURS.iter().cycle());
    for ((x, colour), series) in labels.zip(&curve.series) {
        out += &line(series, colour, x, &axes);
    }
    out + "</svg>\n"
}

/// Horizontal lines with the values of both axes.
fn grid(axes: &Axes) -> String {
    let end = WIDTH - RIGHT;
    let step = |step| {
        let up = axes.top * step / STEPS;
        let across = axes.right * step / STEPS;
        let y = axes.y(up);
        let line =
            format!("<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" stroke=\"#ddd\"/>\n");
        let below = HEIGHT - BOTTOM + 18;
        line + &text(LEFT - 8, y + 4, "end", &short(up))
            + &text(axes.x(across), below, "middle", &short(across))
    };
    (0..=STEPS).map(step).collect()
}

/// A series with its legend at `label`.
fn line(series: &Series, colour: &str, label: u64, axes: &Axes) -> String {
    let points = series.points.iter();
    let points: Vec<(u64, u64)> = points.map(|(x, y)| (axes.x(*x), axes.y(*y))).collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let dot = |(x, y): &(u64, u64)| {
        format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>\n")
    };
    let dots: String = points.iter().map(dot).collect();

    let path = path.join(" ");
    let y = HEIGHT - 26;
    let legend = text(label + 18, HEIGHT - 16, "start", &series.name);
    format!(
        r#"<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>
{dots}<rect x="{label}" y="{y}" width="12" height="12" fill="{colour}"/>
{legend}"#
    )
}

fn text(x: u64, y: u64, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>\n")
}

/// The next multiple of half a power of ten.
fn round_up(value: u64) -> u64 {
    let unit = 10_u64.pow(value.max(1).ilog10());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_highest_point_at_the_top_and_zero_at_the_bottom() {
        let curve = Curve {
            name: "c".to_owned(),
            title: "t".to_owned(),
            across: "rows".to_owned(),
            series: vec![Series {
                name: "a < b".to_owned(),
                points: vec![(0, 0), (1_000, 20_000)],
            }],
        };

        let text = svg(&curve);

        assert!(text.contains("points=\"80,320 700,40\""), "{text}");
        assert!(text.contains("a &lt; b"), "{text}");
        assert!(text.contains(">20k<"), "{text}");
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!(
            [0, 1, 7, 10, 11, 480, 501, 18_432].map(round_up),
            [1, 1, 7, 10, 15, 500, 550, 20_000]
        );
    }
}
