/**
 * A kernel of the user's own. What users call is in `core/ops/metal_kernel.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { uint8 } from "../dtype.ts";
import { bind } from "../graph.ts";
import { stack } from "../ops/index.ts";
import { reshape, sliceAxis } from "../ops/view.ts";
import { type Params, type ParamSchema, primitives, spec } from "../primitive.ts";

const none = "a kernel in Metal's language has no derivative; give it one with mx.customFunction(f).vjp(rule)";

interface Call extends ParamSchema {
  readonly source: "ints";
  readonly bindings: "ints";
  readonly grid: "ints";
  readonly threadgroup: "ints";
  readonly bytes: "int";
  readonly init: "bool";
}
/** A batch is a call for each entry: nobody can say what the source would do with one more axis. */
function oneByOne(
  inputs: readonly NDArray[],
  mapped: readonly boolean[],
  p: Params<Call>,
  size: number,
): NDArray {
  const entry = (x: NDArray, i: number) => reshape(sliceAxis(x, 0, i, i + 1), x.shape.slice(1));
  const call = (i: number) => bind("metalKernel", inputs.map((x, k) => mapped[k] ? entry(x, i) : x), p);
  return stack(Array.from({ length: size }, (_, i) => call(i)));
}

/** The primitives of the custom family, in the order of their codes. */
export const customPrimitives = primitives({
  // `source` is the packed text, `bindings` say what each buffer is, the result is the bytes of all outputs. With
  // `init` the last input is what they hold at first.
  metalKernel: spec({
    family: "custom",
    kind: "kernel",
    onlyGpu: true,
    params: { source: "ints", bindings: "ints", grid: "ints", threadgroup: "ints", bytes: "int", init: "bool" },
    arity: Infinity,
    needs: ["any"],
    infer: (_x, { bytes }) => ({ shape: [bytes], dtype: uint8 }),
    vjp: { none },
    jvp: { none },
    vmap: oneByOne,
  }),
});
