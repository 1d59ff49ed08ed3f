//! Draws the picture in the docs: the mean delay and the mean number of requests of each schedule
//! when a cluster is created.

use std::{fmt::Write, fs, io, path::Path};

use fastrand::Rng;
use job_poller::schedule::{Adaptive, Schedule};

use crate::{
    baselines::{
        adaptive_with_history, aws_waiter, best_fixed, equal_gaps, exponential, reading_times,
        sample_jobs,
    },
    distributions::{Cost, Distribution},
};

/// The size of the picture, and the margins for the axes.
const PICTURE_WIDTH: f64 = 640.0;
const PICTURE_HEIGHT: f64 = 380.0;
const LEFT_MARGIN: f64 = 56.0;
const BOTTOM_MARGIN: f64 = 46.0;

/// The ends of the axes: requests, and seconds of delay.
const MAX_REQUESTS: f64 = 60.0;
const MAX_DELAY_SECS: f64 = 44.0;

/// Writes the picture to the file that the docs include.
///
/// # Errors
///
/// Returns an error if the file cannot be written.
pub(crate) fn write() -> io::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schedule/adaptive/schedules.svg");
    fs::write(file, picture())
}

fn picture() -> String {
    let distribution = Distribution::all()
        .into_iter()
        .find(|distribution| distribution.name == "cluster, σ 0.5, 10 % early");
    let distribution = distribution.unwrap_or_else(|| Distribution::all().remove(0));
    let grid = distribution.grid();
    let cost = |schedule: &dyn Schedule| {
        grid.cost(reading_times(schedule, distribution.job_type, grid.end()))
    };
    let adaptive = Adaptive::new().jitter(0.0);
    let marks = [
        ("exponential, 1 to 60 s", cost(&exponential()), false, -5.0),
        ("Terraform, 150 s + 20 s", grid.cost(equal_gaps(150.0, 20.0)), false, -5.0),
        ("AWS waiter", aws_waiter(&grid, &mut Rng::with_seed(1)), false, -5.0),
        ("every 30 s", grid.cost(equal_gaps(0.0, 30.0)), false, -5.0),
        ("best fixed interval", best_fixed(&grid).1, false, -8.0),
        ("Adaptive, no history", cost(&adaptive), true, 8.0),
        (
            "Adaptive, after 100 jobs",
            cost(&adaptive_with_history(
                distribution.job_type,
                &sample_jobs(&distribution, 0, 100),
            )),
            true,
            24.0,
        ),
    ];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {PICTURE_WIDTH} {PICTURE_HEIGHT}\" width=\"{PICTURE_WIDTH}\" \
         role=\"img\" aria-label=\"mean delay against mean requests, by schedule\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"currentColor\" stroke=\"none\">\n"
    );
    draw_axes(&mut svg);
    let curve =
        (0..160).map(|step| 4.0 * 1.02_f64.powi(step)).map(|gap| grid.cost(equal_gaps(0.0, gap)));
    draw_line(&mut svg, curve, "stroke-dasharray=\"2 3\"");
    // All points of this line cost as much as the adaptive schedule after 100 jobs.
    let best = marks[6].1.combined();
    let same = (1..=60).map(|requests| {
        let requests = f64::from(requests);
        Cost { requests, delay: best - crate::distributions::REQUEST_PRICE_SECS * requests }
    });
    draw_line(&mut svg, same, "stroke-opacity=\"0.35\"");
    for (name, cost, is_ours, lower) in marks {
        let (x, y) = to_pixels(cost);
        let colour = if is_ours { "#cf222e" } else { "#0969da" };
        _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", x + 8.0, y + lower);
    }
    svg + "</svg>\n"
}

fn draw_axes(svg: &mut String) {
    let (bottom, right) = (PICTURE_HEIGHT - BOTTOM_MARGIN, PICTURE_WIDTH - 10.0);
    _ = writeln!(
        svg,
        "<path d=\"M{LEFT_MARGIN} 10V{bottom}H{right}\" fill=\"none\" stroke=\"currentColor\"/>"
    );
    for requests in [0, 10, 20, 30, 40, 50] {
        let (x, _) = to_pixels(Cost { requests: f64::from(requests), delay: 0.0 });
        _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\">{requests}</text>", bottom + 16.0);
    }
    for delay in [0, 10, 20, 30, 40] {
        let (_, y) = to_pixels(Cost { requests: 0.0, delay: f64::from(delay) });
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\">{delay}</text>",
            LEFT_MARGIN - 22.0,
            y + 4.0
        );
    }
    _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\">mean requests per job</text>",
        280.0,
        PICTURE_HEIGHT - 8.0
    );
    _ = writeln!(svg, "<text x=\"4\" y=\"20\">delay, s</text>");
}

/// Draws a line through the points that are within the axes.
fn draw_line(svg: &mut String, costs: impl Iterator<Item = Cost>, style: &str) {
    let shown = costs.filter(|cost| {
        (0.0..MAX_REQUESTS).contains(&cost.requests) && (0.0..MAX_DELAY_SECS).contains(&cost.delay)
    });
    let points: Vec<String> = shown.map(to_pixels).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"currentColor\" {style}/>",
        points.join(" ")
    );
}

fn to_pixels(cost: Cost) -> (f64, f64) {
    let x = LEFT_MARGIN + cost.requests / MAX_REQUESTS * (PICTURE_WIDTH - LEFT_MARGIN - 10.0);
    let y = (PICTURE_HEIGHT - BOTTOM_MARGIN)
        - cost.delay / MAX_DELAY_SECS * (PICTURE_HEIGHT - BOTTOM_MARGIN - 10.0);
    (x, y)
}
