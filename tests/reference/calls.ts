/**
 * Calls as the library wants them. Cases record calls of Python; here MLX's required parameters stay positional, in
 * order, and everything with a default, or after the `*`, goes into one options object under its camelCase name.
 * @module
 */
import { type AnyFunction, camel, isArray, isFunction, isList, isPlain, type Library } from "./library.ts";
import { signatures } from "./signatures.ts";
import { type Dict, Index, PyComplex, PyFloat } from "./values.ts";

/** Arguments that do not fit MLX's signature: what TypeScript refuses when it compiles. */
export class SignatureError extends Error {}

/** One parameter of MLX. */
export interface Parameter {
  readonly name: string;
  /** Takes all further positional arguments. */
  readonly rest: boolean;
  /** Keywords only. */
  readonly keyword: boolean;
  /** Takes arrays. */
  readonly array: boolean;
  readonly required: boolean;
  /** Its default is None. */
  readonly nullable: boolean;
}
const parsed = new Map<string, readonly Parameter[]>();

/** Parameters from the notation of `signatures.ts`. */
export function parseSignature(text: string): readonly Parameter[] {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  let keyword = false;
  const parameters: Parameter[] = [];
  for (const word of text.split(" ").filter((w) => w !== "")) {
    const [, stars = "", name = "", array, mark] = /^(\**)(\w*)(:a)?([?=])?$/.exec(word) ?? [];
    if (name !== "" && stars !== "**") {
      const rest = stars === "*";
      parameters.push({
        name,
        rest,
        keyword,
        array: array !== undefined,
        required: !rest && mark === undefined,
        nullable: mark === "?",
      });
    }
    keyword ||= stars !== "";
  }
  parsed.set(text, parameters);
  return parameters;
}

const OPERATORS: Dict<string> = {
  add: "add",
  sub: "subtract",
  mul: "multiply",
  truediv: "divide",
  floordiv: "floorDivide",
  mod: "remainder",
  pow: "power",
  matmul: "matmul",
  and: "bitwiseAnd",
  or: "bitwiseOr",
  xor: "bitwiseXor",
  lshift: "leftShift",
  rshift: "rightShift",
  eq: "equal",
  ne: "notEqual",
  lt: "less",
  le: "lessEqual",
  gt: "greater",
  ge: "greaterEqual",
  neg: "negative",
  abs: "abs",
  invert: "bitwiseInvert",
};
const PROPERTIES = new Set(["T", "mT", "real", "imag", "shape", "ndim", "size", "itemsize", "nbytes", "dtype"]);

/** Rank of the dtype that MLX gives to a scalar of Python, and its name. */
const INFERRED = ["", "bool", "int32", "int64", "uint64", "float32", "complex64"];
const ARRAYS_INSIDE = INFERRED.length;
function rankOf(v: unknown): number {
  if (isList(v)) return v.reduce((most: number, x) => Math.max(most, rankOf(x)), 0);
  if (isArray(v)) return ARRAYS_INSIDE;
  if (typeof v === "boolean") return 1;
  if (v instanceof PyComplex) return 6;
  if (v instanceof PyFloat || (typeof v === "number" && !Number.isInteger(v))) return 5;
  return typeof v !== "number" ? 0 : v > 2147483647 || v < -2147483648 ? 3 : 2;
}

/** Performs recorded calls of functions, operators and array methods. */
export class Caller {
  constructor(readonly lib: Library) {}

  /** A result that is a function. */
  function(f: unknown): AnyFunction {
    if (!isFunction(f)) throw new Error(`a function was expected, got ${typeof f}`);
    return f;
  }
  /** `start:stop` as an index. */
  slice(start: number | null, stop: number | null): unknown {
    return this.lib.call("mx.slice", start, stop);
  }

  /** A decoded value as the library takes it. An operand keeps 2.0 a float. */
  lower(v: unknown, operand = false): unknown {
    if (v instanceof PyFloat) {
      return operand && Number.isInteger(v.value) ? this.lib.call("mx.float", v.value) : v.value;
    }
    if (v instanceof PyComplex) return this.lib.call("mx.complex", v.re, v.im);
    if (isList(v)) return v.map((x) => this.lower(x));
    if (isPlain(v)) return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, this.lower(x)]));
    return v;
  }

  /** The arguments of a call whose parameters are known, from those of Python's. */
  byRule(signature: string, args: readonly unknown[], kwargs: Dict<unknown>): unknown[] {
    const rest = new Map(Object.entries(kwargs)), positional: unknown[] = [], options: Record<string, unknown> = {};
    let next = 0;
    for (const p of parseSignature(signature)) {
      if (p.rest) {
        positional.push(...args.slice(next).map((v) => this.lower(v, p.array)));
        next = args.length;
        continue;
      }
      const given = !p.keyword && next < args.length;
      if (!given && !rest.has(p.name)) {
        if (p.required) throw new SignatureError(`required parameter ${p.name} is not given`);
        continue;
      }
      const v = given ? args[next++] : rest.get(p.name);
      rest.delete(p.name);
      if (p.required && !p.keyword && (typeof v !== "boolean" || p.array)) positional.push(this.lower(v, p.array));
      else if (v !== null || !p.nullable) options[camel(p.name)] = this.lower(v, p.array);
    }
    if (next < args.length) throw new SignatureError(`${args.length - next} arguments too many`);
    if (rest.size > 0) throw new SignatureError(`no parameter is named ${[...rest.keys()].join(", ")}`);
    return Object.keys(options).length > 0 ? [...positional, options] : positional;
  }

  /** Calls `mx.NAME`, `mx.fast.NAME`, an operator or an array method, by the `fn` of a case. */
  call(fn: string, args: readonly unknown[], kwargs: Dict<unknown> = {}): unknown {
    const dot = fn.indexOf("."), group = dot < 0 ? "core" : fn.slice(0, dot), name = fn.slice(dot + 1);
    if (group === "op") return this.lib.call(`mx.${OPERATORS[name] ?? name}`, ...args.map((a) => this.lower(a, true)));
    if (group === "array") return this.method(name, args, kwargs);
    if (fn === "asarray") return this.create(fn, args, kwargs);
    if (fn === "arange") return this.arange(args, kwargs);
    const path = group === "core" ? `mx.${camel(name)}` : `mx.${group}.${camel(name)}`;
    this.lib.get(path);
    return this.lib.call(path, ...this.byRule(signatures[group]?.[name] ?? "*args:a", args, kwargs));
  }

  private create(name: string, args: readonly unknown[], kwargs: Dict<unknown>): unknown {
    const [value, bare] = args, { dtype, ...others } = kwargs;
    const inferred = INFERRED[rankOf(value)] ?? "";
    const chosen = bare ?? dtype ?? (inferred === "" ? undefined : this.lib.dtype(inferred));
    const options = Object.entries({ dtype: chosen, ...others }).filter(([, v]) => v !== undefined && v !== null);
    return this.lib.call(`mx.${name}`, this.lower(value), ...(options.length > 0 ? [Object.fromEntries(options)] : []));
  }

  /** `arange(stop)` and `arange(start, stop)` share their first parameter; floats of Python say float32. */
  private arange(args: readonly unknown[], kwargs: Dict<unknown>): unknown {
    const names = args.length === 1 && !("stop" in kwargs) ? ["stop"] : ["start", "stop", "step", "dtype"];
    const given: Record<string, unknown> = { ...kwargs };
    args.forEach((v, i) => given[names[i] ?? "dtype"] = v);
    if ([given.start, given.stop, given.step].some((v) => v instanceof PyFloat)) {
      given.dtype ??= this.lib.dtype("float32");
    }
    const options = Object.fromEntries(
      ["step", "dtype"].filter((k) => (given[k] ?? null) !== null).map((k) => [k, this.lower(given[k])]),
    );
    const bounds = ["start", "stop"].filter((k) => (given[k] ?? null) !== null).map((k) => this.lower(given[k]));
    return this.lib.call("mx.arange", ...bounds, ...(Object.keys(options).length > 0 ? [options] : []));
  }

  private method(name: string, args: readonly unknown[], kwargs: Dict<unknown>): unknown {
    if (name === "new") return this.create("array", args, kwargs);
    const { lib } = this, [x, ...rest] = args, [where, update] = rest;
    if (PROPERTIES.has(name)) return lib.property(x, name);
    if (where instanceof Index) {
      const items = where.items.map((v) => this.lower(v));
      if (name === "getitem") return lib.method(x, "index", ...items);
      return lib.method(
        lib.method(x, "at", ...items),
        name === "setitem" ? "set" : name.slice(3),
        this.lower(update, true),
      );
    }
    if (["len", "bool", "int", "float"].includes(name)) return this.convert(name, x);
    if (name === "reshape") return lib.method(x, name, isList(where) ? where : rest);
    if (name === "transpose") {
      return rest.length === 0 ? lib.method(x, name) : lib.method(x, name, { axes: isList(where) ? where : rest });
    }
    lib.property(x, camel(name));
    return lib.method(x, camel(name), ...this.byRule(signatures.array?.[name] ?? "*args:a", rest, kwargs));
  }

  /** Python's `len`, `bool`, `int` and `float` of an array, by `shape` and `item`. */
  private convert(name: string, x: unknown): unknown {
    if (name === "len") {
      const shape = this.lib.property(x, "shape"), first = isList(shape) ? shape[0] : undefined;
      if (first === undefined) throw new RangeError("a 0-d array has no length");
      return first;
    }
    const item = this.lib.method(x, "item");
    return name === "bool" ? Boolean(item) : name === "int" ? Math.trunc(Number(item)) : Number(item);
  }
}
