/**
 * Draws random programs from the case table: every primitive, with its variants, on what earlier steps made.
 * Elementwise primitives take the shape of what they find, so that they fuse; the rest is made to fit by views and
 * casts.
 * @module
 */
import { bfloat16, type DType, float16, float32, float64 } from "../../core/dtype.ts";
import { primitive } from "../../core/graph.ts";
import "../../mod.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import type { Case, Input, Variant } from "../cases/case.ts";
import { Random } from "../cases/generate.ts";
import { allCases } from "../cases/mod.ts";
import { count, type Tensor, tensor } from "../cases/tensor.ts";
import { ON_GPU, withoutFloat64 } from "../ops/harness.ts";
import type { Program, Source, Step, Transform } from "./program.ts";

/** Larger inputs take time and find nothing more. */
const MOST = 200;
const SHAPES: readonly Shape[] = [[2, 3], [4], [3, 2, 2], [], [6, 5], [1, 4]];
const TYPES: readonly DType[] = [float32, float32, ON_GPU ? float32 : float64, float16, bfloat16];
const TRANSFORMS: readonly Transform[] = ["grad", "vjp", "jvp", "vmap", "compile", "checkpoint"];

/**
 * Variants of a primitive whose inputs are neither empty nor large; the labelled ones only where there are no others.
 */
function usable(c: Case): Variant[] {
  const fitting = c.variants.filter((v) => v.inputs.every(({ shape }) => count(shape) > 0 && count(shape) <= MOST));
  return fitting.some((v) => !v.label) ? fitting.filter((v) => !v.label) : fitting;
}
const CHOICES: readonly (readonly [PrimitiveName, Case, readonly Variant[]])[] = allCases
  .map(([name, c]) => [name, ON_GPU ? withoutFloat64(c) : c] as const)
  .map(([name, c]) => [name, c, usable(c)] as const)
  .filter(([, , variants]) => variants.length > 0);

/** Numbers of an input's domain. */
function drawn(input: Input, shape: Shape, dtype: DType, r: Random): Tensor {
  const draw = () => Float64Array.from(input.domain(r, count(shape), dtype));
  return tensor(shape, dtype, dtype.kind === "complex" ? { re: draw(), im: draw() } : draw());
}
/** The interval of a domain, from samples. */
function rangeOf(input: Input, dtype: DType): [number, number] {
  const r = new Random(1), n = count(input.shape); // some domains depend on the number of elements
  const samples = Array.from({ length: Math.ceil(64 / n) }, () => input.domain(r, n, dtype)).flat();
  return [Math.min(...samples), Math.max(...samples)];
}
/** A value of that shape and dtype, if there is one. */
function matching(values: readonly Aval[], shape: Shape, dtype: DType, r: Random): number | null {
  const same = values.flatMap((v, i) => v.dtype === dtype && v.shape.join() === shape.join() ? [i] : []);
  return same.length ? r.pick(same) : null;
}
/** An input for `shape` and `dtype`: an earlier value as it is, one made to fit, or numbers. */
function sourceFor(input: Input, shape: Shape, dtype: DType, values: readonly Aval[], r: Random): Source {
  const [low, high] = rangeOf(input, dtype), bounded = high - low < 1000;
  // Words, keys and the like have no interval to fit into; indices seldom come from computed values.
  if (!bounded || r.next() < (input.dtype ? 0.6 : 0.08)) return { numbers: drawn(input, shape, dtype, r) };
  if (input.joint) {
    const around = drawn(input, shape, dtype, r), value = Math.max(r.below(values.length), r.below(values.length));
    return { value, fit: { shape, dtype, range: [-0.05, 0.05], around } };
  }
  const isFloat = dtype.kind === "float" || dtype.kind === "complex", free = isFloat && low <= -3 && high >= 3;
  const found = free && r.next() < 0.8 ? matching(values, shape, dtype, r) : null;
  if (found !== null) return { value: found, fit: { shape, dtype, range: null } };
  // Later values are likelier, so that graphs are deep.
  const value = Math.max(r.below(values.length), r.below(values.length));
  return { value, fit: { shape, dtype, range: [low, high] } };
}
function step(values: readonly Aval[], r: Random): Step {
  const [name, c, variants] = r.pick(CHOICES), variant = r.pick(variants), { kind } = primitive(name);
  const dtype = r.pick(variant.dtypes ?? c.dtypes);
  const usual = r.pick(values),
    stretch = kind === "elementwise" && count(usual.shape) > 0 && count(usual.shape) <= MOST;
  // The values' own dtype where the primitive takes it: casts in between would keep chains short.
  const own = stretch && (variant.dtypes ?? c.dtypes).includes(usual.dtype) ? usual.dtype : dtype;
  const inputs = variant.inputs.map((input) =>
    sourceFor(input, stretch && input.shape.length > 0 ? usual.shape : input.shape, input.dtype ?? own, values, r)
  );
  return { name, params: variant.params, inputs, donate: r.next() < 0.5 };
}
/** Up to three transforms; two that differentiate at most, as graphs grow by each of them. */
function stack(r: Random): Transform[] {
  const list: Transform[] = [];
  for (let n = r.below(4); n > 0; n--) {
    const next = r.pick(TRANSFORMS),
      derivatives = list.filter((t) => t === "grad" || t === "vjp" || t === "jvp").length;
    if (derivatives < 2 || next === "vmap" || next === "compile" || next === "checkpoint") list.push(next);
  }
  return list;
}
/** The program of a seed: three inputs and 20 to 28 steps; what no step uses comes out, and a few others. */
export function programOf(seed: number): Program {
  const r = new Random(seed);
  const inputs = Array.from({ length: 3 }, () => {
    const shape = r.pick(SHAPES), dtype = r.pick(TYPES);
    return tensor(shape, dtype, Float64Array.from({ length: count(shape) }, () => 4 * r.next() - 2));
  });
  const values: Aval[] = [...inputs], steps: Step[] = [];
  const n = 20 + r.below(9);
  while (steps.length < n) {
    const next = step(values, r);
    const out = primitive(next.name).infer(next.inputs.map((i) => "value" in i ? i.fit : i.numbers), next.params);
    if (count(out.shape) === 0 || count(out.shape) > 6 * MOST) continue;
    steps.push(next);
    values.push(out);
  }
  const used = new Set(steps.flatMap((s) => s.inputs.flatMap((i) => "value" in i ? [i.value] : [])));
  const outputs = values.flatMap((_, i) => i >= inputs.length && (!used.has(i) || r.next() < 0.08) ? [i] : []);
  return { inputs, steps, outputs, transforms: stack(r) };
}
