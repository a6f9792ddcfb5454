// The binary wire: frames of host protocol 1 on two descriptors, read and written whole.

import fs from "node:fs";

export const LOAD = 2;
export const LOADED = 3;
export const PREDICT = 4;
export const ANSWER = 5;
export const ERROR = 6;
export const STOP = 9;

const VERSION = 1;
const HEAD_BYTES = 16;
const CHUNK_BYTES = 1 << 16;
const GATHERED_BYTES = 1 << 20;
const WAITED_MS = 1;

// One request, no flags, no time of our own, answered, no errors: padded to 32 bytes.
const ANSWER_LEAD = Buffer.alloc(32);
ANSWER_LEAD.writeUInt32LE(1, 0);
ANSWER_LEAD.writeUInt32LE(2, 24);
ANSWER_LEAD.write("{}", 28);

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Try again where a descriptor would rather not wait. */
function patiently(deed) {
  for (;;) {
    try {
      return deed();
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(sleeper, 0, 0, WAITED_MS);
    }
  }
}

/**
 * Write all of some bytes.
 *
 * @param {number} descriptor
 * @param {Uint8Array} bytes
 */
export function writeAll(descriptor, bytes) {
  for (let at = 0; at < bytes.length;) {
    at += patiently(() => fs.writeSync(descriptor, bytes, at, bytes.length - at));
  }
}

/**
 * Read what is there, at least one byte; 0 at the end.
 *
 * @param {number} descriptor
 * @param {Uint8Array} into
 * @param {number} at where in it to begin
 */
export function readSome(descriptor, into, at) {
  return patiently(() => fs.readSync(descriptor, into, at, into.length - at, null));
}

/** Whole frames from a descriptor. */
export class FrameReader {
  #descriptor;
  #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #begin = 0;
  #end = 0;

  /** @param {number} descriptor */
  constructor(descriptor) {
    this.#descriptor = descriptor;
  }

  /**
   * The next frame, or null at the end. The payload is memory of its own.
   *
   * @returns {{kind: number, sequence: bigint, payload: Buffer} | null}
   */
  next() {
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    if (!this.#fill(head)) return null;
    if (head[5] !== VERSION) throw new Error(`not a frame of host protocol ${VERSION}: ${head.toString("hex")}`);
    const payload = Buffer.from(new ArrayBuffer(head.readUInt32LE(0)));
    return this.#fill(payload) ? { kind: head[4], sequence: head.readBigUInt64LE(8), payload } : null;
  }

  /** Fill some bytes; false when the descriptor ends before. Small frames take one read, large ones go to their place. */
  #fill(bytes) {
    let got = this.#fromChunk(bytes, 0);
    while (got < bytes.length) {
      if (bytes.length - got >= CHUNK_BYTES) {
        const more = readSome(this.#descriptor, bytes, got);
        if (more === 0) return false;
        got += more;
      } else {
        this.#begin = 0;
        this.#end = readSome(this.#descriptor, this.#chunk, 0);
        if (this.#end === 0) return false;
        got += this.#fromChunk(bytes, got);
      }
    }
    return true;
  }

  #fromChunk(bytes, at) {
    const part = this.#chunk.copy(bytes, at, this.#begin, this.#end);
    this.#begin += part;
    return part;
  }
}

/**
 * Write a frame whose payload is one JSON object.
 *
 * @param {number} descriptor
 * @param {number} kind
 * @param {bigint} sequence
 * @param {object} document
 */
export function writeJson(descriptor, kind, sequence, document) {
  const text = Buffer.from(JSON.stringify(document));
  writeAll(descriptor, Buffer.concat([headOf(kind, sequence, text.length), text]));
}

/**
 * Write the answer to one request.
 *
 * @param {number} descriptor
 * @param {bigint} sequence of the question
 * @param {number} rows
 * @param {{data: Uint8Array, nulls: Uint8Array | null}[]} columns in the order of the contract
 */
export function writeAnswer(descriptor, sequence, rows, columns) {
  const lengths = Buffer.alloc(8 + 16 * columns.length);
  lengths.writeUInt32LE(rows, 0);
  lengths.writeUInt32LE(columns.length, 4);
  const parts = [ANSWER_LEAD, lengths];
  columns.forEach(({ data, nulls }, index) => {
    lengths.writeBigUInt64LE(BigInt(data.length), 8 + 16 * index);
    lengths.writeBigUInt64LE(BigInt(nulls?.length ?? 0), 16 + 16 * index);
    for (const part of nulls ? [data, nulls] : [data]) parts.push(part, padding(part.length));
  });
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.unshift(headOf(ANSWER, sequence, length));
  if (length <= GATHERED_BYTES) return writeAll(descriptor, Buffer.concat(parts));
  for (const part of parts) writeAll(descriptor, part);
}

/**
 * The columns of a PREDICT payload, as bytes.
 *
 * @param {Buffer} payload
 * @returns {{rows: number, columns: {data: Buffer, nulls: Buffer | null}[]}}
 */
export function readQuestion(payload) {
  const requests = payload.readUInt32LE(0);
  const table = 8 + 4 * requests + ((4 * requests) & 7 ? 4 : 0);
  const rows = payload.readUInt32LE(table);
  const count = payload.readUInt32LE(table + 4);
  const columns = [];
  let at = table + 8 + 16 * count;
  for (let index = 0; index < count; index++) {
    const lengths = table + 8 + 16 * index;
    const dataEnd = at + Number(payload.readBigUInt64LE(lengths));
    const nullBytes = Number(payload.readBigUInt64LE(lengths + 8));
    const nullsAt = padded(dataEnd);
    if (nullsAt + nullBytes > payload.length) throw new Error("a table is cut off");
    columns.push({
      data: payload.subarray(at, dataEnd),
      nulls: nullBytes ? payload.subarray(nullsAt, nullsAt + nullBytes) : null,
    });
    at = padded(nullsAt + nullBytes);
  }
  return { rows, columns };
}

function headOf(kind, sequence, length) {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(length, 0);
  head[4] = kind;
  head[5] = VERSION;
  head.writeBigUInt64LE(sequence, 8);
  return head;
}

const ZEROS = Buffer.alloc(8);

function padding(length) {
  return ZEROS.subarray(0, padded(length) - length);
}

function padded(length) {
  return Math.ceil(length / 8) * 8;
}
