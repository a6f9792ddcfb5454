//! Serves a model written in Rust.
//!
//! ```no_run
//! use muster_host::{run, Inputs, Model, Outputs, Result};
//! use std::process::ExitCode;
//!
//! struct Tariff {
//!     per_minute: f64,
//! }
//!
//! impl Model for Tariff {
//!     fn predict(&mut self, inputs: &Inputs, outputs: &mut Outputs) -> Result<()> {
//!         let minutes = inputs.numbers("minutes")?;
//!         let price: Vec<f64> = minutes.iter().map(|m| m * self.per_minute).collect();
//!         outputs.put("price", &price)
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     run(|order| {
//!         let text = std::fs::read_to_string(order.bundle.join("per_minute.txt"))?;
//!         Ok(Tariff { per_minute: text.trim().parse()? })
//!     })
//! }
//! ```
//!
//! [`run`] speaks host protocol 1 on descriptors 3 and 4, so that the model may print whatever it likes. One batch is computed at
//! a time. An `Err`, or a panic, of `predict` costs that batch and nothing else.

#![warn(missing_docs)]

mod datatypes;
mod json;
mod serve;
mod table;

pub use datatypes::{Datatype, Element, Field, Half, Number};
pub use serve::{run, serve, Model, Order};
pub use table::{Inputs, Outputs};

/// Whatever went wrong; its text reaches the caller.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What models give back.
pub type Result<T> = std::result::Result<T, Error>;
