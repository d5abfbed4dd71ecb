/**
 * Does memory stay flat without `dispose`? Loops with random batch sizes, and a verdict for each:
 *
 *     deno run -A bench/memory.ts [--turns 10000] [--only TEXT] [--lm] [--examples]
 *
 * `forward` is an MLP's forward pass, in one synchronous job; `awaited` the same with an await in each turn; `train`
 * gradient and SGD step by step, `compiled` the same as one program; `--lm` adds 20 prompts with 500 tokens each of a
 * small model with random weights; `--examples` adds the loop of each example at small size. A loop passes if the
 * maxima of resident and of active bytes over its last tenth are at most 5 % and 2 MB above those over its second
 * tenth, and the peak of both above the start is at most three times the live arrays and 200 MB.
 * @module
 */
import { parseArgs } from "node:util";
import { collectGarbage } from "../core/memory.ts";
import type { NDArray } from "../core/array.ts";
import type { Settings } from "../examples/shared/loop.ts";
import { Config } from "../lm/config.ts";
import { generateStep, makeModel } from "../lm/mod.ts";
import * as mx from "../mod.ts";

const MB = 1e6, SLACK = 200 * MB;
const grows = (before: number, after: number) => after > 1.05 * before + 2 * MB;
/** Sizes of the MLP's layers. */
const LAYERS = [256, 1024, 1024, 10];

/** One loop: `run` takes all turns, and calls `seen` after each. */
interface Loop {
  readonly name: string;
  readonly turns: number;
  readonly run: (seen: (turn: number) => void) => Promise<void>;
}
/** A loop of turns; what a turn returns is awaited. */
function turning(name: string, turns: number, turn: (i: number) => void | PromiseLike<void>): Loop {
  const run = async (seen: (turn: number) => void) => {
    for (let i = 0; i < turns; i++) {
      const waiting = turn(i);
      if (waiting) await waiting;
      seen(i);
    }
  };
  return { name, turns, run };
}
/** The loop of an example. */
function example(name: string, turns: number): Loop {
  const file = new URL(`../examples/${name}.ts`, import.meta.url).href;
  const run = async (seen: (turn: number) => void) => {
    const { train }: { train: (run: Settings) => unknown } = await import(file);
    await train({ steps: turns, small: true, onStep: seen });
  };
  return { name, turns, run };
}
/** Maxima over a part of a loop. */
interface Maxima {
  rss: number;
  active: number;
}

let seed = 1;
/** An integer below `n`. */
const random = (n: number): number => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8) % n;
const batch = (): NDArray => mx.random.normal([1 + random(256), LAYERS[0]!]);
/** Weights of the MLP. */
function weights(): NDArray[] {
  return LAYERS.slice(1).map((n, i) => mx.random.normal([LAYERS[i]!, n], { scale: 0.03 }));
}
const forward = (ws: readonly NDArray[], x: NDArray): NDArray =>
  ws.reduce((h, w, i) => i + 1 < ws.length ? h.matmul(w).tanh() : h.matmul(w), x);
const loss = (ws: readonly NDArray[], x: NDArray): NDArray => forward(ws, x).square().mean();

/** The forward pass, one job or awaited. */
function inference(name: string, turns: number, awaited: boolean): Loop {
  const ws = weights();
  mx.eval(ws);
  return turning(name, turns, () => {
    const y = forward(ws, batch());
    if (awaited) return mx.asyncEval(y);
    mx.eval(y);
  });
}
/** Gradient and SGD. */
function training(name: string, turns: number, compiled: boolean): Loop {
  const state = { ws: weights() }, gradient = mx.valueAndGrad(loss);
  const step = (x: NDArray): NDArray => {
    const [value, grads] = gradient(state.ws, x);
    state.ws = state.ws.map((w, i) => w.sub(grads[i]!.mul(0.01)));
    return value;
  };
  mx.eval(state);
  const run = compiled ? mx.compile(step, { inputs: state, outputs: state }) : step;
  return turning(name, turns, () => mx.eval(run(batch()), state));
}
/** One token per turn: 20 prompts, 500 tokens each. */
function generation(name: string): Loop {
  const model = makeModel(
    new Config({
      model_type: "llama",
      hidden_size: 256,
      num_hidden_layers: 4,
      intermediate_size: 688,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      rms_norm_eps: 1e-5,
      vocab_size: 4096,
      max_position_embeddings: 2048,
    }),
  );
  mx.eval(model.parameters());
  const tokensPerPrompt = 500,
    start = () =>
      generateStep(Array.from({ length: 20 + random(40) }, () => random(4096)), model, { maxTokens: tokensPerPrompt });
  let tokens = start();
  return turning(name, 20 * tokensPerPrompt, (i) => {
    if (i % tokensPerPrompt === 0) tokens = start();
    tokens.next();
  });
}

/** Runs a loop and judges it; prints a line of figures and one per failed bound. */
async function judge({ name, turns, run }: Loop): Promise<boolean> {
  collectGarbage();
  const live = mx.getActiveMemory(), tenths: Maxima[] = [], before = Deno.memoryUsage().rss, begin = performance.now();
  await run((i) => {
    const now = tenths[Math.min(9, Math.floor(10 * i / turns))] ??= { rss: 0, active: 0 };
    if (i % 10 === 0) now.rss = Math.max(now.rss, Deno.memoryUsage().rss);
    now.active = Math.max(now.active, mx.getActiveMemory());
  });
  const seconds = (performance.now() - begin) / 1000, second = tenths[1]!, last = tenths[tenths.length - 1]!;
  const peak = {
    rss: Math.max(...tenths.map((t) => t.rss)) - before,
    active: Math.max(...tenths.map((t) => t.active)),
  };
  const figures = [live, second.active, last.active, peak.active, second.rss, last.rss, peak.rss].map((n) =>
    (n / MB).toFixed(1).padStart(9)
  );
  console.log(`${name.padEnd(22)}${String(turns).padStart(7)}${seconds.toFixed(1).padStart(8)}${figures.join("")}`);
  const checks: readonly [string, boolean][] = [
    ["active bytes grow", grows(second.active, last.active)],
    ["resident bytes grow", grows(second.rss, last.rss)],
    ["the active peak is too high", peak.active > 3 * live + SLACK],
    ["the resident peak is too high", peak.rss > 3 * live + SLACK],
  ];
  const broken = checks.filter(([, bad]) => bad);
  console.log(broken.length ? `FAIL ${name}: ${broken.map(([what]) => what).join(", ")}` : `PASS ${name}`);
  return broken.length === 0;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      turns: { type: "string", default: "10000" },
      only: { type: "string", default: "" },
      lm: { type: "boolean", default: false },
      examples: { type: "boolean", default: false },
    },
  });
  const turns = Number(values.turns),
    loops: [string, () => Loop][] = [
      ["forward", () => inference("forward", turns, false)],
      ["awaited", () => inference("awaited", turns, true)],
      ["train", () => training("train", turns / 5, false)],
      ["compiled", () => training("compiled", turns / 5, true)],
    ];
  if (values.lm) loops.push(["lm", () => generation("lm")]);
  if (values.examples) {
    for (const { name } of Deno.readDirSync(new URL("../examples/", import.meta.url))) {
      const [, own] = /^(\w+)\.ts$/.exec(name) ?? [];
      if (own !== undefined) loops.push([own, () => example(own, turns)]);
    }
  }
  console.log("MB                                      live   active   active   active      RSS      RSS      RSS");
  console.log("loop                    turns seconds            2nd     last     peak      2nd     last   growth");
  let passed = true;
  for (const [name, make] of loops) if (name.includes(values.only)) passed = await judge(make()) && passed;
  if (!passed) Deno.exit(1);
}
