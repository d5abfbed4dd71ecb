/**
 * Trees: lists and plain objects, nested, with anything else as leaves (arrays, numbers, null, instances of classes).
 * Parameters, gradients and optimizer states are trees.
 * @module
 */
import { fail, ValueError } from "./errors.ts";

/** A leaf, or a list or plain object of trees. */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };
/** Decides what counts as a leaf although it is a list or an object. */
export type IsLeaf = (node: unknown) => boolean;
/** Options of the functions here. */
export interface TreeOptions {
  /** What counts as a leaf besides everything that is neither a list nor a plain object. */
  readonly isLeaf?: IsLeaf | null;
}

/**
 * Whether it is an object without a class.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isPlainObject({ a: 1 }); // true
 * mx.isPlainObject([1]); // false
 * mx.isPlainObject(mx.ones([2])); // false: a leaf of trees
 * ```
 */
export function isPlainObject(x: unknown): x is Record<string, unknown> {
  if (typeof x !== "object" || x === null) return false;
  const prototype = Object.getPrototypeOf(x);
  return prototype === Object.prototype || prototype === null;
}
function isList<T>(x: Tree<T>): x is readonly Tree<T>[] {
  return Array.isArray(x);
}
function isObject<T>(x: Tree<T>): x is { readonly [key: string]: Tree<T> } {
  return isPlainObject(x);
}
/** The leaf type of a node that is neither list nor object. */
function isLeafOf<T>(x: Tree<T>, isLeaf: IsLeaf | null | undefined): x is T {
  return (!Array.isArray(x) && !isPlainObject(x)) || (isLeaf?.(x) ?? false);
}
const join = (path: string, key: string | number): string => path === "" ? String(key) : `${path}.${key}`;

/** Options of {@linkcode treeFlatten}; D is where the leaves go. */
export interface FlattenOptions<D = unknown> extends TreeOptions {
  /** What the paths begin with. */
  readonly prefix?: string;
  /** Where the leaves go: a list of pairs, or an object that takes them by path. Default: a new list. */
  readonly destination?: D | null;
}
/**
 * The leaves with their paths, in order: keys and positions joined by dots (`mlx.utils.tree_flatten`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.treeFlatten({ a: 1, b: [2, 3] }); // [["a", 1], ["b.0", 2], ["b.1", 3]]
 * mx.treeFlatten({ a: 1, b: [2, 3] }, { destination: {} }); // { a: 1, "b.0": 2, "b.1": 3 }
 * ```
 */
export function treeFlatten<T>(tree: Tree<T>, options?: FlattenOptions<[string, T][]>): [string, T][];
/** As above, into an object. */
export function treeFlatten<T>(
  tree: Tree<T>,
  options: FlattenOptions & { readonly destination: Record<string, T> },
): Record<string, T>;
export function treeFlatten<T>(
  tree: Tree<T>,
  options: FlattenOptions<[string, T][] | Record<string, T>> = {},
): [string, T][] | Record<string, T> {
  const destination = options.destination ?? [], found = Array.isArray(destination) ? destination : [];
  const walk = (node: Tree<T>, path: string): void => {
    if (isLeafOf(node, options.isLeaf)) found.push([path.startsWith(".") ? path.slice(1) : path, node]);
    else if (isList(node)) node.forEach((child, i) => walk(child, `${path}.${i}`));
    else if (isObject(node)) { for (const [key, child] of Object.entries(node)) walk(child, `${path}.${key}`); }
  };
  walk(tree, options.prefix ?? "");
  return Array.isArray(destination) ? found : Object.assign(destination, Object.fromEntries(found));
}
/**
 * The tree of paths and leaves, as made by {@linkcode treeFlatten}, or of an object that holds leaves by path
 * (`mlx.utils.tree_unflatten`). Where all keys at a level are numbers, the node is a list, whose gaps are empty
 * objects.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.treeUnflatten([["a", 1], ["b.0", 2]]); // { a: 1, b: [2] }
 * ```
 */
export function treeUnflatten<T>(leaves: readonly (readonly [string, T])[] | Readonly<Record<string, T>>): Tree<T> {
  return unflatten(isPairs(leaves) ? leaves : Object.entries(leaves));
}
function isPairs<T>(
  x: readonly (readonly [string, T])[] | Readonly<Record<string, T>>,
): x is readonly (readonly [string, T])[] {
  return Array.isArray(x);
}
function unflatten<T>(leaves: readonly (readonly [string, T])[]): Tree<T> {
  if (leaves.length === 1 && leaves[0]![0] === "") return leaves[0]![1];
  const children = new Map<string, [string, T][]>();
  for (const [path, leaf] of leaves) {
    const dot = path.indexOf("."), key = dot < 0 ? path : path.slice(0, dot);
    const group = children.get(key) ?? [];
    group.push([dot < 0 ? "" : path.slice(dot + 1), leaf]);
    children.set(key, group);
  }
  const positions = new Map([...children.keys()].map((key) => [Number(key), key]));
  const isListLevel = positions.size === children.size && [...children.keys()].every((key) => /^\d+$/.test(key));
  if (!isListLevel) return Object.fromEntries([...children].map(([key, group]) => [key, unflatten(group)]));
  const items: Tree<T>[] = [];
  for (const [i, key] of [...positions].sort(([i], [j]) => i - j)) {
    if (i >= MOST_ITEMS) {
      fail(ValueError, "treeUnflatten", {
        cannot: `make a list with an item ${key}`,
        expected: `positions below ${MOST_ITEMS}`,
        got: key,
        fix: "name it otherwise",
      });
    }
    while (items.length < i) items.push({});
    items.push(unflatten(children.get(key)!));
  }
  return items;
}
/** Longest list that paths may ask for, so that a wrong path cannot fill the memory with gaps. */
const MOST_ITEMS = 2 ** 24;

/** Further trees to walk together with the first, and options behind them. */
export type More<T> = readonly (Tree<T> | TreeOptions)[];
function isOptions(x: unknown): x is TreeOptions {
  return isPlainObject(x) && typeof x.isLeaf === "function";
}
function separate<T>(more: More<T>): [Tree<T>[], IsLeaf | undefined] {
  const rest: Tree<T>[] = [];
  let isLeaf: IsLeaf | undefined;
  for (const x of more) {
    if (isOptions(x)) isLeaf = x.isLeaf ?? undefined;
    else rest.push(x);
  }
  return [rest, isLeaf];
}
/**
 * The tree with a function applied to every leaf, and to what stands at its place in further trees
 * (`mlx.utils.tree_map`). Lists stay lists, objects objects. `{ isLeaf }` may follow the trees.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.treeMap((x: number) => 2 * x, { a: 1, b: [2] }); // { a: 2, b: [4] }
 * ```
 */
export function treeMap<T, U>(fn: (leaf: T, ...rest: Tree<T>[]) => U, tree: Tree<T>, ...more: More<T>): Tree<U> {
  return mapNode((_path, leaf, ...rest) => fn(leaf, ...rest), tree, "", ...separate(more));
}
/**
 * Like {@linkcode treeMap}; the function gets the path first (`mlx.utils.tree_map_with_path`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const tree = { layers: [{ weight: 1, bias: 2 }] };
 * mx.treeMapWithPath((path, x: number) => path.endsWith("bias") ? 0 : x, tree); // { layers: [{ weight: 1, bias: 0 }] }
 * ```
 */
export function treeMapWithPath<T, U>(
  fn: (path: string, leaf: T, ...rest: Tree<T>[]) => U,
  tree: Tree<T>,
  ...more: More<T>
): Tree<U> {
  return mapNode(fn, tree, "", ...separate(more));
}
type OnLeaf<T, U> = (path: string, leaf: T, ...rest: Tree<T>[]) => U;
function mapNode<T, U>(
  fn: OnLeaf<T, U>,
  tree: Tree<T>,
  path: string,
  rest: readonly Tree<T>[],
  isLeaf: IsLeaf | undefined,
): Tree<U> {
  if (isLeafOf(tree, isLeaf)) return fn(path, tree, ...rest);
  const below = (child: Tree<T>, key: string | number): Tree<U> =>
    mapNode(fn, child, join(path, key), rest.map((r) => childAt(r, key, path)), isLeaf);
  if (isList(tree)) return tree.map(below);
  return isObject(tree) ? Object.fromEntries(Object.entries(tree).map(([key, child]) => [key, below(child, key)])) : {};
}
/** The child of a further tree, which must have at least the nodes of the first. */
function childAt<T>(tree: Tree<T>, key: string | number, path: string): Tree<T> {
  if (typeof key === "number" && isList(tree) && key < tree.length) return tree[key]!;
  if (typeof key === "string" && isObject(tree) && Object.hasOwn(tree, key)) return tree[key]!;
  return fail(ValueError, "treeMap", {
    cannot: `walk several trees together at ${join(path, key)}`,
    expected: "a node there in every tree",
    got: "a tree without it",
    fix: "pass trees of one structure",
  });
}
/** Options of {@linkcode treeReduce}. */
export interface TreeReduceOptions<A> extends TreeOptions {
  /** Where it begins. Default: the first leaf. */
  readonly initializer?: A;
}
/**
 * The leaves joined, from the first to the last, by a function (`mlx.utils.tree_reduce`). Without an initializer it
 * begins with the first leaf; an empty tree gives undefined.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.treeReduce((sum: number, x: number) => sum + x, { a: [1, 2], b: 3 }, { initializer: 0 }); // 6
 * ```
 */
export function treeReduce<T, A>(
  fn: (accumulator: A, leaf: T) => A,
  tree: Tree<T>,
  options: TreeReduceOptions<A> & { readonly initializer: A },
): A;
/** As above, beginning with the first leaf. */
export function treeReduce<T>(
  fn: (accumulator: T, leaf: T) => T,
  tree: Tree<T>,
  options?: TreeReduceOptions<T>,
): T | undefined;
export function treeReduce<T>(
  fn: (accumulator: T, leaf: T) => T,
  tree: Tree<T>,
  options: TreeReduceOptions<T> = {},
): T | undefined {
  let value = options.initializer;
  for (const [, leaf] of treeFlatten(tree, { isLeaf: options.isLeaf })) {
    value = value === undefined ? leaf : fn(value, leaf);
  }
  return value;
}
/** Options of {@linkcode treeMerge}. */
export interface TreeMergeOptions<T> {
  /** What becomes of two leaves at one place; without it that is an error. */
  readonly mergeFn?: ((a: T, b: T) => T) | null;
}
/**
 * Both trees in one (`mlx.utils.tree_merge`). Null and empty lists or objects count as nothing; leaves at the same
 * place are joined by `mergeFn`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.treeMerge({ a: 1 }, { b: 2 }); // { a: 1, b: 2 }
 * ```
 */
export function treeMerge<T>(
  a: Tree<T> | null | undefined,
  b: Tree<T> | null | undefined,
  options: TreeMergeOptions<T> | ((a: T, b: T) => T) = {},
): Tree<T> {
  const mergeFn = typeof options === "function" ? options : options.mergeFn;
  const merged = mergeNodes(a ?? null, b ?? null, (x, y) => {
    if (mergeFn) return mergeFn(x, y);
    return fail(ValueError, "treeMerge", {
      cannot: "merge two leaves at one place",
      expected: "a mergeFn",
      got: "none",
      fix: "pass { mergeFn } or remove one of them",
    });
  });
  return merged ?? {};
}
const isEmpty = (x: unknown): boolean =>
  Array.isArray(x) ? x.length === 0 : isPlainObject(x) && Object.keys(x).length === 0;
function mergeNodes<T>(a: Tree<T> | null, b: Tree<T> | null, merge: (a: T, b: T) => T): Tree<T> | null {
  if (isEmpty(a) && isEmpty(b) && Array.isArray(a) !== Array.isArray(b)) return failUnlike();
  if (a === null || (isEmpty(a) && b !== null)) return b;
  if (b === null || isEmpty(b)) return a;
  if (isList(a) && isList(b)) {
    return Array.from(
      { length: Math.max(a.length, b.length) },
      (_, i) => mergeNodes(a[i] ?? null, b[i] ?? null, merge) ?? {},
    );
  }
  if (isObject(a) && isObject(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return Object.fromEntries(keys.map((key) => [key, mergeNodes(a[key] ?? null, b[key] ?? null, merge) ?? {}]));
  }
  return isLeafOf(a, null) && isLeafOf(b, null) ? merge(a, b) : failUnlike();
}
function failUnlike(): never {
  return fail(ValueError, "treeMerge", {
    cannot: "merge a leaf with a list or object, or a list with an object",
    expected: "trees of like structure",
    got: "different nodes",
    fix: "rename one of them",
  });
}
