// The churn model: a logistic regression, its features and weights as train.mjs left them in model.json.

import { readFileSync } from "node:fs";
import { matrixOf, probabilities } from "./features.mjs";

const { learnt, weights } = JSON.parse(readFileSync("model.json", "utf8")); // the bundle is the working directory

export function predict(columns, rows) {
  return { churn_probability: probabilities(matrixOf(learnt, columns, rows), weights) };
}
