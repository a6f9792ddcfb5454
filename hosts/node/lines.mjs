// The other wire: one JSON object per line on standard input and output. It carries the same bytes, written as text.

import { readSome } from "./frames.mjs";
import { halfOfFloat } from "./half.mjs";

const CHUNK_BYTES = 1 << 16;
const NEWLINE = 10;

/**
 * The objects that come on a descriptor, one per line.
 *
 * @param {number} descriptor
 * @returns {Generator<any>}
 */
export function* objectsOf(descriptor) {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let waiting = [];
  for (;;) {
    const count = readSome(descriptor, chunk, 0);
    if (count === 0) return;
    let rest = chunk.subarray(0, count);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      yield JSON.parse(Buffer.concat([...waiting, rest.subarray(0, end)]).toString("utf8"));
      waiting = [];
      rest = rest.subarray(end + 1);
    }
    if (rest.length) waiting.push(Buffer.from(rest));
  }
}

/**
 * The bytes of an input that came as JSON.
 *
 * @param {import("./columns.mjs").Field} field
 * @param {{shape: number[], data: unknown[]}} input flat, row-major; integers beyond 2^53 and not-a-numbers are texts
 * @returns {{data: Buffer, nulls: Buffer | null}}
 */
export function bytesOf(field, input) {
  const rows = input.shape[0];
  const nulls = Buffer.alloc(rows);
  input.data.forEach((value, at) => {
    if (value === null) nulls[Math.floor(at / field.elements)] = 1;
  });
  return { data: dataOf(field, input.data), nulls: nulls.includes(1) ? nulls : null };
}

function dataOf(field, values) {
  const { datatype, kind } = field;
  if (datatype === "BYTES") {
    return Buffer.concat(
      values.map((value) => {
        const text = Buffer.from(value ?? "");
        const length = Buffer.alloc(4);
        length.writeUInt32LE(text.length);
        return Buffer.concat([length, text]);
      }),
    );
  }
  if (datatype === "BOOL") return Buffer.from(values.map((value) => (value ? 1 : 0)));
  const isLong = datatype === "INT64" || datatype === "UINT64";
  const numbers = kind.array.from(values, (value) => (isLong ? BigInt(value ?? 0) : Number(value ?? 0)));
  return Buffer.from(datatype === "FP16" ? halfOfFloat(numbers).buffer : numbers.buffer);
}

/**
 * An output as a piece of JSON text.
 *
 * @param {import("./columns.mjs").Field} field
 * @param {{data: Uint8Array, nulls: Uint8Array | null}} column
 * @param {number} rows
 * @returns {string}
 */
export function textOf(field, { data, nulls }, rows) {
  const aligned = Buffer.from(Uint8Array.from(data).buffer); // numbers are read in place
  const values = field.elementsOf(aligned, rows * field.elements);
  const texts = Array.from(values, (value, at) =>
    nulls?.[Math.floor(at / field.elements)] ? "null" : textOfOne(value),
  );
  const head = JSON.stringify({ name: field.name, datatype: field.datatype, shape: [rows, ...field.shape] });
  return `${head.slice(0, -1)},"data":[${texts.join(",")}]}`;
}

function textOfOne(value) {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? `${value}` : `"${value}"`;
  if (Object.is(value, -0)) return "-0.0"; // JSON.stringify loses its sign
  if (typeof value === "number" && !Number.isFinite(value)) return `"${value}"`;
  return JSON.stringify(value);
}
