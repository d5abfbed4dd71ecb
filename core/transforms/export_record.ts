/**
 * Exported functions for any shape: what a record (`core/record.ts`) of one run holds, as steps of a file, and back.
 *
 * A step is a primitive with fixed parameters, or a call of an operation by its name. Arguments of a call are JSON: text,
 * numbers and lists as they are, and else an object with one key that says what it is: `{"value": 3}` the numbered
 * array, `{"shapeOf": 3}` its shape, `{"options": {...}}`, `{"slice": [0, 5, null]}`, `{"dtype": "int32"}`, ... Guards are
 * lengths that the function itself read.
 * @module
 */
import type { NDArray } from "../array.ts";
import { Complex, DType, dtypeOf, WeakFloat } from "../dtype.ts";
import { DenimError, fail, TransformError } from "../errors.ts";
import { isArray, recorder, setRecorder, type ShapeRecorder, tracer } from "../graph.ts";
import { failFile, type FileCall, type FileRank, type FileRecord, type FileStep } from "../io/function_file.ts";
import { isRecord, type Json, shown } from "../io/json.ts";
import { callNamed, nameOfCall } from "../ops/calls.ts";
import { Slice } from "../ops/indexing.ts";
import { collect } from "../plan.ts";
import type { Aval } from "../primitive.ts";
import { arraysIn, type Callable, Recorder, type Step } from "../record.ts";
import { describe } from "../shape.ts";
import {
  callArgs,
  type Constants,
  guarded,
  isPossible,
  numberOut,
  operationIn,
  paramsOut,
  treeOut,
} from "./export_parts.ts";
import { flatten, isBranch, outputArrays, tracing } from "./trace.ts";

// ---- to a file ------------------------------------------------------------------------------------------------------

/** The record of a run of `f`, for any shapes of its arguments. */
export function recordOut<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  args: readonly [...A],
  constants: Constants,
): FileRecord {
  const flat = flatten(args), run = new Recorder();
  let result: unknown;
  const outputs = run.run(
    flat.arrays,
    (xs) => tracing(() => outputArrays("exportFunction", result = f(...callArgs<A>(flat.fill(xs)))).arrays),
  );
  if (!run.isValid) {
    fail(TransformError, "exportFunction", {
      cannot: "write a function for any shape",
      expected: "operations alone",
      got: "a function that takes gradients, batches or compiles inside",
      fix: "export it without shapeless, for the shapes that it is to be called with",
    });
  }
  const steps = run.steps(outputs), numbers = new Numbers(run, steps);
  return {
    inputs: run.inputs.map((x, i) => ({ dtype: x.dtype, shape: flat.arrays[i]!.shape })),
    constants: numbers.constants.map((x) => constants.indexOf(x)),
    steps: steps.flatMap((s) => numbers.step(s)),
    guards: run.guards.map(({ node, axis, length }) => ({ value: numbers.of(node), axis, length })),
    outputs: outputs.map((x) => numbers.of(x)),
    args: treeOut(args),
    result: treeOut(result),
  };
}
/** The numbers of values: inputs, constants, then the results of each step. */
class Numbers {
  readonly constants: readonly NDArray[];
  readonly #numbers = new Map<NDArray, number>();
  #next = 0;
  constructor(readonly run: Recorder, steps: readonly Step[]) {
    const read = new Set<NDArray>();
    const arrays = (x: unknown): unknown =>
      isArray(x) ? read.add(x) : isBranch(x) && !run.ownerOf(x) ? Object.values(x).forEach(arrays) : null;
    for (const s of steps) arrays("node" in s ? s.node.inputs : s.args);
    this.constants = [...read].filter((x) => !x.traced);
    this.#add(run.inputs);
    this.#add(this.constants);
  }
  #add(xs: readonly NDArray[]): void {
    for (const x of xs) this.#numbers.set(x, this.#next++);
  }
  of(x: NDArray): number {
    return this.#numbers.get(x)!;
  }
  /** The step as it is written; a view that only keeps an order is none. */
  step(s: Step): FileStep[] {
    if (!("node" in s)) {
      const call = nameOfCall(s.f);
      if (call === undefined) return failArgument(s.f);
      const args = s.args.map((x) => this.#argument(x));
      this.#add(s.results);
      return [{ call, args, results: s.results.map(rankOf) }];
    }
    const { prim, inputs } = s.node, read = inputs.map((x) => this.of(x));
    if (prim.code < 0) {
      this.#numbers.set(s.node, read[0]!);
      return [];
    }
    this.#add([s.node]);
    return [{ op: prim.name, inputs: read, params: paramsOut(s.node), results: [rankOf(s.node)] }];
  }
  #argument(x: unknown): Json {
    if (isArray(x)) return { value: this.of(x) };
    const owner = this.run.ownerOf(x);
    if (owner) return { shapeOf: this.of(owner) };
    if (x === null || typeof x === "string" || typeof x === "boolean") return x;
    if (typeof x === "number") return typeof numberOut(x) === "number" ? x : { number: String(numberOut(x)) };
    if (x === undefined) return { undefined: true };
    if (typeof x === "bigint") return { bigint: String(x) };
    if (x instanceof DType) return { dtype: x.name };
    if (x instanceof Slice) return { slice: [x.start, x.stop, x.step] };
    if (x instanceof WeakFloat) return { float: this.#argument(x.value) };
    if (x instanceof Complex) return { complex: [this.#argument(x.re), this.#argument(x.im)] };
    if (Array.isArray(x)) return x.map((v) => this.#argument(v));
    if (!isBranch(x)) return failArgument(x);
    return { options: Object.fromEntries(Object.entries(x).map(([k, v]) => [k, this.#argument(v)])) };
  }
}
const rankOf = (x: NDArray): FileRank => ({ dtype: x.dtype, axes: x.ndim });
function failArgument(x: unknown): never {
  return fail(TransformError, "exportFunction", {
    cannot: "write an operation of a function for any shape",
    expected: "arrays, numbers, text, lists and options as its arguments",
    got: typeof x === "function" ? `the function ${x.name}` : String(x),
    fix: "export it without shapeless",
  });
}

// ---- from a file ----------------------------------------------------------------------------------------------------

/** The outputs for these arrays; null where a length or a number of axes is another than the function asked for. */
export type Replay = (xs: readonly NDArray[]) => readonly NDArray[] | null;
/** The record as something to run. It is tried on abstract arrays of the example's shapes before. */
export function recordIn(r: FileRecord, constants: readonly NDArray[]): Replay {
  const own = r.constants.map((i) => constants[i]!);
  const tried = replay(r, r.inputs.map(tracer), own, probed);
  if (!tried) failFile("a record that holds for its own example", "another one");
  return (xs) => replay(r, xs, own, (f, args) => Reflect.apply(f, undefined, args));
}
type Apply = (f: Callable, args: readonly unknown[]) => unknown;

function replay(r: FileRecord, xs: readonly NDArray[], own: readonly NDArray[], apply: Apply): NDArray[] | null {
  const values = [...xs, ...own], leaves = new Set(values);
  for (const step of r.steps) {
    const made = "op" in step ? [operationIn(step, step.inputs.map((i) => values[i]!))] : called(step, values, apply);
    if (made.length !== step.results.length) failFile(`${step.results.length} results`, String(made.length));
    if (made.some((y, i) => y.dtype !== step.results[i]!.dtype || y.ndim !== step.results[i]!.axes)) return null;
    values.push(...made);
  }
  if (r.guards.some((g) => values[g.value]!.shape[g.axis] !== g.length)) return null;
  const outputs = r.outputs.map((i) => values[i]!);
  for (const n of collect(outputs, (n) => leaves.has(n) || n.state !== "lazy")) requirePossible(n);
  return outputs;
}
/** Operations bind what they have checked; in a file their arguments may be such as no caller gives. */
function requirePossible({ prim, inputs, params }: NDArray): void {
  if (prim.kind === "constant" || prim.code < 0) return;
  const isWhole = inputs.every(isArray) &&
    Object.keys(prim.params).every((key) => params[key] !== undefined && params[key] !== null);
  if (!isWhole || !isPossible(prim, inputs, params)) {
    failFile(`inputs and parameters that ${prim.name} takes`, `impossible ones, ${inputs.map(describe).join(", ")}`);
  }
}
function called(
  { call, args, results }: FileCall & { readonly results: readonly FileRank[] },
  values: readonly NDArray[],
  apply: Apply,
): NDArray[] {
  const f = callNamed(call);
  if (!f) return failFile("operations of this version", shown(call));
  const given = args.map((x) => argumentIn(x, values));
  // As many equal parts as are asked for would be made before they are counted.
  if (given.some((x) => typeof x === "number" && x > MANY && x !== results.length)) {
    failFile("a moderate number", shown(args));
  }
  try {
    return arraysIn(apply(f, given));
  } catch (error) {
    if (error instanceof DenimError) throw error; // shapes that do not fit, say
    return guarded(call, () => {
      throw error;
    });
  }
}
/** Counts in arguments: axes, parts, repetitions. */
const MANY = 2 ** 20;

function argumentIn(x: Json | undefined, values: readonly NDArray[]): unknown {
  const walk = (v: Json | undefined): unknown => argumentIn(v, values);
  if (Array.isArray(x)) return x.map(walk);
  if (!isRecord(x)) return x;
  const [[key, v] = ["", null], ...others] = Object.entries(x);
  const read = others.length === 0 ? READ.get(key) : undefined;
  return read ? read(v ?? null, values, walk) : failFile("an argument of an operation", shown(x));
}
type Read = (v: Json, values: readonly NDArray[], walk: (v: Json | undefined) => unknown) => unknown;
const valueAt = (v: Json, values: readonly NDArray[]): NDArray =>
  (typeof v === "number" ? values[v] : undefined) ?? failFile("the number of a value", shown(v));
const numberIn = (v: unknown): number => typeof v === "number" ? v : failFile("a number", String(v));
const lengthIn = (v: Json | undefined): number | null =>
  v === null || Number.isSafeInteger(v) ? v === null ? null : Number(v) : failFile("an index or null", shown(v));
const partsOf = (v: Json, n: number): readonly Json[] =>
  Array.isArray(v) && v.length === n ? v : failFile(`${n} numbers`, shown(v));
/** How each kind of argument is read. */
const READERS: Readonly<Record<string, Read>> = {
  value: valueAt,
  shapeOf: (v, values) => valueAt(v, values).shape,
  undefined: () => undefined,
  number: (v) => /^(-0|NaN|-?Infinity)$/.test(String(v)) ? Number(v) : failFile("a number", shown(v)),
  bigint: (v) => /^-?\d{1,20}$/.test(String(v)) ? BigInt(String(v)) : failFile("an integer", shown(v)),
  dtype: (v) => guarded("dtype", () => dtypeOf(String(v))),
  slice: (v) => new Slice(...triple(partsOf(v, 3).map(lengthIn))),
  float: (v, _values, walk) => new WeakFloat(numberIn(walk(v))),
  complex: (v, _values, walk) => new Complex(...pair(partsOf(v, 2).map(walk).map(numberIn))),
  options: (v, _values, walk) =>
    isRecord(v) ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, walk(x)])) : failFile("options", shown(v)),
};
const READ: ReadonlyMap<string, Read> = new Map(Object.entries(READERS));
const triple = <T>([a, b, c]: readonly T[]): [T, T, T] => [a!, b!, c!];
const pair = <T>([a, b]: readonly T[]): [T, T] => [a!, b!];

/** Calls an operation that says at once that it takes part in records; another one is refused before it does anything. */
function probed(f: Callable, args: readonly unknown[]): unknown {
  const before = recorder, refuse = (): never => failFile("operations that take part in records", f.name);
  let isFirst = true;
  const probe: ShapeRecorder = {
    infer: (): Aval => refuse(),
    made: refuse,
    giveUp: refuse,
    call: (g, given) => {
      isFirst = false;
      setRecorder(null);
      return g === f ? g(...given) : refuse();
    },
  };
  setRecorder(probe);
  try {
    const result: unknown = Reflect.apply(f, undefined, args);
    return isFirst ? refuse() : result;
  } finally {
    setRecorder(before);
  }
}
