/**
 * What there is besides kernels: making nodes, evaluating little, calling compiled functions, reading values, starting.
 * @module
 */
import * as mx from "../../mod.ts";
import { run } from "../../ffi/zig.ts";
import type { Start } from "../start.ts";
import type { Task, Work } from "../work.ts";
import { normal, size } from "./inputs.ts";

const group = "overheads";
const small = (name: string, of: "call" | "op", n: number, make: (n: number) => () => void): Work => ({
  name,
  group,
  prepare(tiny) {
    const ops = size(n, tiny);
    return { run: make(ops), count: { n: ops, of } };
  },
});
/** x + 1 + 1 ..., n times. */
function chain(x: mx.NDArray, n: number): mx.NDArray {
  let y = x;
  for (let i = 0; i < n; i++) y = y.add(1);
  return y;
}
/** Products of small matrices, which do not fuse: one kernel for each. */
function products(x: mx.NDArray, n: number): mx.NDArray {
  let y = x;
  for (let i = 0; i < n; i++) y = mx.matmul(y, x);
  return y;
}

const STARTS = ["total", "import", "firstEval"] as const;
/**
 * A process of its own that adds two arrays: all of it, the import alone, or the first evaluation with opening the
 * library.
 */
function start(part: (typeof STARTS)[number]): Work {
  const program = new URL("../start.ts", import.meta.url).pathname;
  return {
    name: { total: "start_process_add", import: "start_import", firstEval: "start_first_eval" }[part],
    group,
    prepare(): Task {
      let seconds = 0;
      return {
        async run() {
          const began = performance.now();
          const { code, stdout, stderr } = await run({ command: Deno.execPath() }, ["run", "-A", program]);
          if (code !== 0) throw new Error(`start.ts ended with ${code}: ${stderr}`);
          const told: Start = JSON.parse(stdout);
          seconds = (part === "total" ? performance.now() - began : told[part]) / 1e3;
        },
        seconds: () => seconds,
      };
    },
  };
}

/** The works of this file. */
export const overheadWorks: readonly Work[] = [
  small("node_creation", "op", 1000, (n) => {
    const x = normal([16], 0);
    return () => void chain(x, n);
  }),
  small("scalar_chain_1000_ops", "call", 1, () => {
    const x = normal([], 0);
    return () => mx.eval(chain(x, 1000));
  }),
  small("eval_1_op", "call", 1, () => {
    const x = normal([16], 0);
    return () => mx.eval(x.add(1));
  }),
  small("eval_10_fused_ops", "call", 1, () => {
    const x = normal([16], 0);
    return () => mx.eval(chain(x, 10));
  }),
  small("eval_10_kernels", "call", 1, () => {
    const x = normal([8, 8], 0);
    return () => mx.eval(products(x, 10));
  }),
  small("compiled_1_op", "call", 1, () => {
    const x = normal([16], 0), f = mx.compile((y: mx.NDArray) => y.add(1));
    return () => mx.eval(f(x));
  }),
  small("compiled_10_kernels", "call", 1, () => {
    const x = normal([8, 8], 0), f = mx.compile((y: mx.NDArray) => products(y, 10));
    return () => mx.eval(f(x));
  }),
  small("grad_of_10_ops", "call", 1, () => {
    const x = normal([16], 0), f = mx.grad((y: mx.NDArray) => chain(y.square(), 8).sum());
    return () => mx.eval(f(x));
  }),
  small("item", "call", 1, () => {
    const x = normal([], 0);
    return () => void x.item();
  }),
  small("eval_and_item", "call", 1, () => {
    const x = normal([], 0);
    return () => void x.add(1).item();
  }),
  small("upload_1k_and_read_back", "call", 1, () => {
    const host = new Float32Array(1024);
    return () => void mx.array(host).add(1).dataSync();
  }),
  {
    name: "async_eval_1_op",
    group,
    prepare() {
      const x = normal([16], 0);
      return {
        async run() {
          await mx.asyncEval(x.add(1));
        },
      };
    },
  },
  {
    name: "start_empty_process",
    group,
    prepare: () => ({
      async run() {
        await run({ command: Deno.execPath() }, ["eval", ""]);
      },
    }),
  },
  ...STARTS.map(start),
];
