// Runs a model: `node host.mjs MODEL`, started by Muster with the wire on descriptors 3 and 4, or on standard input and
// output (MUSTER_WIRE=lines). MODEL is a module that exports `predict(columns, rows)`; host.d.mts says what both are.

import { Console } from "node:console";
import { realpathSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Field, OutputBroken } from "./columns.mjs";
import {
  ERROR,
  FrameReader,
  LOAD,
  LOADED,
  PREDICT,
  STOP,
  readQuestion,
  writeAll,
  writeAnswer,
  writeJson,
} from "./frames.mjs";
import { bytesOf, objectsOf, textOf } from "./lines.mjs";

const ABOUT = { language: "javascript", helper: "1" };
const READ_DESCRIPTOR = 3;
const WRITE_DESCRIPTOR = 4;
const STACKS_A_MINUTE = 6;
const MINUTE_MS = 60_000;

/** A loaded model: bytes of inputs in, bytes of outputs out. */
class Model {
  #predict;

  /**
   * @param {string} file the module
   * @param {{inputs: object[], outputs: object[]}} load the LOAD document
   */
  static async load(file, load) {
    const model = new Model();
    model.inputs = load.inputs.map((document) => new Field(document));
    model.outputs = load.outputs.map((document) => new Field(document));
    const module = await import(pathToFileURL(path.resolve(file)));
    model.#predict = module.predict ?? module.default?.predict ?? module.default;
    if (typeof model.#predict !== "function") throw new Error(`${file} exports no function "predict"`);
    return model;
  }

  async answer(rows, parts) {
    const columns = Object.create(null);
    this.inputs.forEach((field, index) => {
      columns[field.name] = field.read(parts[index].data, parts[index].nulls, rows);
    });
    let given = this.#predict(columns, rows);
    if (typeof given?.then === "function") given = await given;
    const named = this.#named(given);
    return this.outputs.map((field) => field.write(named[field.name], rows));
  }

  // A model with one output may give its column alone.
  #named(given) {
    if (given === null || typeof given !== "object") throw new OutputBroken(`predict gave ${typeof given}, no columns`);
    if (this.outputs.length === 1 && (Array.isArray(given) || ArrayBuffer.isView(given))) {
      return { [this.outputs[0].name]: given };
    }
    const names = this.outputs.map((field) => field.name);
    const wrong = [
      ...names.filter((name) => !Object.hasOwn(given, name)).map((name) => `"${name}" is missing`),
      ...Object.keys(given)
        .filter((name) => !names.includes(name))
        .map((name) => `"${name}" is not in the contract`),
    ];
    if (wrong.length) throw new OutputBroken(`outputs: ${wrong.join(", ")}`);
    return given;
  }
}

const stacks = { since: 0, count: 0 };

/** What went wrong as one line for the peer, and with its stack for the log. */
function told(error) {
  const now = Date.now();
  if (now - stacks.since > MINUTE_MS) Object.assign(stacks, { since: now, count: 0 });
  // Anything can be thrown: a symbol, an object without a prototype, one whose message is a function.
  try {
    if (stacks.count++ < STACKS_A_MINUTE) console.error(error?.stack ?? error);
    if (!(error instanceof Error)) return `thrown: ${String(error)}`;
    return error instanceof OutputBroken ? error.message : `${String(error.name)}: ${String(error.message)}`;
  } catch {
    return `thrown: something that is no text, of type ${typeof error}`;
  }
}

async function serveFrames(file) {
  const reader = new FrameReader(READ_DESCRIPTOR);
  let model;
  for (let frame = reader.next(); frame !== null && frame.kind !== STOP; frame = reader.next()) {
    const { kind, sequence, payload } = frame;
    const say = (what, document) => writeJson(WRITE_DESCRIPTOR, what, sequence, document);
    if (kind === LOAD) {
      try {
        model = await Model.load(file, JSON.parse(payload.toString("utf8")));
      } catch (error) {
        say(ERROR, { code: "load-failed", message: told(error) });
        return 1;
      }
      say(LOADED, ABOUT);
    } else if (kind === PREDICT && model) {
      let answer;
      const { rows, columns } = readQuestion(payload);
      try {
        answer = await model.answer(rows, columns);
      } catch (error) {
        const code = error instanceof OutputBroken ? "output-broken" : "model-raised";
        say(ERROR, { code, message: told(error) });
        continue;
      }
      writeAnswer(WRITE_DESCRIPTOR, sequence, rows, answer);
    } else {
      say(ERROR, { code: "not-understood", message: `a frame of kind ${kind} is not for a model` });
    }
  }
  return 0;
}

async function serveLines(file) {
  const say = (text) => writeAll(1, Buffer.from(`${text}\n`));
  // Standard output is the wire: what the model prints goes to the log.
  Object.defineProperty(process, "stdout", { get: () => process.stderr });
  globalThis.console = new Console(process.stderr);
  let model;
  for (const question of objectsOf(0)) {
    if (question.load) {
      try {
        model = await Model.load(file, question.load);
      } catch (error) {
        say(JSON.stringify({ error: told(error) }));
        return 1;
      }
      say(JSON.stringify({ loaded: ABOUT }));
      continue;
    }
    const rows = question.inputs[0].shape[0];
    let answer;
    try {
      answer = await model.answer(
        rows,
        model.inputs.map((field, index) => bytesOf(field, question.inputs[index])),
      );
    } catch (error) {
      say(JSON.stringify({ id: question.id, error: told(error) }));
      continue;
    }
    const outputs = model.outputs.map((field, index) => textOf(field, answer[index], rows));
    say(`{"id":${JSON.stringify(question.id)},"outputs":[${outputs.join(",")}]}`);
  }
  return 0;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  if (os.endianness() !== "LE") throw new Error("this host runs on little-endian machines only");
  if (process.argv.length !== 3) throw new Error("usage: node host.mjs MODEL");
  const serve = process.env.MUSTER_WIRE === "lines" ? serveLines : serveFrames;
  process.exit(await serve(process.argv[2]));
}

export { Field, OutputBroken };
