//! Draws curves as SVG.

use crate::figure::Curve;
use anyhow::Result;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (720, 400);
const FONT: (&str, u32) = ("sans-serif", 16);

/// Writes the curve to an SVG file; both axes begin at zero.
pub(crate) fn write(curve: &Curve, file: &Path) -> Result<()> {
    let points = || curve.series.iter().flat_map(|series| &series.points);
    let right = points().map(|point| point.0).max().unwrap_or(1);
    let top = points().map(|point| point.1).max().unwrap_or(1);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;

    let mut chart = ChartBuilder::on(&area)
        .caption(&curve.title, FONT)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0..right.max(1), 0..top.max(1))?;
    chart
        .configure_mesh()
        .x_desc(&curve.across)
        .y_desc("events/s")
        .draw()?;
    for (number, series) in curve.series.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let line = LineSeries::new(series.points.iter().copied(), colour.filled()).point_size(3);
        let legend = move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled());
        chart.draw_series(line)?.label(&series.name).legend(legend);
    }
    chart.configure_series_labels().border_style(BLACK).draw()?;
    Ok(area.present()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Series;

    #[test]
    fn draws_a_line_for_each_series() {
        let series = |name: &str| Series {
            name: name.to_owned(),
            points: vec![(0, 0), (1_000, 20_000)],
        };
        let curve = Curve {
            name: "c".to_owned(),
            title: "t".to_owned(),
            across: "rows".to_owned(),
            series: vec![series("a < b"), series("c")],
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("c.svg");

        write(&curve, &file).expect("an SVG file");

        let text = std::fs::read_to_string(&file).expect("text");
        assert!(text.contains("a &lt; b"), "{text}");
        assert!(text.matches("<circle").count() >= 4, "{text}");
    }
}
