//! The churn model: what training and serving have in common.

use std::collections::BTreeMap;
use std::path::Path;

use muster_host::{Datatype, Inputs, Result};
use serde_json::{json, Value};

/// Customers, column by column; a number that is missing is NaN.
#[derive(Default)]
pub struct Customers {
    rows: usize,
    numbers: BTreeMap<String, Vec<f64>>,
    texts: BTreeMap<String, Vec<String>>,
}

impl Customers {
    /// The customers of a CSV file without quotes; a column is text where a cell of it is no number.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn from_csv(path: &Path) -> Result<Customers> {
        let text = std::fs::read_to_string(path)?;
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().ok_or("an empty file")?.split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        let mut found = Customers {
            rows: rows.len(),
            ..Customers::default()
        };
        for (place, name) in names.into_iter().enumerate() {
            let cells = rows.iter().map(|row| row[place]);
            let numbers: std::result::Result<Vec<f64>, _> = cells
                .clone()
                .map(|cell| {
                    if cell.is_empty() {
                        Ok(f64::NAN)
                    } else {
                        cell.parse()
                    }
                })
                .collect();
            match numbers {
                Ok(numbers) => drop(found.numbers.insert(name.into(), numbers)),
                Err(_) => drop(
                    found
                        .texts
                        .insert(name.into(), cells.map(String::from).collect()),
                ),
            }
        }
        Ok(found)
    }

    /// The customers that the model is asked about.
    ///
    /// # Errors
    /// Text that is not UTF-8.
    pub fn from_inputs(inputs: &Inputs) -> Result<Customers> {
        let mut found = Customers {
            rows: inputs.rows(),
            ..Customers::default()
        };
        for field in inputs.fields() {
            let name = field.name.clone();
            if field.datatype == Datatype::Bytes {
                let texts = inputs.texts(&name)?.into_iter().map(String::from);
                found.texts.insert(name, texts.collect());
            } else {
                let numbers = inputs.numbers(&name)?;
                found.numbers.insert(name, numbers);
            }
        }
        Ok(found)
    }

    /// Take a column of numbers out.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn take(&mut self, name: &str) -> Result<Vec<f64>> {
        let column = self.numbers.remove(name);
        column.ok_or_else(|| format!("there is no column of numbers {name:?}").into())
    }

    /// Whoever has no total yet has paid for as many months as there were.
    ///
    /// # Errors
    /// A column is missing.
    pub fn fill_total_charges(&mut self) -> Result<()> {
        let lacking = |name: &str| format!("there is no column {name:?}");
        let months = self
            .numbers
            .get("tenure")
            .ok_or_else(|| lacking("tenure"))?
            .clone();
        let charges = self
            .numbers
            .get("monthly_charges")
            .ok_or_else(|| lacking("monthly_charges"))?
            .clone();
        let totals = self
            .numbers
            .get_mut("total_charges")
            .ok_or_else(|| lacking("total_charges"))?;
        for (row, total) in totals.iter_mut().enumerate() {
            if total.is_nan() {
                *total = months[row] * charges[row];
            }
        }
        Ok(())
    }
}

/// A number as the regression sees it: its mean taken away, divided by its deviation.
struct Scale {
    name: String,
    mean: f64,
    deviation: f64,
}

/// A text as the regression sees it: a 1 in the column of its value.
struct Levels {
    name: String,
    levels: Vec<String>,
}

/// How customers become features: learnt from those of the training.
pub struct Columns {
    scales: Vec<Scale>,
    levels: Vec<Levels>,
}

impl Columns {
    /// Means and deviations of the numbers, the values of the texts.
    pub fn of(customers: &Customers) -> Columns {
        let scales = customers.numbers.iter().map(|(name, of)| scale(name, of));
        let levels = customers.texts.iter().map(|(name, of)| levels(name, of));
        Columns {
            scales: scales.collect(),
            levels: levels.collect(),
        }
    }

    /// What the regression is given: a row per customer.
    ///
    /// # Errors
    /// A column is missing.
    pub fn features(&self, customers: &Customers) -> Result<Vec<Vec<f64>>> {
        let mut rows = vec![Vec::new(); customers.rows];
        for scale in &self.scales {
            let values = customers.numbers.get(&scale.name);
            let values = values.ok_or_else(|| format!("there is no column {:?}", scale.name))?;
            for (row, value) in rows.iter_mut().zip(values) {
                row.push((value - scale.mean) / scale.deviation);
            }
        }
        for known in &self.levels {
            let values = customers.texts.get(&known.name);
            let values = values.ok_or_else(|| format!("there is no column {:?}", known.name))?;
            for (row, value) in rows.iter_mut().zip(values) {
                let marks = known.levels.iter().map(|level| level == value);
                row.extend(marks.map(|mark| f64::from(u8::from(mark))));
            }
        }
        Ok(rows)
    }
}

/// The trained model: a logistic regression.
pub struct Churn {
    /// How customers become features.
    pub columns: Columns,
    /// What each feature weighs.
    pub weights: Vec<f64>,
    /// What everybody starts from.
    pub intercept: f64,
}

impl Churn {
    /// The probability of each customer to leave.
    ///
    /// # Errors
    /// A column is missing.
    pub fn probabilities(&self, mut customers: Customers) -> Result<Vec<f64>> {
        customers.fill_total_charges()?;
        let logit = |row: &Vec<f64>| {
            let weighted = row
                .iter()
                .zip(&self.weights)
                .map(|(value, weight)| value * weight);
            self.intercept + weighted.sum::<f64>()
        };
        let rows = self.columns.features(&customers)?;
        Ok(rows
            .iter()
            .map(|row| 1.0 / (1.0 + (-logit(row)).exp()))
            .collect())
    }

    /// Write the model into a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let Columns { scales, levels } = &self.columns;
        let scale =
            |of: &Scale| json!({"name": of.name, "mean": of.mean, "deviation": of.deviation});
        let level = |of: &Levels| json!({"name": of.name, "levels": of.levels});
        let document = json!({
            "intercept": self.intercept,
            "weights": self.weights,
            "scales": scales.iter().map(scale).collect::<Vec<_>>(),
            "levels": levels.iter().map(level).collect::<Vec<_>>(),
        });
        Ok(std::fs::write(path, format!("{document:#}\n"))?)
    }

    /// The model that a file holds.
    ///
    /// # Errors
    /// The file cannot be read, or holds no model.
    pub fn read(path: &Path) -> Result<Churn> {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let scale = |of: &Value| {
            Ok(Scale {
                name: text(&of["name"])?,
                mean: number(&of["mean"])?,
                deviation: number(&of["deviation"])?,
            })
        };
        let level = |of: &Value| {
            Ok(Levels {
                name: text(&of["name"])?,
                levels: each(&of["levels"], text)?,
            })
        };
        Ok(Churn {
            columns: Columns {
                scales: each(&document["scales"], scale)?,
                levels: each(&document["levels"], level)?,
            },
            weights: each(&document["weights"], number)?,
            intercept: number(&document["intercept"])?,
        })
    }
}

fn number(value: &Value) -> Result<f64> {
    value
        .as_f64()
        .ok_or_else(|| format!("{value} should be a number").into())
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().map(String::from);
    text.ok_or_else(|| format!("{value} should be a text").into())
}

fn each<T>(value: &Value, read: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
    let values = value
        .as_array()
        .ok_or_else(|| format!("{value} should be a list"))?;
    values.iter().map(read).collect()
}

fn scale(name: &str, values: &[f64]) -> Scale {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    Scale {
        name: name.into(),
        mean,
        deviation: variance.sqrt(),
    }
}

fn levels(name: &str, values: &[String]) -> Levels {
    let mut levels = values.to_vec();
    levels.sort();
    levels.dedup();
    Levels {
        name: name.into(),
        levels,
    }
}
