//! Draws the timeline of a job of the Cloud Container Engine (CCE) API as HTML, SVG, Mermaid or Markdown.
//!
//! A [`Timeline`] is made from a job as it was last read. It has a row with a bar for each step, and
//! what a caller adds: clusters and nodes, the attempts of a wait, and why the wait stopped. The
//! functions [`html`](html()), [`svg`](svg()), [`mermaid`](mermaid()) and [`markdown`](markdown()) draw
//! one timeline or several.
//!
//! # Scope
//!
//! **In scope:** which rows are drawn, folded or left out, so that each page has a limited size; time
//! axes; texts that fit into their columns; the escaping of texts of the service.
//!
//! **Out of scope:** reading the job (`job-transport`), waiting for it (`job-poller`), and writing the
//! page to a file (`job-cli`).
//!
//! # Examples
//!
//! ```
//! use job_report::{Timeline, job_model::Job, svg};
//!
//! let reply = br#"{
//!     "metadata": {"uid": "354331b2c", "creationTimestamp": "2026-12-01 12:00:00 +0000 UTC",
//!         "updateTimestamp": "2026-12-01 12:09:30 +0000 UTC"},
//!     "spec": {"type": "CreateCluster", "resourceName": "blue"},
//!     "status": {"phase": "Success"}
//! }"#;
//! let job = Job::from_slice(reply)?;
//! let image = svg(&[&Timeline::new(&job)]);
//! assert!(image.contains("CreateCluster blue: Success") && image.contains("9m 30s"));
//! # Ok::<(), job_report::job_model::DecodeError>(())
//! ```
//!
//! # Related crates
//!
//! `job-cli` writes these pages with `cce-job report` and `wait --report`. [`job_model`] decodes jobs.

pub mod text;
mod axis;
mod timeline;
mod sections;
mod overview;
mod geometry;
mod text_width;
mod template;
mod html;
mod svg;
mod mermaid;
mod markdown;

pub use html::html;
pub use job_model;
pub use markdown::markdown;
pub use mermaid::mermaid;
pub use svg::svg;
pub use timeline::{Bar, PhaseKind, Timeline, TimelineAttempt, TimelineRow};

/// Checks that the example in the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
