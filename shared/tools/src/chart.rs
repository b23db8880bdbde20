//! Curves, and drawing them as SVG.

use anyhow::Result;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Quantities over a growing quantity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// Also the name of the SVG file.
    pub name: String,
    /// The heading of the drawing.
    pub title: String,
    /// The label of the horizontal axis.
    pub across: String,
    /// The label of the vertical axis.
    #[serde(default = "events_per_second")]
    pub up: String,
    /// The lines of the drawing.
    pub series: Vec<Series>,
}

/// One line of a self.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Across and up.
    pub points: Vec<(u64, u64)>,
}

/// The vertical axis of earlier reports, which did not name it.
fn events_per_second() -> String {
    "events/s".to_owned()
}

const SIZE: (u32, u32) = (720, 400);
const FONT: (&str, u32) = ("sans-serif", 16);

impl Curve {
    /// Writes the curve to an SVG file; both axes begin at zero.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn draw(&self, file: &Path) -> Result<()> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let right = points().map(|point| point.0).max().unwrap_or(1);
        let top = points().map(|point| point.1).max().unwrap_or(1);
        let area = SVGBackend::new(file, SIZE).into_drawing_area();
        area.fill(&WHITE)?;

        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, FONT)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(80)
            .build_cartesian_2d(0..right.max(1), 0..top.max(1))?;
        chart
            .configure_mesh()
            .x_desc(&self.across)
            .y_desc(&self.up)
            .draw()?;
        for (number, series) in self.series.iter().enumerate() {
            let colour = Palette99::pick(number).to_rgba();
            let line =
                LineSeries::new(series.points.iter().copied(), colour.filled()).point_size(3);
            let legend =
                move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled());
            chart.draw_series(line)?.label(&series.name).legend(legend);
        }
        chart.configure_series_labels().border_style(BLACK).draw()?;
        Ok(area.present()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            up: "bytes".to_owned(),
            series: vec![series("a < b"), series("c")],
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("c.svg");

        curve.draw(&file).expect("an SVG file");

        let text = std::fs::read_to_string(&file).expect("text");
        assert!(text.contains("a &lt; b"), "{text}");
        assert!(text.contains("bytes"), "{text}");
        assert!(text.matches("<circle").count() >= 4, "{text}");
    }
}
