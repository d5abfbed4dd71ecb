/**
 * Recording a function for arrays of any shape. While it runs, operations that follow from shapes are put on a list as
 * calls, to be called again on other arrays; everything else is a node with its parameters. A length that the function
 * itself reads from a traced shape becomes a guard: the record holds only where that length is the same again.
 *
 * An operation takes part by one line, `if (recorder) return recorder.call(itself, itsArguments)`. One that does not is
 * right all the same: the lengths that it reads are guards.
 * @module
 */
import type { NDArray } from "./array.ts";
import {
  aliasOf,
  type AnyParams,
  bindAgain,
  isArray,
  recorder,
  setRecorder,
  type ShapeRecorder,
  tracer,
} from "./graph.ts";
import type { Aval, Primitive, Shape } from "./primitive.ts";
import { describe } from "./shape.ts";
import { forEachAt } from "./sites.ts";

/** A length that decided what the function did. */
export interface Guard {
  readonly node: NDArray;
  readonly axis: number;
  readonly length: number;
}
/** An operation on the list: how to call it again, and what it made. */
interface Entry {
  /** Arrays that it got, as arguments or by their shapes. */
  readonly inputs: readonly NDArray[];
  readonly f: Callable;
  readonly args: readonly unknown[];
  readonly again: (now: (x: NDArray) => NDArray) => unknown;
  readonly results: readonly NDArray[];
}
/** A function of arrays and anything else. */
export type Callable = (...args: never[]) => unknown;
/** A step of a record: a node as it is, or a call and what came out of it. */
export type Step = { readonly node: NDArray } | Pick<Entry, "f" | "args" | "results">;
type Build = (now: (x: NDArray) => NDArray) => unknown;

/** What one run of a function did. */
export class Recorder implements ShapeRecorder {
  readonly guards: Guard[] = [];
  /** False once something happened that cannot be recorded. */
  isValid = true;
  readonly #entries = new Map<NDArray, Entry>();
  readonly #owners = new Map<Shape, NDArray>();
  readonly #guarded = new Set<string>();
  #inputs: readonly NDArray[] = [];

  /** Runs `f` on abstract arrays and records what it does. */
  run<R>(like: readonly Aval[], f: (inputs: readonly NDArray[]) => R): R {
    recorder?.giveUp();
    const before = setRecorder(this);
    try {
      this.#inputs = like.map((a) => this.made(tracer({ shape: this.#watched(a.shape), dtype: a.dtype })));
      return f(this.#inputs);
    } finally {
      setRecorder(before);
    }
  }
  /** The inputs that the function was run on. */
  get inputs(): readonly NDArray[] {
    return this.#inputs;
  }
  /** From now on nothing is recorded. */
  giveUp(): void {
    this.isValid = false;
    setRecorder(null);
  }

  /** Shape and dtype of a new node; lengths that the rule reads are no guards. */
  infer(prim: Primitive, inputs: readonly NDArray[], params: AnyParams): Aval {
    for (const p of Object.values(params)) this.#pin(p);
    const { shape, dtype } = this.#quietly(() => prim.infer(inputs, params));
    return { shape: inputs.some((x) => x.traced) ? this.#watched(shape) : shape, dtype };
  }
  /** Whose shape it is that a new node has. */
  made(node: NDArray): NDArray {
    if (node.traced) this.#owners.set(node.shape, node);
    return node;
  }
  /** Calls the operation, and puts it on the list if an array of the trace or a shape of one is among its arguments. */
  call<A extends readonly unknown[], R>(f: (...args: A) => R, args: A): R {
    const inputs: NDArray[] = [], build = this.#visit(args, inputs);
    if (!inputs.some((x) => x.traced)) return this.#quietly(() => f(...args));
    const result = this.#quietly(() => f(...args)), results: NDArray[] = [];
    const visible = this.#aliased(result, results);
    const entry: Entry = { inputs, f, args, again: (now) => apply(f, build(now)), results };
    for (const y of results) this.#entries.set(y, entry);
    return visible;
  }

  /** The outputs for inputs of other shapes; null where a guard does not hold. */
  replay(like: readonly Aval[], outputs: readonly NDArray[]): { inputs: NDArray[]; outputs: NDArray[] } | null {
    recorder?.giveUp();
    const inputs = like.map(tracer), made = new Map<NDArray, NDArray>(this.#inputs.map((x, i) => [x, inputs[i]!]));
    const now = (x: NDArray): NDArray => made.get(x) ?? x;
    let isOther = false;
    forEachAt(this.#needed([...outputs, ...this.guards.map((g) => g.node)]), (n) => {
      if (isOther || made.has(n)) return;
      const entry = this.#entries.get(n), results = entry?.results ?? [n];
      const again = entry ? arraysIn(entry.again(now)) : [bindAgain(n, n.inputs.map(now))];
      // The function may have asked for the number of axes, or for a dtype, without a trace of it.
      isOther = again.length !== results.length ||
        again.some((y, i) => y.ndim !== results[i]!.ndim || y.dtype !== results[i]!.dtype);
      if (!isOther) again.forEach((y, i) => made.set(results[i]!, y));
    });
    if (isOther || this.guards.some((g) => now(g.node).shape[g.axis] !== g.length)) return null;
    return { inputs, outputs: outputs.map(now) };
  }
  /** What leads to the outputs and guards, in order. */
  steps(outputs: readonly NDArray[]): Step[] {
    const seen = new Set<Entry>(), steps: Step[] = [];
    for (const node of this.#needed([...outputs, ...this.guards.map((g) => g.node)])) {
      const entry = this.#entries.get(node);
      if (!entry) steps.push({ node });
      else if (!seen.has(entry)) {
        seen.add(entry);
        steps.push(entry);
      }
    }
    return steps;
  }
  /** The array whose shape the list is, if it is one that is watched. */
  ownerOf(value: unknown): NDArray | null {
    const shape = this.#asShape(value);
    return shape && (this.#owners.get(shape) ?? null);
  }
  /** What has to be made again, in the order in which it was made. */
  #needed(roots: readonly NDArray[]): NDArray[] {
    const seen = new Set<NDArray>(this.#inputs), list: NDArray[] = [], todo = [...roots];
    for (let n = todo.pop(); n; n = todo.pop()) {
      if (seen.has(n) || !n.traced) continue;
      seen.add(n);
      list.push(n);
      for (const i of this.#entries.get(n)?.inputs ?? n.inputs) todo.push(i);
    }
    return list.sort((a, b) => a.id - b.id);
  }
  /** Guards as text: `axis 0 of args[1] is 4`. */
  describeGuards(nameOf: (input: number) => string): string[] {
    return this.guards.map(({ node, axis, length }) => {
      const input = this.#inputs.indexOf(node),
        what = input < 0 ? `${node.prim.name} ${describe(node)}` : nameOf(input);
      return `axis ${axis} of ${what} is ${length}`;
    });
  }

  #quietly<T>(f: () => T): T {
    const before = setRecorder(null);
    try {
      return f();
    } finally {
      setRecorder(before);
    }
  }
  /** A list that tells when one of its lengths is read. */
  #watched(shape: Shape): Shape {
    return new Proxy(this.#quietly(() => [...shape]), {
      get: (list, key, receiver) => {
        if (recorder === this && typeof key === "string" && /^\d+$/.test(key)) this.#guard(receiver, Number(key));
        return Reflect.get(list, key);
      },
    });
  }
  #guard(shape: Shape, axis: number): void {
    const node = this.#owners.get(shape), key = `${node?.id}:${axis}`;
    if (!node || this.#guarded.has(key)) return;
    this.#guarded.add(key);
    this.guards.push({ node, axis, length: this.#quietly(() => shape[axis]!) });
  }
  /** A shape that became a parameter as it is: all of its lengths count as read. */
  #pin(value: unknown): void {
    const shape = this.#asShape(value);
    shape?.forEach((_, axis) => this.#guard(shape, axis));
  }
  #asShape(value: unknown): Shape | null {
    return Array.isArray(value) && this.#owners.has(value) ? value : null;
  }
  /** Arrays in arguments, and the way back with others in their places and their shapes. */
  #visit(x: unknown, inputs: NDArray[]): Build {
    if (isArray(x)) {
      inputs.push(x);
      return (now) => now(x);
    }
    const shape = this.#asShape(x), owner = shape && this.#owners.get(shape);
    if (owner) {
      inputs.push(owner);
      return (now) => now(owner).shape;
    }
    if (Array.isArray(x)) {
      const parts = x.map((v) => this.#visit(v, inputs));
      return (now) => parts.map((p) => p(now));
    }
    if (typeof x !== "object" || x === null || Object.getPrototypeOf(x) !== Object.prototype) return () => x;
    const parts = Object.entries(x).map(([k, v]) => [k, this.#visit(v, inputs)] as const);
    return (now) => Object.fromEntries(parts.map(([k, p]) => [k, p(now)]));
  }
  /** The result with nodes of their own in the places of its arrays: an operation may return what it got. */
  #aliased<R>(result: R, results: NDArray[]): R;
  #aliased(result: unknown, results: NDArray[]): unknown {
    if (Array.isArray(result)) return result.map((r) => this.#aliased(r, results));
    if (!isArray(result)) return result;
    const alias = this.made(aliasOf(result, this.#watched(result.shape)));
    results.push(alias);
    return alias;
  }
}
function apply<A extends readonly unknown[], R>(f: (...args: A) => R, args: unknown): unknown {
  return Reflect.apply(f, undefined, Array.isArray(args) ? args : [args]);
}
/** The arrays of an operation's result. */
export function arraysIn(result: unknown): NDArray[] {
  return Array.isArray(result) ? result.flatMap(arraysIn) : isArray(result) ? [result] : [];
}
