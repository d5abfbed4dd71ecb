/**
 * The sizes for benches that the case table has for each primitive. Views compute nothing and are left out.
 * @module
 */
import { allPrimitives, bindRecord, type Node } from "../../core/graph.ts";
import type { Primitive } from "../../core/primitive.ts";
import { eval as evaluate, float32, float64 } from "../../mod.ts";
import type { Case, Perf } from "../../tests/cases/case.ts";
import { Random } from "../../tests/cases/generate.ts";
import { allCases } from "../../tests/cases/mod.ts";
import { count, type Tensor, tensor, toArray } from "../../tests/cases/tensor.ts";
import type { Cost, Task, Work } from "../work.ts";

type Call = Pick<Perf, "dtype" | "params" | "inputs" | "flops">;

function inputsOf({ dtype, inputs }: Call): Tensor[] {
  const random = new Random(1);
  return inputs.map(({ shape, domain, dtype: own = dtype }) => {
    const draw = () => Float64Array.from(domain(random, count(shape), own));
    return tensor(shape, own, own.kind === "complex" ? { re: draw(), im: draw() } : draw());
  });
}
/** Kernels that take single rows out of an input do not read all of it, so their bytes are not known here. */
function costOf(prim: Primitive, inputs: readonly Node[], out: Node, flops: number): Cost | undefined {
  const bytes = (x: Node) => count(x.shape) * x.dtype.size, read = inputs.reduce((sum, x) => sum + bytes(x), 0);
  if (prim.family === "index") return undefined;
  // Elementwise cases count the operations of an element; such work is bound by memory.
  return { flops: flops > count(out.shape) ? flops : 0, read, written: bytes(out) };
}
function taskOf(prim: Primitive, call: Call): Task {
  const arrays = inputsOf(call).map(toArray);
  evaluate(arrays);
  const cost = costOf(prim, arrays, bindRecord(prim, arrays, call.params), call.flops);
  return { run: () => evaluate(bindRecord(prim, arrays, call.params)), ...cost && { cost } };
}
/** A variant of the tests in place of a large call, in the first dtype that every device has. */
function tinyCall(perf: Perf, { variants, dtypes }: Case): Call {
  const [variant] = variants;
  if (!variant) return perf;
  const dtype = (variant.dtypes ?? dtypes).find((d) => d !== float64) ?? float32;
  return { dtype, params: variant.params, inputs: variant.inputs, flops: 0 };
}

const records = new Map(allPrimitives().map((prim) => [prim.name, prim]));
/** One work for each size of each primitive. */
export const primitiveWorks: readonly Work[] = allCases.flatMap(([name, c]) => {
  const prim = records.get(name);
  if (!prim || prim.kind === "view" || prim.kind === "constant") return [];
  return c.perf.map((large): Work => ({
    name: `${name}:${large.label.replaceAll(" ", "_")}`,
    group: "primitives",
    prepare: (tiny) => taskOf(prim, tiny ? tinyCall(large, c) : large),
  }));
});
