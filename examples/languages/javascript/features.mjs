// From columns to the matrix that the model multiplies: numbers standardised, texts as one column per category.

import { Matrix } from "ml-matrix";

/**
 * How columns become features, learnt from the training rows.
 *
 * @param {Record<string, ArrayLike<number | string | null>>} columns
 */
export function learn(columns) {
  return Object.entries(columns).map(([name, column]) => {
    const present = Array.from(column).filter((value) => value !== null);
    if (typeof present[0] === "string") {
      return { name, categories: [...new Set(present)].sort().slice(1) }; // the first is what the others differ from
    }
    const numbers = present.map(Number);
    const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
    const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
    return { name, mean, scale: Math.sqrt(variance) || 1 };
  });
}

/**
 * The features of some rows: a matrix of (rows, 1 + features), whose first column is 1.
 *
 * @param {ReturnType<typeof learn>} learnt
 * @param {Record<string, ArrayLike<number | bigint | string | null>>} columns
 * @param {number} rows
 */
export function matrixOf(learnt, columns, rows) {
  const features = [Array.from({ length: rows }, () => 1)];
  for (const { name, categories, mean, scale } of learnt) {
    const column = Array.from(columns[name]);
    if (categories) {
      for (const category of categories) features.push(column.map((value) => (value === category ? 1 : 0)));
    } else {
      features.push(column.map((value) => (value === null ? 0 : (Number(value) - mean) / scale))); // null: the mean
    }
  }
  return Matrix.zeros(rows, features.length).apply(function set(row, index) {
    this.set(row, index, features[index][row]);
  });
}

/** The probability of each row, from features and weights. */
export function probabilities(features, weights) {
  const logits = features.mmul(Matrix.columnVector(weights));
  return Float64Array.from({ length: features.rows }, (_, row) => 1 / (1 + Math.exp(-logits.get(row, 0))));
}
