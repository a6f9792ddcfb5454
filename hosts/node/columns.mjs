// Columns as a model sees them, and as bytes: the one place where a datatype meets its JavaScript values.

import { floatOfHalf, halfOfFloat } from "./half.mjs";

/** What a model gave back is not what its contract says. */
export class OutputBroken extends Error {
  name = "OutputBroken";
}

const integer = (array, minimum, maximum) => ({
  array,
  fits: (value) => Number.isInteger(value) && value >= minimum && value <= maximum,
  plain: (value) => (typeof value === "bigint" ? Number(value) : value),
});

const long = (array, cut) => ({
  array,
  fits: (value) => typeof value === "bigint" && cut(64, value) === value,
  plain: (value) => (Number.isSafeInteger(value) ? BigInt(value) : value),
});

const float = (array, round) => ({
  array,
  isFloat: true,
  fits: (value) => typeof value === "number" && (Object.is(round(value), value) || Number.isNaN(value)),
  plain: (value) => value,
});

const NUMBERS = {
  UINT8: integer(Uint8Array, 0, 2 ** 8 - 1),
  INT8: integer(Int8Array, -(2 ** 7), 2 ** 7 - 1),
  UINT16: integer(Uint16Array, 0, 2 ** 16 - 1),
  INT16: integer(Int16Array, -(2 ** 15), 2 ** 15 - 1),
  UINT32: integer(Uint32Array, 0, 2 ** 32 - 1),
  INT32: integer(Int32Array, -(2 ** 31), 2 ** 31 - 1),
  UINT64: long(BigUint64Array, BigInt.asUintN),
  INT64: long(BigInt64Array, BigInt.asIntN),
  FP16: float(Float32Array, Math.fround),
  FP32: float(Float32Array, Math.fround),
  FP64: float(Float64Array, (value) => value),
};

/** One input or output of the contract. */
export class Field {
  /** @param {{name: string, datatype: string, shape: number[], nullable: boolean}} document as LOAD writes it */
  constructor(document) {
    this.name = document.name;
    this.datatype = document.datatype;
    this.shape = document.shape ?? [];
    this.nullable = document.nullable ?? false;
    this.isTensor = this.shape.length > 0;
    /** Elements of one row. */
    this.elements = this.shape.reduce((product, extent) => product * extent, 1);
    this.kind = NUMBERS[this.datatype];
    if (!this.kind && this.datatype !== "BOOL" && this.datatype !== "BYTES") {
      throw new Error(`field "${this.name}" has the datatype ${this.datatype}, which this host does not know`);
    }
  }

  /**
   * The column of some bytes, as a model sees it.
   *
   * @param {Buffer} data the raw layout, on a multiple of 8 in its own memory
   * @param {Buffer | null} nulls one byte per row, 1 = null
   * @param {number} rows
   */
  read(data, nulls, rows) {
    const flat = this.elementsOf(data, rows * this.elements);
    if (!this.isTensor) {
      return this.nullable ? Array.from(flat, (value, row) => (nulls?.[row] ? null : value)) : flat;
    }
    const rowOf = (row) => {
      if (nulls?.[row]) return null;
      const begin = row * this.elements;
      return Array.isArray(flat)
        ? flat.slice(begin, begin + this.elements)
        : flat.subarray(begin, begin + this.elements);
    };
    return Array.from({ length: rows }, (_, row) => rowOf(row));
  }

  /**
   * The bytes of a column that a model gave back.
   *
   * @param {unknown} column values per row; of a tensor rows of elements, or all elements in one array
   * @param {number} rows
   * @returns {{data: Uint8Array, nulls: Uint8Array | null}}
   * @throws {OutputBroken} it is not what the contract says
   */
  write(column, rows) {
    const count = rows * this.elements;
    if (this.#isReady(column, count)) return { data: this.#bytesOfNumbers(column), nulls: null };
    const nulls = new Uint8Array(rows);
    const flat = this.#joined(column, rows, nulls) ?? this.#flat(column, rows, nulls);
    const data =
      this.datatype === "BYTES"
        ? this.#bytesOfTexts(flat)
        : this.datatype === "BOOL"
          ? this.#bytesOfBooleans(flat)
          : this.#bytesOfNumbers(flat instanceof this.kind.array ? flat : this.#exact(flat));
    const first = nulls.indexOf(1);
    if (first >= 0 && !this.nullable) throw this.#broken(`is null in row ${first} and is not nullable`);
    return { data, nulls: first >= 0 ? nulls : null };
  }

  /** All elements of a column of bytes that begins on a multiple of 8, row after row. */
  elementsOf(data, count) {
    if (this.datatype === "BYTES") return textsOf(data, count);
    if (this.datatype === "BOOL") return Array.from(data, (byte) => byte === 1);
    if (this.datatype === "FP16") return floatOfHalf(new Uint16Array(data.buffer, data.byteOffset, count));
    return new this.kind.array(data.buffer, data.byteOffset, count);
  }

  // Typed arrays of the right class need no look at each value, unless a NaN in them means null.
  #isReady(column, count) {
    const maySayNull = this.nullable && this.kind?.isFloat && !this.isTensor;
    return this.kind && column instanceof this.kind.array && column.length === count && !maySayNull;
  }

  /** Tensors whose rows are typed arrays of the right class, with the bits that they have; null where they are not. */
  #joined(column, rows, nulls) {
    const fits = (row) => row === null || (row instanceof this.kind.array && row.length === this.elements);
    if (!this.isTensor || !this.kind || !Array.isArray(column) || column.length !== rows || !column.every(fits)) {
      return null;
    }
    const numbers = new this.kind.array(rows * this.elements);
    column.forEach((row, at) => (row === null ? (nulls[at] = 1) : numbers.set(row, at * this.elements)));
    return numbers;
  }

  /** All elements in a row, `undefined` where a null stands; marks the rows that are null. */
  #flat(column, rows, nulls) {
    const isList = Array.isArray(column) || (ArrayBuffer.isView(column) && !(column instanceof DataView));
    if (!isList) throw this.#broken(`is no array but ${said(column)}`);
    if (this.isTensor && this.elements !== 1 && column.length === rows * this.elements && !isNested(column)) {
      return column;
    }
    if (column.length !== rows) throw this.#broken(`has ${column.length} rows where ${rows} were asked for`);
    if (!this.isTensor) return Array.from(column, (value, row) => this.#orNull(value, row, nulls));
    return Array.from(column).flatMap((value, row) => this.#tensor(value, row, nulls));
  }

  #orNull(value, row, nulls) {
    if (value !== null && value !== undefined && !(this.nullable && Number.isNaN(value))) return value;
    nulls[row] = 1;
    return undefined;
  }

  #tensor(value, row, nulls) {
    if (value === null || value === undefined) {
      nulls[row] = 1;
      return new Array(this.elements).fill(undefined);
    }
    const flat = isNested(value) ? value.map((part) => Array.from(part)).flat(Infinity) : Array.from(value);
    if (flat.length !== this.elements) {
      throw this.#broken(`has ${flat.length} elements in row ${row} where its shape holds ${this.elements}`);
    }
    if (flat.includes(null) || flat.includes(undefined)) throw this.#broken(`has a null within row ${row}`);
    return flat;
  }

  #exact(flat) {
    const { array, fits, plain } = this.kind;
    const numbers = new array(flat.length);
    for (let at = 0; at < flat.length; at++) {
      if (flat[at] === undefined) continue;
      const value = plain(flat[at]);
      if (!fits(value)) {
        throw this.#broken(`is ${said(flat[at])} in row ${Math.floor(at / this.elements)}: no ${this.datatype}`);
      }
      numbers[at] = value;
    }
    return numbers;
  }

  #bytesOfNumbers(numbers) {
    const ready = this.datatype === "FP16" ? halfOfFloat(numbers) : numbers;
    if (ready === null) throw this.#broken("holds a number that is no FP16");
    return new Uint8Array(ready.buffer, ready.byteOffset, ready.byteLength);
  }

  #bytesOfBooleans(flat) {
    return Uint8Array.from(flat, (value) => {
      if (value !== undefined && typeof value !== "boolean") throw this.#broken(`is ${said(value)}: no BOOL`);
      return value ? 1 : 0;
    });
  }

  #bytesOfTexts(flat) {
    let size = 4 * flat.length;
    for (const text of flat) {
      if (text === undefined) continue;
      if (typeof text !== "string") throw this.#broken(`is ${said(text)}: no text`);
      if (LONE_SURROGATE.test(text)) throw this.#broken(`is ${said(text)}, which holds half of a surrogate pair`);
      size += Buffer.byteLength(text);
    }
    const data = Buffer.allocUnsafe(size);
    let at = 0;
    for (const text of flat) {
      const length = text ? data.write(text, at + 4) : 0;
      at = data.writeUInt32LE(length, at) + length;
    }
    return data;
  }

  #broken(what) {
    return new OutputBroken(`output "${this.name}" ${what}`);
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u;

function isNested(value) {
  return Array.isArray(value) && value.some((part) => part === null || typeof part === "object");
}

function textsOf(data, count) {
  const texts = new Array(count);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const end = at + 4 + data.readUInt32LE(at);
    texts[index] = data.toString("utf8", at + 4, end);
    at = end;
  }
  return texts;
}

function said(value) {
  const text =
    typeof value === "string" ? JSON.stringify(value) : typeof value === "bigint" ? `${value}` : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
