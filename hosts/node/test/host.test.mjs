// The host as Muster starts it: a program with the wire on two descriptors, or on standard input and output.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const HOST = fileURLToPath(new URL("../host.mjs", import.meta.url));
const ECHO = fileURLToPath(new URL("../echo/model.mjs", import.meta.url));
const NUMBER = { name: "x", datatype: "FP64", shape: [], nullable: false };
const ACT = { name: "act", datatype: "BYTES", shape: [], nullable: false };
const LOAD = {
  protocol: 1,
  bundle: "/",
  environment: "/",
  entry: "",
  threads: 1,
  inputs: [ACT, NUMBER],
  outputs: [ACT, NUMBER].map((field) => ({ ...field, name: `y_${field.name}` })),
};

const [KIND_LOAD, KIND_LOADED, KIND_PREDICT, KIND_ANSWER, KIND_ERROR, KIND_STOP] = [2, 3, 4, 5, 6, 9];

function frame(kind, sequence, payload) {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(payload.length, 0);
  head[4] = kind;
  head[5] = 1;
  head.writeBigUInt64LE(BigInt(sequence), 8);
  return Buffer.concat([head, payload]);
}

function question(acts, numbers) {
  const texts = Buffer.concat(acts.flatMap((act) => [Buffer.from([act.length, 0, 0, 0]), Buffer.from(act)]));
  const lead = Buffer.alloc(16 + 8 + 32);
  lead.writeUInt32LE(1, 0);
  lead.writeUInt32LE(acts.length, 8);
  lead.writeUInt32LE(acts.length, 16);
  lead.writeUInt32LE(2, 20);
  lead.writeBigUInt64LE(BigInt(texts.length), 24);
  lead.writeBigUInt64LE(BigInt(8 * numbers.length), 40);
  const padding = Buffer.alloc((8 - (texts.length % 8)) % 8);
  return Buffer.concat([lead, texts, padding, Buffer.from(Float64Array.from(numbers).buffer)]);
}

/** A host over pipes; `next()` is its next frame. */
function started(model, variables = {}) {
  const stdio = ["ignore", "pipe", "pipe", "pipe", "pipe"];
  const child = spawn(process.execPath, [HOST, model], { stdio, env: { ...process.env, ...variables } });
  const frames = (async function* () {
    let got = Buffer.alloc(0);
    for await (const chunk of child.stdio[4]) {
      got = Buffer.concat([got, chunk]);
      while (got.length >= 16 && got.length >= 16 + got.readUInt32LE(0)) {
        const end = 16 + got.readUInt32LE(0);
        yield { kind: got[4], sequence: Number(got.readBigUInt64LE(8)), payload: got.subarray(16, end) };
        got = got.subarray(end);
      }
    }
  })();
  child.stdout.resume();
  child.stderr.resume();
  return {
    child,
    say: (kind, sequence, payload) => child.stdio[3].write(frame(kind, sequence, payload)),
    next: async () => (await frames.next()).value,
  };
}

async function loaded(model = ECHO, load = LOAD) {
  const host = started(model);
  host.say(KIND_LOAD, 0, Buffer.from(JSON.stringify(load)));
  const said = await host.next();
  assert.equal(said.kind, KIND_LOADED, said.payload.toString());
  assert.deepEqual(JSON.parse(said.payload), { language: "javascript", helper: "1" });
  return host;
}

async function status(child) {
  return child.exitCode ?? (await once(child, "exit"))[0];
}

test("a batch comes back under the sequence of its question, laid out as the protocol says", async () => {
  const host = await loaded();
  host.say(KIND_PREDICT, 7, question(["", "print"], [1.5, -0]));
  const { kind, sequence, payload } = await host.next();
  assert.deepEqual([kind, sequence], [KIND_ANSWER, 7]);
  const lead = "0100000000000000" + "0000000000000000" + "0000000000000000" + "020000007b7d0000";
  assert.equal(payload.subarray(0, 32).toString("hex"), lead);
  assert.equal(payload.readUInt32LE(32), 2);
  assert.deepEqual(payload.subarray(-16), Buffer.from(Float64Array.of(1.5, -0).buffer));
  host.say(KIND_STOP, 0, Buffer.from("{}"));
  assert.equal(await status(host.child), 0);
});

test("no rows are answered with no rows", async () => {
  const host = await loaded();
  host.say(KIND_PREDICT, 1, question([], []));
  assert.equal((await host.next()).payload.readUInt32LE(32), 0);
  host.child.stdio[3].end();
  assert.equal(await status(host.child), 0);
});

test("a model that raises costs its batch only", async () => {
  const host = await loaded();
  host.say(KIND_PREDICT, 1, question(["raise"], [1]));
  const { kind, payload } = await host.next();
  assert.equal(kind, KIND_ERROR);
  assert.deepEqual(JSON.parse(payload), { code: "model-raised", message: "Error: asked to" });
  host.say(KIND_PREDICT, 2, question([""], [1]));
  assert.equal((await host.next()).kind, KIND_ANSWER);
  host.child.stdio[3].end();
});

for (const [thrown, message] of [
  ['Symbol("odd")', "thrown: Symbol(odd)"],
  ["Object.create(null)", "thrown: something that is no text, of type object"],
  ['new Error("half \\ud83d")', "Error: half \ud83d"],
]) {
  test(`a model that throws ${thrown} costs its batch only`, async () => {
    const host = await loaded(written(`export const predict = ({ act }) => { if (act[0]) throw ${thrown}; return { y_act: act, y_x: [1] }; };`)); // prettier-ignore
    host.say(KIND_PREDICT, 1, question(["raise"], [1]));
    assert.deepEqual(JSON.parse((await host.next()).payload), { code: "model-raised", message });
    host.say(KIND_PREDICT, 2, question([""], [1]));
    assert.equal((await host.next()).kind, KIND_ANSWER);
    host.child.stdio[3].end();
  });
}

test("a batch larger than a pipe comes through whole", async () => {
  const host = await loaded();
  const numbers = Array.from({ length: 300_000 }, (_, index) => index / 3);
  host.say(KIND_PREDICT, 3, question(numbers.map(() => ""), numbers)); // prettier-ignore
  const { payload } = await host.next();
  assert.deepEqual(payload.subarray(-8 * numbers.length), Buffer.from(Float64Array.from(numbers).buffer));
  host.child.stdio[3].end();
});

test("a model that exits ends the host with its status", async () => {
  const host = await loaded();
  host.say(KIND_PREDICT, 1, question(["exit"], [1]));
  assert.equal(await status(host.child), 3);
});

function written(text) {
  const file = path.join(mkdtempSync(path.join(os.tmpdir(), "muster-host-")), "model.mjs");
  writeFileSync(file, text);
  return file;
}

test("predict may be asynchronous and, with one output, give its column alone", async () => {
  const model = written("export async function predict({ x }) { return x.map((value) => 2 * value); }");
  const host = await loaded(model, { ...LOAD, outputs: [{ ...NUMBER, name: "y" }] });
  host.say(KIND_PREDICT, 1, question(["", ""], [1, 2]));
  assert.deepEqual((await host.next()).payload.subarray(-16), Buffer.from(Float64Array.of(2, 4).buffer));
  host.child.stdio[3].end();
});

test("outputs of wrong names are told", async () => {
  const host = await loaded(written("export const predict = () => ({ y_x: [1], z: [1] });"));
  host.say(KIND_PREDICT, 1, question([""], [1]));
  const said = JSON.parse((await host.next()).payload);
  assert.equal(said.code, "output-broken");
  assert.match(said.message, /"y_act" is missing, "z" is not in the contract/);
  host.child.stdio[3].end();
});

for (const [what, text, pattern] of [
  ["exports no predict", "export const score = 1;", /exports no function "predict"/],
  ["fails while it is loaded", 'throw new Error("no such file");', /Error: no such file/],
]) {
  test(`a module that ${what} is told before the host ends`, async () => {
    const host = started(written(text));
    host.say(KIND_LOAD, 0, Buffer.from(JSON.stringify(LOAD)));
    const { kind, payload } = await host.next();
    const said = JSON.parse(payload);
    assert.deepEqual([kind, said.code], [KIND_ERROR, "load-failed"]);
    assert.match(said.message, pattern);
    assert.equal(await status(host.child), 1);
  });
}

test("the wire of lines carries the same values as text, and what the model prints goes to the log", async () => {
  const fields = ["FP64", "FP16", "INT64", "BOOL", "BYTES"].map((datatype) => ({
    name: datatype.toLowerCase(),
    datatype,
    shape: [],
    nullable: true,
  }));
  const load = { ...LOAD, inputs: [ACT, ...fields], outputs: [ACT, ...fields].map((field) => ({ ...field, name: `y_${field.name}` })) }; // prettier-ignore
  const child = spawn(process.execPath, [HOST, ECHO], { env: { ...process.env, MUSTER_WIRE: "lines" } });
  const values = {
    act: ["print", "", ""],
    fp64: [-0, 0.1, null],
    fp16: [0.5, 65504, null],
    int64: ["9223372036854775807", 3, null],
    bool: [true, false, null],
    bytes: ["日本語", "", null],
  };
  const inputs = load.inputs.map(({ name, datatype }) => ({ name, datatype, shape: [3], data: values[name] }));
  const text = JSON.stringify({ id: "17", inputs }).replace('"data":[0,0.1', '"data":[-0.0,0.1');
  child.stdin.end(
    `${JSON.stringify({ muster: 1, load })}\n${text}\n{"id":"18","inputs":[{"shape":[1],"data":["raise"]}]}\n`,
  );
  child.stderr.resume();
  const said = (await child.stdout.setEncoding("utf8").toArray()).join("").trimEnd().split("\n");
  assert.deepEqual(JSON.parse(said[0]), { loaded: { language: "javascript", helper: "1" } });
  assert.match(said[1], /"data":\[-0\.0,0\.1,null\]/);
  assert.match(said[1], /"data":\["9223372036854775807",3,null\]/);
  const answer = JSON.parse(said[1]);
  assert.equal(answer.id, "17");
  assert.deepEqual(answer.outputs.at(-1), { name: "y_bytes", datatype: "BYTES", shape: [3], data: values.bytes });
  assert.deepEqual(answer.outputs[2].data, values.fp16);
  assert.ok(JSON.parse(said[2]).error);
  assert.equal(said.length, 3);
});
