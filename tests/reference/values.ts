/**
 * Recorded values: what stands in `cases.json` becomes arrays, dtypes, slices, indices, functions and weak scalars of
 * the library (arguments), or host data (expected outputs).
 * @module
 */
import type { Value } from "./compare.ts";
import { type HostArray, hostArray, type RawTensor } from "./safetensors_reader.ts";
import { camel, isFunction, isList, isPlain, type Library } from "./library.ts";

/** JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
/** Names and values. */
export type Dict<T> = Readonly<Record<string, T>>;

/** A float of Python whose value is integral or not finite: JavaScript cannot tell 2.0 from 2. */
export class PyFloat {
  constructor(readonly value: number) {}
}
/** A complex number of Python. */
export class PyComplex {
  constructor(readonly re: number, readonly im: number) {}
}
/** What stands between the brackets of `x[...]`. */
export class Index {
  constructor(readonly items: readonly unknown[]) {}
}

const isDict = (v: Json | undefined): v is { readonly [key: string]: Json } =>
  v !== null && typeof v === "object" && !Array.isArray(v);
const isJsonList = (v: Json | undefined): v is readonly Json[] => Array.isArray(v);
const listOf = (v: Json | undefined): readonly Json[] => isJsonList(v) ? v : [];

/** Python's spelling of a float. */
function pythonFloat(v: Json | undefined): number {
  const text = String(v);
  return text === "nan" ? NaN : text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
}

/** `{"a.b.0": leaf}` as nested dictionaries, and lists (gaps are empty dictionaries) where all keys are digits. */
export function unflatten(entries: readonly (readonly [string, unknown])[]): unknown {
  const [only] = entries;
  if (only !== undefined && only[0] === "") return only[1];
  const groups = new Map<string, [string, unknown][]>();
  for (const [path, leaf] of entries) {
    const dot = path.indexOf("."), head = dot < 0 ? path : path.slice(0, dot);
    const group = groups.get(head) ?? [];
    groups.set(head, group);
    group.push([dot < 0 ? "" : path.slice(dot + 1), leaf]);
  }
  const children = [...groups].map(([k, v]): [string, unknown] => [k, unflatten(v)]);
  if (children.length > 0 && children.every(([k]) => /^\d+$/.test(k))) {
    const list: unknown[] = [];
    for (const [k, v] of children) list[Number(k)] = v;
    return Array.from(list, (v) => v ?? {});
  }
  return Object.fromEntries(children);
}

/** The leaves of a tree with their paths, in the order of the paths. */
export function flatten(tree: unknown, prefix = ""): [string, unknown][] {
  const join = (k: string | number): string => prefix === "" ? `${k}` : `${prefix}.${k}`;
  const entries = isList(tree)
    ? tree.flatMap((v, i) => flatten(v, join(i)))
    : isPlain(tree)
    ? Object.entries(tree).flatMap(([k, v]) => flatten(v, join(k)))
    : [[prefix, tree] satisfies [string, unknown]];
  return entries.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
}

/** Decodes the values of one directory of cases. */
export class Decoder {
  constructor(readonly lib: Library, private readonly tensors: ReadonlyMap<string, RawTensor>) {}

  private host(v: { readonly [key: string]: Json }): HostArray {
    const raw = this.tensors.get(String(v.array));
    if (raw === undefined) throw new Error(`arrays.safetensors has no ${v.array}`);
    return hostArray(raw, v.complex === true);
  }

  /** A slice of Python. */
  slice(parts: readonly unknown[]): unknown {
    const [start = null, stop = null, step = null] = parts;
    return step === null ? this.lib.call("mx.slice", start, stop) : this.lib.call("mx.slice", start, stop, step);
  }

  /** An array, with its views applied: not contiguous on purpose. */
  private array(v: { readonly [key: string]: Json }): unknown {
    let x = this.lib.array(this.host(v));
    for (const [op, p] of listOf(v.pre).map(listOf)) {
      if (op === "transpose") x = this.lib.call("mx.transpose", x, { axes: p });
      else if (op === "slice") x = this.lib.method(x, "index", ...listOf(p).map((s) => this.slice(listOf(s))));
      else if (op === "broadcast_to") x = this.lib.call("mx.broadcastTo", x, p);
      else throw new Error(`unknown view ${op}`);
    }
    return x;
  }

  /** One item of an index expression. */
  private item(v: Json): unknown {
    return isDict(v) && "list" in v ? v.list : this.value(v);
  }

  private schedule(parts: readonly Json[]): unknown {
    const [name, args, kwargs] = parts, options = isDict(kwargs) ? kwargs : {};
    const plain = (v: Json): unknown => {
      const x = this.value(v);
      return x instanceof PyFloat ? x.value : x;
    };
    const last = Object.keys(options).length > 0
      ? [Object.fromEntries(Object.entries(options).map(([k, v]) => [k, plain(v)]))]
      : [];
    const camelName = String(name).replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());
    return this.lib.call(`optim.${camelName}`, ...listOf(args).map(plain), ...last);
  }

  /** An argument. */
  value(v: Json): unknown {
    if (isJsonList(v)) return v.map((x) => this.value(x));
    if (!isDict(v)) return v;
    if ("array" in v) return this.array(v);
    if ("dtype" in v) return this.lib.dtype(String(v.dtype));
    if ("slice" in v) return this.slice(listOf(v.slice));
    if ("float" in v) return new PyFloat(pythonFloat(v.float));
    if ("complexnum" in v) {
      return new PyComplex(pythonFloat(listOf(v.complexnum)[0]), pythonFloat(listOf(v.complexnum)[1]));
    }
    if ("index" in v) return new Index(listOf(v.index).map((x) => this.item(x)));
    if ("fnref" in v) return this.function(String(v.fnref));
    if ("schedule" in v) return this.schedule(listOf(v.schedule));
    if ("tree" in v) {
      return unflatten(
        isDict(v.tree) ? Object.entries(v.tree).map(([k, x]): [string, unknown] => [k, this.value(x)]) : [],
      );
    }
    return this.dict(v);
  }
  private function(path: string): unknown {
    const f = this.lib.get(camel(path));
    if (!isFunction(f)) throw new Error(`${path} is no function`);
    return f;
  }
  /** Values by name. */
  dict(v: Dict<Json>): Dict<unknown> {
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, this.value(x)]));
  }

  /** An expected output. */
  wanted(v: Json): Value {
    if (isJsonList(v)) return v.map((x) => this.wanted(x));
    if (!isDict(v)) return v;
    if ("array" in v) return this.host(v);
    if ("dtype" in v) return { dtypeName: String(v.dtype) };
    if ("float" in v) return pythonFloat(v.float);
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, this.wanted(x)]));
  }
}
