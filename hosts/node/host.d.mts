/**
 * What a model is given and gives back.
 *
 * A column holds one value per row:
 *
 * | datatype                            | column              | nullable column                |
 * | ----------------------------------- | ------------------- | ------------------------------ |
 * | UINT8 … INT32                       | its typed array     | array of numbers and `null`    |
 * | INT64, UINT64                       | `BigInt64Array`, …  | array of bigints and `null`    |
 * | FP16, FP32                          | `Float32Array`      | array of numbers and `null`    |
 * | FP64                                | `Float64Array`      | array of numbers and `null`    |
 * | BOOL                                | array of booleans   | array of booleans and `null`   |
 * | BYTES                               | array of texts      | array of texts and `null`      |
 * | any of them with a shape (a tensor) | array of such arrays of elements, row-major, one per row; `null` for a null row |
 */

/** Numbers that fill their datatype exactly. */
export type Numbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

/** One value of a scalar column. */
export type Value = number | bigint | boolean | string;

/** A scalar column that may not be null. */
export type Column = Numbers | boolean[] | string[];

/** A scalar column that may be null. */
export type NullableColumn = (number | null)[] | (bigint | null)[] | (boolean | null)[] | (string | null)[];

/** A column of tensors: the elements of each row in one array. */
export type TensorColumn = (Column | null)[];

/** Columns by the names of the contract. `Inputs<{ tenure: BigInt64Array; gender: string[] }>` says which. */
export type Inputs<Columns = Record<string, Column | NullableColumn | TensorColumn>> = Columns;

/** What may stand for an output: any array of values or rows whose numbers fit the datatype without loss. */
export type Output = Numbers | readonly (Value | null | undefined | Numbers | readonly unknown[])[];

/** Outputs by the names of the contract; a model with one output may give its column alone. */
export type Outputs = Record<string, Output> | Output;

/**
 * The function that a model's module exports under the name `predict`.
 *
 * @param columns the inputs, memory of its own that may be changed
 * @param rows how many rows they have; may be 0
 */
export type Predict<Columns = any> = (columns: Columns, rows: number) => Outputs | Promise<Outputs>;
