// The echo model of the conformance kit: gives back what it is given, and does what the texts of `act` ask for.

const held = [];
const sleeper = new Int32Array(new SharedArrayBuffer(4));

function act(text) {
  const [deed, amount] = text.split(":");
  if (deed === "raise") throw new Error("asked to");
  if (deed === "print") console.log("asked to print");
  if (deed === "sleep") Atomics.wait(sleeper, 0, 0, Number(amount));
  if (deed === "exit") process.exit(3);
  if (deed === "allocate") held.push(Buffer.alloc(Number(amount) * 2 ** 20, 1));
}

export function predict(columns) {
  columns.act?.forEach(act);
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [`y_${name}`, column]));
}
