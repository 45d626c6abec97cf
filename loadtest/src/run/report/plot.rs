//! Latencies by percentile as an SVG.

use hdrhistogram::Histogram;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (960, 540);
/// Steps of the curve in each half of the distance to 100 %.
const STEPS: u32 = 10;
/// Lines of the scale below, as parts of all requests.
const MARKS: [(f64, &str); 7] = [
    (1.0, "0 %"),
    (2.0, "50 %"),
    (10.0, "90 %"),
    (100.0, "99 %"),
    (1e3, "99.9 %"),
    (1e4, "99.99 %"),
    (1e5, "99.999 %"),
];

/// A plot that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot plot: {0}")]
pub struct PlotError(String);

/// A curve and its name.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// What it is of.
    pub name: &'a str,
    /// Latencies in nanoseconds.
    pub latencies: &'a Histogram<u64>,
}

/// Draws each series' latencies by percentile into the file `path`: both scales are logarithmic, the one below in the
/// distance to 100 %, so that the few slowest requests have as much room as all others.
///
/// # Errors
/// When the file cannot be written.
pub fn plot_latencies(path: &Path, title: &str, all: &[Series<'_>]) -> Result<(), PlotError> {
    draw(path, title, all).map_err(|error| PlotError(format!("{}: {error}", path.display())))
}

fn draw(path: &Path, title: &str, all: &[Series<'_>]) -> Result<(), Box<dyn std::error::Error>> {
    let curves: Vec<Vec<(f64, f64)>> = all.iter().map(|one| curve(one.latencies)).collect();
    let points = || curves.iter().flatten();
    let right = points().map(|point| point.0).fold(100.0, f64::max);
    let top = points().map(|point| point.1).fold(0.1, f64::max) * 1.5;
    let bottom = points().map(|point| point.1).fold(top, f64::min).max(1e-3) / 1.5;
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(15)
        .x_label_area_size(45)
        .y_label_area_size(75)
        .build_cartesian_2d(
            (1.0..right).log_scale().with_key_points(MARKS.iter().map(|mark| mark.0).collect()),
            (bottom..top).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("requests")
        .y_desc("latency at most, ms")
        .x_label_formatter(&|at| name_of(*at))
        .y_label_formatter(&|ms| format!("{ms}"))
        .draw()?;
    for (number, (series, curve)) in all.iter().zip(curves).enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let line = LineSeries::new(curve, color.stroke_width(2));
        chart.draw_series(line)?.label(series.name).legend(move |(x, y)| {
            PathElement::new(vec![(x, y), (x + 20, y)], color.stroke_width(2))
        });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.4))
        .draw()?;
    root.present()?;
    Ok(())
}

/// The name of a mark on the scale below.
fn name_of(at: f64) -> String {
    let near = MARKS.iter().find(|(mark, _)| (mark - at).abs() < mark * 1e-6);
    near.map_or_else(String::new, |(_, name)| (*name).to_owned())
}

/// Points of 1/(1-percentile) and milliseconds.
fn curve(latencies: &Histogram<u64>) -> Vec<(f64, f64)> {
    let steps = latencies.iter_quantiles(STEPS);
    let before_all = steps.filter(|step| step.quantile_iterated_to() < 1.0);
    before_all
        .map(|step| {
            let ms = (step.value_iterated_to() as f64 / 1e6).max(1e-3);
            (1.0 / (1.0 - step.quantile_iterated_to()), ms)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Series, plot_latencies};
    use crate::run::latencies;

    #[test]
    fn a_plot_has_a_curve_and_a_name_for_each_series() {
        let mut histogram = latencies();
        (1..=100_000_u64).for_each(|n| histogram.saturating_record(n * 1_000));
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("plot.svg");
        let series = [
            Series { name: "one", latencies: &histogram },
            Series { name: "another", latencies: &histogram },
        ];
        plot_latencies(&path, "a title", &series).expect("it can be plotted");
        let svg = std::fs::read_to_string(&path).expect("it was written");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["a title", "one", "another", "99.9 %"] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        let curves = svg.matches("<polyline").filter(|_| true).count();
        assert!(curves >= 2, "{curves} lines");
    }

    #[test]
    fn a_run_without_replies_makes_an_empty_plot() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let histogram = latencies();
        let series = [Series { name: "none", latencies: &histogram }];
        plot_latencies(&folder.path().join("plot.svg"), "none", &series)
            .expect("it can be plotted");
    }
}
