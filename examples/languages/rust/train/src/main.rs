//! Trains the churn model with smartcore: `train TRAIN.csv ROWS.csv MODEL.json EXPECTED.csv`.
//!
//! EXPECTED.csv gets what the model answers to ROWS.csv, so that the served model can be held against the trained one.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use churn::{Churn, Columns, Customers};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

/// How strongly large weights are punished.
const PENALTY: f64 = 1.0;

type Fault = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [train, rows, model, expected] = arguments.as_slice() else {
        return Err("usage: train TRAIN.csv ROWS.csv MODEL.json EXPECTED.csv".into());
    };
    let churn = fit(Customers::from_csv(Path::new(train))?)?;
    churn.write(Path::new(model))?;
    let mut answers = String::from("churn_probability\n");
    for probability in churn.probabilities(Customers::from_csv(Path::new(rows))?)? {
        writeln!(answers, "{probability}")?;
    }
    std::fs::write(expected, answers)?;
    Ok(())
}

/// The regression over customers of whom the column `left` says whether they left: 1 or 0.
fn fit(mut customers: Customers) -> Result<Churn, Fault> {
    let left: Vec<i32> = customers
        .take("left")?
        .iter()
        .map(|&value| value as i32)
        .collect();
    customers.fill_total_charges()?;
    let columns = Columns::of(&customers);
    let features = DenseMatrix::from_2d_vec(&columns.features(&customers)?)?;
    let settings = LogisticRegressionParameters::default().with_alpha(PENALTY);
    let regression = LogisticRegression::fit(&features, &left, settings)?;
    let weights = regression.coefficients();
    Ok(Churn {
        columns,
        weights: (0..weights.shape().1)
            .map(|at| *weights.get((0, at)))
            .collect(),
        intercept: *regression.intercept().get((0, 0)),
    })
}
