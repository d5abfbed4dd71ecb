/**
 * Layouts that meet: each input of a primitive in a layout of its own, views of views, and the result read through a
 * view.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import { primitive } from "../../core/graph.ts";
import { slice } from "../../mod.ts";
import { count, fromArray, type Tensor } from "../cases/tensor.ts";
import {
  call,
  difference,
  expected,
  FULL,
  inputsOf,
  type Layout,
  LAYOUTS,
  nameOf,
  type Placed,
  suite,
} from "./harness.ts";

/** The elements of the first axis in reverse order. */
function reversed(x: Tensor): Tensor {
  const row = x.shape.length ? count(x.shape.slice(1)) : 1, n = x.shape[0] ?? 1;
  const turn = (v: Float64Array) => v.map((_, i) => v[(n - 1 - Math.floor(i / row)) * row + i % row]!);
  return { ...x, re: turn(x.re), im: x.im && turn(x.im) };
}
const backwards = (x: NDArray): NDArray => x.shape.length ? x.index(slice(null, null, -1)) : x;
/** The reverse of an array that was laid out otherwise: a view of a view. */
function nested(name: string): Layout {
  return (x) => {
    const inner = LAYOUTS[name]!(reversed(x));
    return inner && { tensor: reversed(inner.tensor), array: backwards(inner.array) };
  };
}
const NESTED: readonly Layout[] = ["transposed", "sliced", "offset", "broadcast", "constant"].map(nested);
const ALL: readonly Layout[] = [...Object.values(LAYOUTS), ...NESTED];
function placed(x: Tensor, which: number): Placed {
  return ALL[which % ALL.length]!(x) ?? LAYOUTS.contiguous!(x)!;
}

suite("layout", (name, c, t) => {
  const elementwise = primitive(name).kind === "elementwise";
  c.variants.forEach((variant, v) => {
    if (!FULL && variant.inputs.some(({ shape }) => count(shape) > 500)) {
      return t.skip("large inputs are left to the full run");
    }
    const dtypes = variant.dtypes ?? c.dtypes, dtype = dtypes[v % dtypes.length]!;
    ALL.forEach((_, k) => {
      const inputs = inputsOf(variant, dtype, 17 * v + k).map((x, i) => placed(x, k + 5 * i));
      t.check(nameOf(name, variant, dtype, `layouts ${inputs.map((_, i) => (k + 5 * i) % ALL.length)}`), () => {
        const { stored } = expected(name, c, inputs.map((p) => p.tensor), variant);
        const y = call(name, inputs.map((p) => p.array), variant);
        return difference(fromArray(y), stored, c.tolerance ?? {}, elementwise) ??
          difference(fromArray(backwards(y)), reversed(stored), c.tolerance ?? {}, elementwise);
      });
    });
  });
});
