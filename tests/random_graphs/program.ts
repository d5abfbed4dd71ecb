/**
 * Random programs as data: a list of steps, each one primitive of the case table on results of earlier steps. Here is
 * what a program is, how it runs, and how it prints as TypeScript that can be pasted.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import { complex64, type DType, float32, float64 } from "../../core/dtype.ts";
import { type AnyParams, bindRecord, primitive } from "../../core/graph.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import { add, complex, floor, multiply, reshape, sigmoid } from "../../mod.ts";
import { count, type Tensor, toArray } from "../cases/tensor.ts";

/**
 * What an input has to be: its shape and dtype, the interval of its numbers (null: any), and numbers that they are added
 * to.
 */
export interface Fit {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly range: readonly [number, number] | null;
  readonly around?: Tensor;
}
/** Where an input comes from: an earlier value made to fit, or numbers. */
export type Source = { readonly value: number; readonly fit: Fit } | { readonly numbers: Tensor };
/** One primitive. */
export interface Step {
  readonly name: PrimitiveName;
  readonly params: AnyParams;
  readonly inputs: readonly Source[];
  /** Its input may be overwritten, if this is the last step that uses it. */
  readonly donate: boolean;
}
/** What is done with the program's function, the innermost first. */
export type Transform = "grad" | "vjp" | "jvp" | "vmap" | "compile" | "checkpoint";
/** Values 0 to `inputs.length - 1` are the arguments; step k makes value `inputs.length + k`. */
export interface Program {
  readonly inputs: readonly Tensor[];
  readonly steps: readonly Step[];
  readonly outputs: readonly number[];
  readonly transforms: readonly Transform[];
}

/**
 * Makes any array fit: its elements again and again until there are enough, and `low + (high - low) sigmoid(x)` where
 * there is an interval, rounded down for integers.
 */
export function fitted(x: NDArray, { shape, dtype, range, around }: Fit): NDArray {
  const n = count(shape), size = count(x.shape);
  let y = x;
  if (x.shape.join() !== shape.join()) {
    const flat = reshape(x, [size]), repeats = Math.ceil(n / size);
    const enough = repeats === 1 ? flat : reshape(flat.broadcastTo([repeats, size]), [repeats * size]);
    y = reshape(enough.size === n ? enough : enough.index(`:${n}`), shape);
  }
  if (range) {
    const [low, high] = range, whole = dtype.kind === "int" || dtype.kind === "uint" || dtype.kind === "bool";
    const wide = y.dtype === float64 ? y : y.astype(float32), spread = high - low + (whole ? 0.999 : 0);
    y = add(multiply(sigmoid(wide), spread), low);
    if (whole) y = floor(y);
    if (dtype === complex64) y = multiply(y, complex(0.6, 0.8));
  }
  if (y.dtype !== dtype) y = y.astype(dtype);
  return around ? add(y, toArray(around)) : y;
}
/** The step that uses each value last; outputs are used at the end. */
function lastUses({ inputs, steps, outputs }: Program): number[] {
  const last = new Array<number>(inputs.length + steps.length).fill(-1);
  steps.forEach((s, k) => s.inputs.forEach((i) => "value" in i && (last[i.value] = k)));
  for (const o of outputs) last[o] = steps.length;
  return last;
}
/** Whether the step may give its first input away: no one else uses it, and it is no argument. */
function donates(p: Program, k: number, last: readonly number[]): boolean {
  const step = p.steps[k]!, at = primitive(step.name).inPlace, given = at === undefined ? undefined : step.inputs[at];
  if (!step.donate || !given || !("value" in given) || given.fit.range || given.value < p.inputs.length) return false;
  const uses = step.inputs.filter((i) => "value" in i && i.value === given.value).length;
  return uses === 1 && last[given.value] === k;
}
/** The program as a function of its inputs, without its transforms; `after` may change what each step made. */
export function run(p: Program, xs: readonly NDArray[], after: (x: NDArray) => NDArray = (x) => x): NDArray[] {
  const values = xs.map(after), last = lastUses(p);
  p.steps.forEach((step, k) => {
    const inputs = step.inputs.map((i) => "value" in i ? fitted(values[i.value]!, i.fit) : toArray(i.numbers));
    values.push(after(bindRecord(primitive(step.name), inputs, step.params, donates(p, k, last))));
  });
  return p.outputs.map((o) => values[o]!);
}
/** Shapes and dtypes of all values. */
export function avals(p: Program): Aval[] {
  const all: Aval[] = p.inputs.map(({ shape, dtype }) => ({ shape, dtype }));
  for (const step of p.steps) {
    all.push(primitive(step.name).infer(step.inputs.map((i) => "value" in i ? i.fit : i.numbers), step.params));
  }
  return all;
}

// ---- as text ----

function typeName(d: DType): string {
  return d.name === "bool" ? "mx.bool_" : `mx.${d.name}`;
}
function literal(x: Tensor): string {
  const number = (v: number) => Object.is(v, -0) ? "-0" : Number.isNaN(v) ? "NaN" : String(v);
  const values = [...x.re].map((v, i) => x.im ? `mx.complex(${number(v)}, ${number(x.im[i]!)})` : number(v));
  return `mx.array([${values.join(", ")}], ${typeName(x.dtype)}).reshape([${x.shape}])`;
}
function paramText(v: unknown): string {
  if (Array.isArray(v)) return `[${v.join(", ")}]`;
  if (v instanceof Object && "code" in v && "name" in v) return `mx.${v.name === "bool" ? "bool_" : v.name}`;
  if (ArrayBuffer.isView(v)) {
    return `new ${v.constructor.name}([${v}])`.replace(
      /(\d+)(?=[,\]])/g,
      v.constructor.name.startsWith("Big") ? "$1n" : "$1",
    );
  }
  return String(v);
}
function sourceText(s: Source, aval: Aval | undefined): string {
  if ("numbers" in s) return literal(s.numbers);
  const { shape, dtype, range, around } = s.fit;
  if (!range && aval && aval.dtype === dtype && aval.shape.join() === shape.join()) return `v${s.value}`;
  return `fitted(v${s.value}, { shape: [${shape}], dtype: ${typeName(dtype)}, range: ${
    range ? `[${range}]` : "null"
  } })${around ? `.add(${literal(around)})` : ""}`;
}
/** A TypeScript module that runs the program both ways and prints what comes out. */
export function source(p: Program): string {
  const all = avals(p), last = lastUses(p), n = p.inputs.length;
  const lines = p.steps.map((step, k) => {
    const inputs = step.inputs.map((i) => sourceText(i, "value" in i ? all[i.value] : undefined)).join(", ");
    const params = Object.entries(step.params).map(([key, v]) => `${key}: ${paramText(v)}`).join(", ");
    return `  const v${n + k} = bind("${step.name}", [${inputs}], { ${params} }${
      donates(p, k, last) ? ", { donate: true }" : ""
    });`;
  });
  return `import * as mx from "./mod.ts";
import { bind } from "./core/graph.ts";
import { fitted } from "./tests/random_graphs/program.ts";
import { computedApart, transformed } from "./tests/random_graphs/check.ts";
const f = (${p.inputs.map((_, i) => `v${i}: mx.NDArray`).join(", ")}) => {
${lines.join("\n")}
  return [${p.outputs.map((o) => `v${o}`).join(", ")}];
};
const g = transformed(f, ${JSON.stringify(p.transforms)});
const xs = [
${p.inputs.map((x) => `  ${literal(x)},`).join("\n")}
];
console.log("together", g(...xs).map(String));
console.log("apart", computedApart(g, xs).map(String));
console.log("compiled", mx.compile(g)(...xs).map(String));
`;
}
