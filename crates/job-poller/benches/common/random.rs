//! Random numbers with a given distribution.

use fastrand::Rng;

/// Draws from a log-normal distribution.
pub(crate) fn log_normal(rng: &mut Rng, median: f64, sigma: f64) -> f64 {
    let (unit, angle) = (1.0 - rng.f64(), std::f64::consts::TAU * rng.f64());
    median * (sigma * (-2.0 * unit.ln()).sqrt() * angle.cos()).exp()
}
