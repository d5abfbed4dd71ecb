/**
 * Module: what layers and models are. Fields that hold arrays are parameters, fields that hold modules (or lists and
 * objects of them) are children; a parameter's path of field names is its key in a checkpoint.
 * @module
 */
import {
  CheckpointError,
  type DType,
  eval as evaluate,
  fail,
  Holder,
  load,
  NDArray,
  saveSafetensors,
  ValueError,
} from "../core/mod.ts";

/** Parameters as a tree of field names. */
export type ParameterTree = NDArray | { [key: string]: ParameterTree } | ParameterTree[];
/** A module's parameters as a tree. */
export type Parameters = { [key: string]: ParameterTree };
/** Modules as a tree. */
export type ModuleTree = Module | { [key: string]: ModuleTree } | ModuleTree[];
/** What a function made of arrays, as a tree of field names. */
export type MappedTree<T> = T | { [key: string]: MappedTree<T> } | MappedTree<T>[];
/** What decides about one field of a module. */
export type FieldFilter = (module: Module, key: string, value: unknown) => boolean;

/** Options of freeze and unfreeze. */
export interface FreezeOptions {
  /** Also in all submodules. Default true. */
  readonly recurse?: boolean;
  /** Only fields of these names: parameters, or submodules and containers with all that they hold. */
  readonly keys?: string | readonly string[] | null;
  /** A name that no module has is an error. Default false. */
  readonly strict?: boolean;
}
/** Options of loadWeights and update. */
export interface StrictOptions {
  /** Every parameter must be there, and nothing else. Default true. */
  readonly strict?: boolean;
}

/** Does the field belong to the parameters? What a name that starts with `_` holds does not, modules included. */
const isPublic: FieldFilter = (_module, key) => !key.startsWith("_");
/** A list or a plain object; the keys of a list are its indices. */
function isContainer(x: unknown): x is Record<string, unknown> {
  return Array.isArray(x) || (typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype);
}
/** The elements of a list or an object through `f`; what it gives nothing for is {} in a list, and gone in an object. */
function mapElements<T>(
  x: unknown,
  f: (x: unknown, key: string) => MappedTree<T> | undefined,
): MappedTree<T> | undefined {
  if (!isContainer(x)) return undefined;
  const all = Object.entries(x).map(([k, v]): [string, MappedTree<T> | undefined] => [k, f(v, k)]);
  if (all.every(([, v]) => v === undefined)) return undefined;
  return Array.isArray(x)
    ? all.map(([, v]) => v ?? {})
    : Object.fromEntries(all.flatMap(([k, v]) => v === undefined ? [] : [[k, v]]));
}
/** Maps what `pick` accepts; containers without anything picked vanish. */
function mapTree<T>(x: unknown, pick: (x: unknown) => MappedTree<T> | undefined): MappedTree<T> | undefined {
  return pick(x) ?? mapElements(x, (v) => mapTree(v, pick));
}
/** What a module prints for one of its fields: arrays and modules, also those in lists and objects. */
function described(key: string, value: unknown): string[] {
  if (value instanceof NDArray) return [`${key}: ${value.dtype}[${value.shape.join(",")}]`];
  if (value instanceof Module) return [`(${key}): ${value}`];
  return isContainer(value) ? Object.entries(value).flatMap(([k, v]) => described(`${key}.${k}`, v)) : [];
}
/** A list's indices as keys. */
function keyed<T>(x: { [key: string]: T } | T[]): { [key: string]: T } {
  return Array.isArray(x) ? Object.fromEntries(x.entries()) : x;
}
/**
 * Leaves of a tree with their paths, `a.0.b`.
 *
 * @example
 * ```ts
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Sequential(new nn.Linear(2, 3), new nn.Linear(3, 1, { bias: false }));
 * const named = nn.flattenParameters(model.parameters());
 * named.map(([path]) => path); // ["layers.0.weight", "layers.0.bias", "layers.1.weight"]
 * named.reduce((sum, [, x]) => sum + x.size, 0); // 12
 * ```
 */
export function flattenParameters(tree: ParameterTree | undefined, prefix = ""): [string, NDArray][] {
  if (tree === undefined) return [];
  if (tree instanceof NDArray) return [[prefix, tree]];
  return Object.entries(tree).flatMap(([k, v]) => flattenParameters(v, prefix ? `${prefix}.${k}` : k));
}

/**
 * The base of layers and models (`mlx.nn.Module`). A subclass sets its parameters and submodules as fields and writes
 * `forward`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * class Scale extends nn.Module {
 *   weight = mx.ones([3]);
 *   forward(x: mx.NDArray): mx.NDArray {
 *     return x.mul(this.weight);
 *   }
 * }
 * new Scale().forward(mx.array([1, 2, 3])).tolist(); // [1, 2, 3]
 * ```
 */
export class Module {
  readonly #holder: Holder = new Holder();
  readonly #frozen: Set<string> = new Set();
  #training = true;

  /** Is the module being trained? Dropout and batch normalization ask. */
  get training(): boolean {
    return this.#training;
  }
  /** The module itself: its fields are its state, for `compile`. */
  get state(): this {
    return this;
  }
  #fields(): [string, unknown][] {
    return Object.entries(this);
  }

  /** The class, its parameters by dtype and shape, and its children, indented; nothing is evaluated. */
  toString(): string {
    const lines = this.#fields().flatMap(([key, value]) => described(key, value));
    return `${this.constructor.name}(${lines.map((line) => `\n  ${line.replaceAll("\n", "\n  ")}`).join("")}${
      lines.length ? "\n" : ""
    })`;
  }
  /** Deno prints modules by this. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** All parameters as a tree. */
  parameters(): Parameters {
    return this.filterAndMap(isPublic);
  }
  /** The parameters that are not frozen, as a tree. */
  trainableParameters(): Parameters {
    return this.filterAndMap((m, k, v) => isPublic(m, k, v) && !m.#frozen.has(k));
  }
  /**
   * The fields that `filter` accepts, as a tree: arrays through `map`, modules through their own fields, containers
   * through their elements, which `filter` sees as `list.0` or `object.name`; what `isLeaf` says goes through `map`
   * whole.
   */
  filterAndMap(filter: FieldFilter): Parameters;
  /** As above, with a function of each array (and of what else `isLeaf` says). */
  filterAndMap<T, X = NDArray>(
    filter: FieldFilter,
    map: (x: X) => T,
    isLeaf?: FieldFilter,
  ): { [key: string]: MappedTree<T> };
  filterAndMap(
    filter: FieldFilter,
    map: (x: unknown) => unknown = (x) => x,
    isLeaf: FieldFilter = () => false,
  ): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    const visit = (path: string, x: unknown): unknown => {
      if (!filter(this, path, x)) return undefined;
      if (x instanceof NDArray || isLeaf(this, path, x)) return map(x);
      return x instanceof Module
        ? x.filterAndMap(filter, map, isLeaf)
        : mapElements(x, (y, k) => visit(`${path}.${k}`, y));
    };
    for (const [key, value] of this.#fields()) {
      const mapped = visit(key, value);
      if (mapped !== undefined) result[key] = mapped;
    }
    return result;
  }
  /** Direct submodules as a tree. */
  children(): Record<string, ModuleTree> {
    return this.#tree((m) => m);
  }
  /** The submodules that have none themselves, as a tree. */
  leafModules(): Record<string, ModuleTree> {
    return this.#tree((m) => Object.keys(m.children()).length ? m.leafModules() : m);
  }
  #tree(of: (m: Module) => ModuleTree): Record<string, ModuleTree> {
    const result: Record<string, ModuleTree> = {};
    for (const [key, value] of this.#fields()) {
      const mapped = mapTree<Module>(value, (x) => x instanceof Module ? of(x) : undefined);
      if (mapped !== undefined) result[key] = mapped;
    }
    return result;
  }
  /** This module and all below it. */
  modules(): Module[] {
    return this.namedModules().map(([, m]) => m);
  }
  /** This module and all below it, each with its path (its own is empty). */
  namedModules(): [string, Module][] {
    const all: [string, Module][] = [];
    const walk = (x: unknown, path: string): void => {
      if (x instanceof Module) {
        all.push([path, x]);
        for (const [key, value] of x.#fields()) walk(value, path ? `${path}.${key}` : key);
      } else if (isContainer(x)) { for (const [key, value] of Object.entries(x)) walk(value, `${path}.${key}`); }
    };
    walk(this, "");
    return all;
  }
  /** Calls `f` with every module and its path. */
  applyToModules(f: (path: string, module: Module) => void): this {
    for (const [path, module] of this.namedModules()) f(path, module);
    return this;
  }
  /** Replaces every parameter (or what `filter` accepts) by `map` of it. */
  apply(
    map: (x: NDArray) => NDArray,
    filter: FieldFilter = isPublic,
  ): this {
    return this.update(this.filterAndMap(filter, map), { strict: false });
  }

  /** Replaces parameters by those of a tree of the same form (part of it is enough). */
  update(parameters: Parameters, options: StrictOptions = {}): this {
    for (const [key, value] of Object.entries(parameters)) this.#put(this, key, key, value, options.strict ?? true);
    return this;
  }
  /** Arrays take the places of arrays, and trees go into modules and containers; nothing else fits. */
  #put(target: object, key: string, path: string, value: ParameterTree, strict: boolean): void {
    const field: unknown = Reflect.get(target, key);
    if (value instanceof NDArray) {
      if (field instanceof NDArray) {
        Reflect.set(target, key, value);
        this.#holder.hold(path, value);
      } else if (strict) failField(this, path);
    } else if (field instanceof Module) field.update(keyed(value), { strict });
    else if (isContainer(field)) {
      for (const [k, v] of Object.entries(value)) this.#put(field, k, `${path}.${k}`, v, strict);
    } else if (strict && (field === undefined || Object.keys(value).length)) failField(this, path);
  }
  /** Replaces submodules by those of a tree of the same form (part of it is enough). */
  updateModules(modules: Record<string, ModuleTree>, options: StrictOptions = {}): this {
    for (const [key, value] of Object.entries(modules)) this.#replace(this, key, key, value, options.strict ?? true);
    return this;
  }
  /** Modules take the places of modules, and trees go into modules and containers; nothing else fits. */
  #replace(target: object, key: string, path: string, value: ModuleTree, strict: boolean): void {
    const field: unknown = Reflect.get(target, key), tree = isContainer(value) ? keyed(value) : null;
    if (value instanceof Module && field instanceof Module) Reflect.set(target, key, value);
    else if (tree && field instanceof Module) field.updateModules(tree, { strict });
    else if (tree && isContainer(field)) {
      for (const [k, v] of Object.entries(tree)) this.#replace(field, k, `${path}.${k}`, v, strict);
    } else if (strict && !(tree && field instanceof NDArray && Object.keys(tree).length === 0)) failField(this, path);
  }
  /** Excludes parameters from `trainableParameters`. */
  freeze(options: FreezeOptions = {}): this {
    return this.#setFrozen(true, options);
  }
  /** Includes them again. */
  unfreeze(options: FreezeOptions = {}): this {
    return this.#setFrozen(false, options);
  }
  #setFrozen(frozen: boolean, { recurse = true, keys = null, strict = false }: FreezeOptions): this {
    const wanted = typeof keys === "string" ? [keys] : keys, all = recurse ? this.modules() : [this];
    const absent = strict ? wanted?.find((k) => all.every((m) => Reflect.get(m, k) === undefined)) : undefined;
    if (absent !== undefined) failField(this, absent);
    for (const m of all) {
      if (frozen) { for (const key of wanted ?? m.#ownPaths()) m.#frozen.add(key); }
      else if (wanted) { for (const key of wanted) m.#frozen.delete(key); }
      else m.#frozen.clear();
    }
    return this;
  }
  /** Paths of the parameters that belong to no submodule. */
  #ownPaths(): string[] {
    const own = this.filterAndMap((m, k, v) => isPublic(m, k, v) && !(v instanceof Module));
    return flattenParameters(own).map(([path]) => path);
  }
  /** Sets the mode of this and all submodules. */
  train(mode = true): this {
    for (const m of this.modules()) {
      m.#training = mode;
      m.modeChanged();
    }
    return this;
  }
  /** Called when the mode was set, for layers that keep other parameters in training. */
  protected modeChanged(): void {}
  /** The mode for inference: `train(false)`. */
  eval(): this {
    return this.train(false);
  }
  /** Casts the parameters that the predicate accepts (floats by default). */
  setDtype(dtype: DType, predicate: (d: DType) => boolean = (d) => d.kind === "float"): this {
    return this.apply((x) => predicate(x.dtype) ? x.astype(dtype) : x);
  }

  /**
   * Loads parameters from a file, or from pairs of path and array.
   * @throws CheckpointError where names or shapes do not fit, unless `strict` is false.
   */
  loadWeights(source: string | readonly (readonly [string, NDArray])[], options: StrictOptions = {}): this {
    const weights = typeof source === "string" ? Object.entries(load(source)) : source, strict = options.strict ?? true;
    const own = new Map(flattenParameters(this.parameters()));
    if (strict) checkWeights(own, weights);
    return this.update(unflatten(weights.filter(([k]) => strict || own.has(k))), { strict });
  }
  /** Saves all parameters as safetensors. */
  async saveWeights(file: string): Promise<void> {
    const all = flattenParameters(this.parameters());
    evaluate(all.map(([, x]) => x));
    await saveSafetensors(file, Object.fromEntries(all));
  }
}

function failField(m: Module, key: string): never {
  return fail(ValueError, "module", {
    cannot: `set ${key} of ${m.constructor.name}`,
    expected: `one of ${Object.keys(m).join(", ") || "no fields"}`,
    got: key,
    fix: "check the name, or pass { strict: false }",
  });
}
function checkWeights(own: ReadonlyMap<string, NDArray>, weights: readonly (readonly [string, NDArray])[]): void {
  const given = new Map(weights),
    missing = [...own.keys()].filter((k) => !given.has(k)),
    extra = [...given.keys()].filter((k) => !own.has(k));
  const some = (list: string[]) =>
    list.slice(0, 5).join(", ") + (list.length > 5 ? `, and ${list.length - 5} more` : "");
  if (extra.length) {
    fail(CheckpointError, "loadWeights", {
      cannot: "load the weights",
      expected: "parameters of the model",
      got: `others: ${some(extra)}`,
      fix: "check the model's configuration, or pass { strict: false }",
    });
  }
  if (missing.length) {
    fail(CheckpointError, "loadWeights", {
      cannot: "load the weights",
      expected: "every parameter of the model",
      got: `none for ${some(missing)}`,
      fix: "load all files of the checkpoint, or pass { strict: false }",
    });
  }
  for (const [k, x] of own) {
    const w: unknown = given.get(k);
    if (w instanceof NDArray && w.shape.join() === x.shape.join()) continue;
    fail(CheckpointError, "loadWeights", {
      cannot: `fill ${k}`,
      expected: `${x.dtype}[${x.shape.join()}]`,
      got: w instanceof NDArray ? `${w.dtype}[${w.shape.join()}]` : typeof w,
      fix: "check the model's configuration",
    });
  }
}
/** Pairs of path and array as a tree; a list's indices become keys, which `update` takes too. */
function unflatten(pairs: readonly (readonly [string, NDArray])[]): Parameters {
  const root: Parameters = {};
  for (const [path, x] of pairs) {
    const keys = path.split("."), last = keys.pop()!;
    let at: { [key: string]: ParameterTree } = root;
    for (const k of keys) {
      const next = at[k];
      at = next !== undefined && !(next instanceof NDArray) && !Array.isArray(next) ? next : at[k] = {};
    }
    at[last] = x;
  }
  return root;
}
