/**
 * Works on one large array: elementwise operations, reductions, scans, sorting, copies, softmax and norms.
 * @module
 */
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import type { Work } from "../work.ts";
import { count, normal, size } from "./inputs.ts";

interface Options {
  readonly group: string;
  /** Elements of the result; as many as the input has, if absent. */
  readonly out?: (shape: readonly number[]) => number;
  readonly dtype?: mx.DType;
}
function simple(name: string, full: readonly number[], f: (x: mx.NDArray) => mx.NDArray, options: Options): Work {
  const { group, out = count, dtype = mx.float32 } = options;
  return {
    name,
    group,
    prepare(tiny) {
      const shape = full.map((d) => size(d, tiny)), x = normal(shape, 0, dtype);
      const cost = { flops: 0, read: dtype.size * count(shape), written: dtype.size * out(shape) };
      return { run: () => mx.eval(f(x)), cost };
    },
  };
}
const LONG = [1 << 24], SQUARE = [4096, 4096];
const one = () => 1, row = (shape: readonly number[]) => shape.at(-1) ?? 1;

const elementwise = { group: "elementwise" }, reduction = { group: "reductions" }, rows = { group: "rows" };
/** The works of this file. */
export const arrayWorks: readonly Work[] = [
  simple("add_16M", LONG, (x) => x.add(x), elementwise),
  simple("add_bf16_16M", LONG, (x) => x.add(x), { ...elementwise, dtype: mx.bfloat16 }),
  simple("exp_16M", LONG, mx.exp, elementwise),
  simple("gelu_16M", LONG, nn.gelu, elementwise),
  simple("chain_16M", LONG, (x) => x.sin().mul(x.square().negative().exp()).add(x.tanh()), elementwise),
  simple("transpose_copy_4096", SQUARE, (x) => mx.contiguous(x.transpose()), elementwise),
  simple("sum_16M", LONG, (x) => x.sum(), { ...reduction, out: one }),
  simple("sum_of_squares_16M", LONG, (x) => x.square().sum(), { ...reduction, out: one }),
  simple("sum_axis0_4096", SQUARE, (x) => x.sum(0), { ...reduction, out: row }),
  simple("max_axis1_4096", SQUARE, (x) => x.max(1), { ...reduction, out: row }),
  simple("argmax_4096", SQUARE, (x) => mx.argmax(x, -1), { ...reduction, out: row }),
  simple("cumsum_4096", SQUARE, (x) => mx.cumsum(x, -1), rows),
  simple("softmax_4096", SQUARE, (x) => mx.softmax(x, -1), rows),
  simple("layernorm_4096", SQUARE, (x) => mx.fast.layerNorm(x, null, null, 1e-5), rows),
  simple("rmsnorm_4096", SQUARE, (x) => mx.fast.rmsNorm(x, null, 1e-5), rows),
  simple("sort_1M", [1 << 20], mx.sort, { group: "sorting" }),
  simple("argsort_1M", [1 << 20], mx.argsort, { group: "sorting" }),
];
