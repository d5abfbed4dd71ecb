/**
 * The library under test, reached by name alone: what it lacks is a {@linkcode Missing}, never a crash of the runner.
 * Also how arrays get in and out.
 * @module
 */
import { DType } from "../../core/dtype.ts";
import { isHostArray, type Value } from "./compare.ts";
import type { HostArray, Numbers } from "./safetensors_reader.ts";

/** Something that the library does not have. */
export class Missing extends Error {
  /** Its name, as in `mx.takeAlongAxis`. */
  constructor(readonly what: string) {
    super(`missing: ${what}`);
  }
}

/** A function of the library. */
export type AnyFunction = (...args: readonly unknown[]) => unknown;
type AnyClass = new (...args: readonly unknown[]) => object;
/** An array of the library. */
export interface AnyArray {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Whether a value is a function. */
export const isFunction = (x: unknown): x is AnyFunction => typeof x === "function";
const isClass = (x: unknown): x is AnyClass => typeof x === "function";
/** Whether a value is an object that has no class: a dictionary. */
export const isPlain = (x: unknown): x is Record<string, unknown> =>
  x !== null && typeof x === "object" && Object.getPrototypeOf(x) === Object.prototype;
/** Whether a value is a list. */
export const isList = (x: unknown): x is readonly unknown[] => Array.isArray(x);
/** Whether a value is an array of the library. */
export const isArray = (x: unknown): x is AnyArray =>
  x !== null && typeof x === "object" && "dtype" in x && x.dtype instanceof DType && "shape" in x && "item" in x;
const isNumbers = (x: unknown): x is Numbers => ArrayBuffer.isView(x) && !(x instanceof DataView);

/** MLX's name as the library spells it: `take_along_axis` is `takeAlongAxis`. */
export const camel = (name: string): string =>
  name.replace(/(?<=[a-z0-9])_([a-z0-9])/gi, (_, c: string) => c.toUpperCase());

/** The library's namespaces: `mx`, and beside it whatever the runner needs, such as `nn`, `optim` or `lm`. */
export class Library {
  constructor(readonly spaces: Readonly<Record<string, unknown>>) {}

  /** What `mx.random.normal` or `nn.Linear` stands for; the first part is a namespace. */
  get(path: string): unknown {
    let at: unknown = this.spaces;
    for (const name of path.split(".")) {
      at = at !== null && (typeof at === "object" || typeof at === "function") ? Reflect.get(at, name) : undefined;
      if (at === undefined) throw new Missing(path);
    }
    return at;
  }
  /** Calls a function by its path. */
  call(path: string, ...args: readonly unknown[]): unknown {
    const f = this.get(path);
    if (!isFunction(f)) throw new Missing(path);
    return f(...args);
  }
  /** Makes an instance of the class at a path. */
  construct(path: string, ...args: readonly unknown[]): object {
    const c = this.get(path);
    if (!isClass(c)) throw new Missing(path);
    return new c(...args);
  }
  /** A property. */
  property(x: unknown, name: string): unknown {
    const value: unknown = x !== null && (typeof x === "object" || typeof x === "function")
      ? Reflect.get(x, name)
      : undefined;
    if (value === undefined) throw new Missing(`${this.nameOf(x)}.${name}`);
    return value;
  }
  /** Calls a method. */
  method(x: unknown, name: string, ...args: readonly unknown[]): unknown {
    const f = this.property(x, name);
    if (!isFunction(f)) throw new Missing(`${this.nameOf(x)}.${name}`);
    return Reflect.apply(f, x, args);
  }
  private nameOf(x: unknown): string {
    return isArray(x) ? "NDArray" : x !== null && typeof x === "object" ? x.constructor.name : typeof x;
  }

  /** A dtype by MLX's name, or a category of dtypes, which may be its bare name. */
  dtype(name: string): unknown {
    try {
      return this.get(name === "bool" ? "mx.bool_" : `mx.${name}`);
    } catch (e) {
      if (e instanceof Missing && /^(generic|number|.*integer|inexact|.*floating)$/.test(name)) return name;
      throw e;
    }
  }
  /** A list of arrays, checked. */
  arrays(x: unknown): readonly AnyArray[] {
    if (!isList(x) || !x.every(isArray)) throw new Error(`a list of arrays was expected, got ${typeof x}`);
    return x;
  }

  /** An array with these numbers, exactly. */
  array({ dtype, shape, data }: HostArray): unknown {
    if (data.length === 0) return this.call("mx.zeros", shape, this.dtype(dtype));
    const flat = dtype === "complex64"
      ? this.method(this.call("mx.array", data, this.dtype("float32")), "view", this.dtype(dtype))
      : dtype === "bfloat16"
      ? this.method(this.call("mx.array", data, this.dtype("float32")), "astype", this.dtype(dtype))
      : this.call("mx.array", data, this.dtype(dtype));
    return shape.length === 1 ? flat : this.method(flat, "reshape", shape);
  }
  /** The numbers of an evaluated array. */
  async read(x: AnyArray): Promise<HostArray> {
    const data = await this.method(x, "data");
    if (!isNumbers(data)) throw new Error(`data() of ${x.dtype} gave ${Object.prototype.toString.call(data)}`);
    return { dtype: x.dtype.name, shape: [...x.shape], data };
  }
  /** Evaluates all arrays in a result and brings it to the host. */
  async toHost(x: unknown): Promise<Value> {
    const found = leavesOf(x).filter(isArray);
    if (found.length > 0) this.call("mx.eval", found);
    return await this.convert(x);
  }
  private async convert(x: unknown): Promise<Value> {
    if (isArray(x)) return await this.read(x);
    if (x instanceof DType) return { dtypeName: x.name };
    if (isList(x)) return await Promise.all(x.map((v) => this.convert(v)));
    if (isPlain(x)) {
      const pairs = await Promise.all(
        Object.entries(x).map(async ([k, v]): Promise<[string, Value]> => [k, await this.convert(v)]),
      );
      return Object.fromEntries(pairs);
    }
    if (x === undefined || x === null) return null;
    if (typeof x === "number" || typeof x === "bigint" || typeof x === "string" || typeof x === "boolean") return x;
    return String(x);
  }
}

/** All leaves of nested lists and dictionaries. */
export function leavesOf(x: unknown): unknown[] {
  if (isList(x)) return x.flatMap(leavesOf);
  return isPlain(x) ? Object.values(x).flatMap(leavesOf) : [x];
}
/** The numbers of a host value, which has to be an array. */
export function numbers(v: Value): HostArray {
  if (!isHostArray(v)) throw new Error("an array was expected");
  return v;
}

/** Rooms of the repository as one library; a room that does not exist leaves its namespace out. */
export async function loadLibrary(rooms: Readonly<Record<string, string>>): Promise<Library> {
  const spaces: Record<string, unknown> = {};
  for (const [name, folder] of Object.entries(rooms)) {
    const url = new URL(`../../${folder}/mod.ts`, import.meta.url);
    if (!await exists(url)) continue;
    const room: object = await import(url.href);
    spaces[name] = room;
  }
  return new Library(spaces);
}
/** Makes a device the default one; nothing where none is named. */
export function setDevice(lib: Library, device: string | undefined): void {
  if (device === undefined) return;
  if (device !== "cpu" && device !== "gpu") throw new Error(`no device ${device}: cpu or gpu`);
  lib.call("mx.setDefaultDevice", lib.get(`mx.${device}`));
}
async function exists(url: URL): Promise<boolean> {
  try {
    return (await Deno.stat(url)).isFile;
  } catch {
    return false;
  }
}
