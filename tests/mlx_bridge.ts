/**
 * What MLX's own Python tests need to be told to run here: a host program calls this project for them, and takes from
 * this file what no rule of names gives. It is given by `scripts/mlx_suite.ts`; which of the tests may fail stands in
 * `mlx_suite_known.ts`.
 * @module
 */
import * as mx from "../mod.ts";

/** Marks the object that carries Python's keyword arguments, and lists that are tuples in Python. */
const KEYWORDS = Symbol.for("mlx-bridge.kwargs"), TUPLE = Symbol.for("mlx-bridge.tuple");
type Arguments = readonly unknown[];
type Keywords = Readonly<Record<string, unknown>>;
type AnyFunction = (...args: Arguments) => unknown;

function isKeywords(x: unknown): x is Keywords {
  return typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype;
}
/** One list of arguments, keywords last: MLX also takes `[x, y], {z}` for `x, y, z=z`. Python sorts no keywords; this does. */
function oneList(args: Arguments, keywords: Keywords): unknown[] {
  const [first, second] = args, alone = args.length === 1, pair = args.length === 2 && isKeywords(second);
  const positional = Array.isArray(first) && (alone || pair) ? first : alone && isKeywords(first) ? [] : args;
  const named = { ...keywords, ...(alone && isKeywords(first) ? first : pair ? second : {}) };
  const rest = positional.filter((x) => !isKeywords(x)), last = positional.find(isKeywords);
  const sorted = Object.entries({ ...named, ...last }).sort(([a], [b]) => a < b ? -1 : 1);
  return sorted.length ? [...rest, marked(Object.fromEntries(sorted))] : rest;
}
function isMarked(x: unknown): boolean {
  return isKeywords(x) && KEYWORDS in x;
}
function marked(x: object): object {
  return Object.defineProperty(x, KEYWORDS, { value: true });
}
/** The Python function, with its keywords marked again: a trace gives it a new object. */
function python(f: AnyFunction): AnyFunction {
  return (...args) => f(...args.map((x) => isKeywords(x) ? marked(x) : x));
}
/** Results as a list. */
function listed(result: unknown): unknown[] {
  if (Array.isArray(result)) return result;
  return isKeywords(result) ? Object.values(result) : [result];
}
/** MLX's options of exports. `shapeless` is not heard: the bridge reads all lengths, so that they would have to stay. */
function exportOptions({ metadata = "" }: Keywords): mx.ExporterOptions {
  if (typeof metadata !== "string") throw new TypeError("metadata is text");
  return { metadata };
}
/** `with mx.exporter(...) as e`: `e(...)` adds a call, the file is written at the end. */
class Exporter {
  readonly #file: mx.FunctionExporter<unknown[]>;
  constructor(path: string, f: AnyFunction, options: Keywords) {
    this.#file = mx.exporter(path, python(f), exportOptions(options));
  }
  call(...args: Arguments): void {
    this.#file.add(...oneList(args, {}));
  }
  exit(): Promise<void> {
    return this.#file.close();
  }
}
/** `with mx.printoptions(...)`. */
class Printing {
  #before = mx.getPrintoptions();
  constructor(readonly options: Partial<mx.PrintOptions>) {}
  enter(): void {
    this.#before = mx.getPrintoptions();
    mx.setPrintoptions(this.options);
  }
  exit(): void {
    mx.setPrintoptions(this.#before);
  }
}
/** grad or valueAndGrad, whose positions count positional arguments only, as Python's do. */
function derivative(withValue: boolean) {
  return (
    [f, first]: [AnyFunction, mx.GradOptions["argnums"]],
    { argnums = first, argnames }: mx.GradOptions,
  ): AnyFunction => {
    const nums = argnums ?? (argnames ? [] : 0), positions = typeof nums === "number" ? [nums] : nums;
    const options = { argnums: nums, argnames: argnames ?? [] };
    const derived: AnyFunction = withValue ? mx.valueAndGrad(f, options) : mx.grad(f, options);
    return (...args: Arguments) => {
      const n = args.filter((x) => !isMarked(x)).length;
      if (positions.some((at) => at >= n)) throw new Error(`${n} positional arguments`);
      const result = derived(...args), grads = withValue && Array.isArray(result) ? result[1] : result;
      if (argnames && Array.isArray(grads)) {
        for (const list of [grads, grads[0]]) {
          if (Array.isArray(list)) Object.defineProperty(list, TUPLE, { value: true });
        }
      }
      return result;
    };
  };
}
/** Bytes of an array in row-major order. */
function toBytes(x: mx.NDArray): Uint8Array {
  const data = (x.dtype === mx.bfloat16 ? x.view(mx.uint16) : x).dataSync();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export default {
  toBytes,
  /** Whole calls, by MLX's names. */
  calls: {
    "grad": derivative(false),
    "value_and_grad": derivative(true),
    "printoptions": (_: Arguments, options: Partial<mx.PrintOptions>) => new Printing(options),
    "exporter": ([path, f]: [string, AnyFunction], options: Keywords) => new Exporter(path, f, options),
    "obj.exit": ([x]: [Exporter | Printing]) => x.exit(),
    "export_function": (
      [path, f, ...args]: [string, AnyFunction, ...unknown[]],
      { shapeless: _, metadata, ...keywords }: Keywords,
    ) => {
      const file = mx.exporter(path, python(f), exportOptions({ metadata }));
      file.add(...oneList(args, keywords));
      return file.close();
    },
    "import_function": ([path]: [string], { returnMetadata }: Keywords) => {
      const [f, metadata] = mx.importFunction(path, { returnMetadata: true });
      const called = (...args: Arguments) => listed(f(...oneList(args, {})));
      return returnMetadata ? [called, metadata] : called;
    },
    "save_safetensors": (
      [path, arrays, metadata]: [string, Record<string, mx.NDArray>, Record<string, string>?],
      keywords: { metadata?: Record<string, string> },
    ) => mx.saveSafetensors(path, arrays, metadata ?? keywords.metadata ?? {}),
  },
};
