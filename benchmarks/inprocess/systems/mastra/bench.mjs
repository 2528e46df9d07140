// The process that measures Mastra: a row on stdin, what came of it on stdout, as in child.py.
import { readFileSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { createStep, createWorkflow } from "@mastra/core/workflows";
import { z } from "zod";

const number = z.number();

const increment = (id) =>
  createStep({ id, inputSchema: number, outputSchema: number, execute: async ({ inputData }) => inputData + 1 });

const start = (id, inputSchema = number, outputSchema = number) => createWorkflow({ id, inputSchema, outputSchema });

const range = (size) => Array.from({ length: size }, (_, index) => index);

const shapes = {
  chain({ name, size }) {
    let workflow = start(name);
    for (const place of range(size)) workflow = workflow.then(increment(`s${place}`));
    return { workflow: workflow.commit(), answer: (value) => value + size };
  },
  fan_out({ name, size }) {
    const branches = range(size).map((place) => increment(`s${place}`));
    const workflow = start(name)
      .parallel(branches)
      .map(async ({ inputData }) => Object.values(inputData).reduce((sum, value) => sum + value, 0));
    return { workflow: workflow.commit(), answer: (value) => (value + 1) * size };
  },
  foreach({ name, concurrency }) {
    const workflow = start(name, z.array(number), z.array(number)).foreach(increment("s"), { concurrency });
    return { workflow: workflow.commit(), answer: (items) => items.map((item) => item + 1) };
  },
  loop({ name, size }) {
    const workflow = start(name).dountil(increment("s"), async ({ inputData }) => inputData >= size);
    return { workflow: workflow.commit(), answer: () => size };
  },
};

async function measure({ row, times, budget }) {
  const { workflow, answer } = shapes[row.shape](row);
  const inputs = row.shape === "foreach" ? [range(row.size)] : range(row.runs);
  const expected = inputs.map(answer);
  const once = async (inputData) => {
    const run = await (workflow.createRunAsync?.() ?? workflow.createRun()); // before 1.0, and since
    const result = await run.start({ inputData });
    if (result.status !== "success") throw new Error(`${result.status}: ${result.error}`);
    return result.result;
  };
  const work = async () => {
    const answers = await Promise.all(inputs.map(once));
    if (!isDeepStrictEqual(answers, expected)) throw new Error("wrong answer");
  };
  await work();
  const seconds = [];
  let spent = 0;
  while (seconds.length < 2 || (seconds.length < times && spent < budget)) {
    global.gc();
    const begun = performance.now();
    await work();
    seconds.push((performance.now() - begun) / 1000);
    spent += seconds.at(-1);
  }
  return seconds;
}

const request = JSON.parse(readFileSync(0, "utf8"));
let reply;
if (request.row.shape in shapes) {
  try {
    reply = { seconds: await measure(request) };
  } catch (error) {
    reply = { reason: String(error).split("\n")[0] };
  }
} else {
  reply = { reason: "keeps no runs on SQLite" };
}
writeFileSync(1, JSON.stringify(reply));
process.exit();
