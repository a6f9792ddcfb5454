//! Serves the churn model.

use std::process::ExitCode;

use churn::{Churn, Customers};
use muster_host::{run, Inputs, Model, Outputs, Result};

struct Served(Churn);

impl Model for Served {
    fn predict(&mut self, inputs: &Inputs, outputs: &mut Outputs) -> Result<()> {
        let probabilities = self.0.probabilities(Customers::from_inputs(inputs)?)?;
        outputs.put("churn_probability", &probabilities)
    }
}

fn main() -> ExitCode {
    run(|order| Ok(Served(Churn::read(&order.bundle.join("model/churn.json"))?)))
}
