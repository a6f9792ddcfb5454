import assert from "node:assert/strict";
import { test } from "node:test";
import { Field, OutputBroken } from "../columns.mjs";
import { floatOfHalf, halfOfFloat } from "../half.mjs";

const field = (datatype, more = {}) => new Field({ name: "y", datatype, shape: [], nullable: false, ...more });
const aligned = (bytes) => Buffer.from(Uint8Array.from(bytes).buffer);
const texts = (...values) =>
  Buffer.concat(
    values.flatMap((text) => [Buffer.from(Uint32Array.of(Buffer.byteLength(text)).buffer), Buffer.from(text)]),
  );
const broken = (pattern) => (error) => error instanceof OutputBroken && pattern.test(error.message);

test("every 16-bit float survives as a 32-bit float, not-a-numbers with their bits", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  assert.deepEqual(halfOfFloat(floatOfHalf(all)), all);
});

test("a float that has no 16-bit form is refused, never rounded", () => {
  for (const value of [0.1, 65520, 2 ** -25, 1 + 2 ** -11]) assert.equal(halfOfFloat(Float32Array.of(value)), null);
});

test("numbers of each datatype are handed on in their typed array, bit for bit", () => {
  const bytes = [1, 2, 3, 4, 5, 6, 0xf0, 0x7f, 8, 7, 6, 5, 4, 3, 2, 0xff];
  const arrays = {
    UINT8: Uint8Array,
    INT16: Int16Array,
    UINT32: Uint32Array,
    FP32: Float32Array,
    INT64: BigInt64Array,
    UINT64: BigUint64Array,
    FP64: Float64Array,
  };
  for (const [datatype, array] of Object.entries(arrays)) {
    const rows = bytes.length / array.BYTES_PER_ELEMENT;
    const column = field(datatype).read(aligned(bytes), null, rows);
    assert.ok(column instanceof array, datatype);
    assert.deepEqual([...field(datatype).write(column, rows).data], bytes, datatype);
  }
});

test("a nullable column is a plain array with null in it, and comes back with a mark", () => {
  const nullable = field("INT64", { nullable: true });
  const column = nullable.read(aligned([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Buffer.from([0, 1]), 2);
  assert.deepEqual(column, [5n, null]);
  const written = nullable.write(column, 2);
  assert.deepEqual([...written.nulls], [0, 1]);
  assert.equal(written.data.length, 16);
});

test("not-a-number in a nullable output is null", () => {
  const written = field("FP64", { nullable: true }).write(Float64Array.of(1, NaN), 2);
  assert.deepEqual([...written.nulls], [0, 1]);
  assert.deepEqual([...new Float64Array(written.data.buffer)], [1, 0]);
});

test("texts of any script survive, with a byte order mark, a zero and an emoji", () => {
  const given = ["", "\ufeffZoë", "a\0b", "日本語", "\u{1f46a}"];
  const bytes = field("BYTES");
  const column = bytes.read(texts(...given), null, given.length);
  assert.deepEqual(column, given);
  assert.deepEqual(Buffer.from(bytes.write(column, given.length).data), texts(...given));
});

test("a tensor is one array of elements per row, and may be given back flat, nested or null", () => {
  const tensor = field("FP32", { shape: [2, 2], nullable: true });
  const column = tensor.read(
    aligned(new Uint8Array(Float32Array.of(1, 2, 3, 4, 0, 0, 0, 0).buffer)),
    Buffer.from([0, 1]),
    2,
  );
  assert.deepEqual(column, [Float32Array.of(1, 2, 3, 4), null]);
  const wanted = tensor.write(column, 2);
  assert.deepEqual([...wanted.nulls], [0, 1]);
  const nested = tensor.write([[[1, 2], [3, 4]], null], 2); // prettier-ignore
  assert.deepEqual(nested, wanted);
  assert.deepEqual(tensor.write([1, 2, 3, 4, 0, 0, 0, 0], 2).data, wanted.data);
});

test("a signalling not-a-number keeps its bits within a tensor", () => {
  const bytes = [1, 0, 0xa0, 0x7f, 0, 0, 0xc0, 0xff];
  const tensor = field("FP32", { shape: [2] });
  assert.deepEqual([...tensor.write(tensor.read(aligned(bytes), null, 1), 1).data], bytes);
});

test("values that would lose something are refused with the value and the row", () => {
  assert.throws(() => field("FP32").write([0.5, 0.1], 2), broken(/is 0\.1 in row 1: no FP32/));
  assert.throws(() => field("UINT8").write([256], 1), broken(/is 256 in row 0: no UINT8/));
  assert.throws(() => field("INT64").write([2 ** 53], 1), broken(/no INT64/));
  assert.throws(() => field("UINT64").write([-1n], 1), broken(/is -1 in row 0: no UINT64/));
  assert.throws(() => field("FP64").write(["1"], 1), broken(/is "1" in row 0: no FP64/));
  assert.throws(() => field("FP64").write([true], 1), broken(/is true in row 0: no FP64/));
  assert.throws(() => field("BOOL").write([1], 1), broken(/is 1: no BOOL/));
  assert.throws(() => field("BYTES").write([7], 1), broken(/is 7: no text/));
  assert.throws(() => field("BYTES").write(["\ud800"], 1), broken(/surrogate/));
});

test("a wrong number of rows, a null that may not be and what is no array are refused", () => {
  assert.throws(() => field("FP64").write([1, 2], 3), broken(/has 2 rows where 3 were asked for/));
  assert.throws(() => field("FP64").write([1, null], 2), broken(/is null in row 1 and is not nullable/));
  assert.throws(() => field("FP64").write(1, 1), broken(/is no array but 1/));
  assert.throws(() => field("FP64", { shape: [2] }).write([[1]], 1), broken(/has 1 elements in row 0/));
});

test("whole numbers may stand for 64-bit integers where they are exact", () => {
  assert.deepEqual([...new BigInt64Array(field("INT64").write([1, -5], 2).data.buffer)], [1n, -5n]);
});
