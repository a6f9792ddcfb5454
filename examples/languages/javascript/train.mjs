// Trains the churn model: `node train.mjs DATA OUT` reads DATA/train.csv and writes OUT/model.json and OUT.expected.csv.

import { readFileSync, writeFileSync } from "node:fs";
import { Matrix, solve } from "ml-matrix";
import { learn, matrixOf, probabilities } from "./features.mjs";

const TARGET = "left";
const RIDGE = 1; // keeps weights of columns that say the same from running away
const STEPS = 25;
const CLOSE = 1e-10;

/** Columns of a CSV file without quotes: numbers where all values are, an empty value is null. */
function columnsOf(file) {
  const [head, ...lines] = readFileSync(file, "utf8").trim().split(/\r?\n/);
  const rows = lines.map((line) => line.split(","));
  return Object.fromEntries(
    head.split(",").map((name, index) => {
      const texts = rows.map((row) => row[index]);
      const isNumber = texts.every((text) => text === "" || !Number.isNaN(Number(text)));
      return [name, texts.map((text) => (text === "" ? null : isNumber ? Number(text) : text))];
    }),
  );
}

/** Weights of a logistic regression by Newton's method: w += (XᵀWX + λI)⁻¹ (Xᵀ(y − p) − λw). */
function fitted(features, target) {
  const ridge = Matrix.eye(features.columns).mul(RIDGE);
  ridge.set(0, 0, 0); // the intercept is free
  let weights = Matrix.zeros(features.columns, 1);
  for (let step = 0; step < STEPS; step++) {
    const expected = probabilities(features, weights.getColumn(0));
    const weighted = features.clone().apply(function weigh(row, column) {
      this.set(row, column, this.get(row, column) * expected[row] * (1 - expected[row]));
    });
    const residual = Matrix.columnVector(target.map((value, row) => value - expected[row]));
    const gradient = features.transpose().mmul(residual).sub(ridge.mmul(weights));
    const change = solve(features.transpose().mmul(weighted).add(ridge), gradient);
    weights = weights.add(change);
    if (change.norm() < CLOSE) return weights.getColumn(0);
  }
  throw new Error(`the weights had not settled after ${STEPS} steps`);
}

/** How often a row that left has a higher probability than one that stayed. */
function areaUnderCurve(target, probability) {
  const order = [...target.keys()].sort((a, b) => probability[a] - probability[b]);
  const left = target.filter((value) => value === 1).length;
  const ranks = order.reduce((sum, row, rank) => sum + (target[row] === 1 ? rank + 1 : 0), 0);
  return (ranks - (left * (left + 1)) / 2) / (left * (target.length - left));
}

const [data, out] = process.argv.slice(2);
const { [TARGET]: target, ...columns } = columnsOf(`${data}/train.csv`);
const learnt = learn(columns);
const features = matrixOf(learnt, columns, target.length);
const weights = fitted(features, target);
writeFileSync(`${out}/model.json`, `${JSON.stringify({ learnt, weights }, null, 1)}\n`);

const rows = columnsOf(`${data}/rows.csv`);
const expected = probabilities(matrixOf(learnt, rows, rows.tenure.length), weights);
writeFileSync(`${out}.expected.csv`, `churn_probability\n${expected.join("\n")}\n`);
console.log(
  `${target.length} rows, area under the curve ${areaUnderCurve(target, probabilities(features, weights)).toFixed(4)}`,
);
