/**
 * Which arguments of a function are differentiated: positions, and names in the last argument; and the types of what
 * comes out in their places.
 * @module
 */
import type { NDArray } from "../array.ts";
import { fail, TransformError } from "../errors.ts";
import { type Flat, flatten } from "./trace.ts";

/** Which arguments to differentiate: positions, and names in the last argument if that is a plain object. */
export interface GradOptions {
  /** Positions of arguments, from the last one if negative. Default 0, or none if there are argnames. */
  readonly argnums?: number | readonly number[];
  /** Keys of the trailing options object. */
  readonly argnames?: string | readonly string[];
}
/** What says which arguments are meant: a position, several, or positions and names. */
export type Argnums = number | readonly number[] | GradOptions;

/** The last argument. */
export type LastArgument<A extends readonly unknown[]> = A extends readonly [...unknown[], infer L] ? L : A[number];
/** The argument at a position, which may count from the end. */
export type ArgumentAt<A extends readonly unknown[], N extends number> = number extends N | A["length"] ? A[number]
  : `${N}` extends keyof A ? A[`${N}`]
  : N extends -1 ? LastArgument<A>
  : N extends -2 ? A extends readonly [...unknown[], infer X, unknown] ? X : never
  : N extends -3 ? A extends readonly [...unknown[], infer X, unknown, unknown] ? X : never
  : `${N}` extends `-${string}` ? A[number]
  : never;
/** The arguments at several positions. */
export type ArgumentsAt<A extends readonly unknown[], S extends readonly number[]> = {
  -readonly [I in keyof S]: ArgumentAt<A, S[I]>;
};
/** Fields of the last argument. */
export type NamedArguments<A extends readonly unknown[], K> = {
  [P in K extends readonly string[] ? K[number] : K & string]: P extends keyof LastArgument<A> ? LastArgument<A>[P]
    : never;
};
/**
 * What a function of `A` has in the place of its gradients: for one position (or a list of one) what has the form of
 * that argument, for several a list of these; with `argnames` a pair of that (null without `argnums`) and an object.
 */
export type Gradient<A extends readonly unknown[], S extends Argnums = 0> = S extends number ? ArgumentAt<A, S>
  : S extends readonly [infer Only extends number] ? ArgumentAt<A, Only>
  : S extends readonly number[] ? number extends S["length"] ? A[number][] : ArgumentsAt<A, S>
  : S extends { readonly argnames: infer K }
    ? [S extends { readonly argnums: infer N extends Argnums } ? Gradient<A, N> : null, NamedArguments<A, K>]
  : S extends { readonly argnums: infer N extends Argnums } ? Gradient<A, N>
  : ArgumentAt<A, 0>;

/** Positions and names, and whether one position was asked for. */
export interface Selection {
  readonly argnums: readonly number[];
  readonly argnames: readonly string[];
  readonly single: boolean;
}
function isList(x: Argnums): x is readonly number[] {
  return Array.isArray(x);
}
/** The selection that the user's argument means. */
export function selection(argnums: Argnums): Selection {
  const o: GradOptions = typeof argnums === "number" || isList(argnums) ? { argnums } : argnums;
  const names = typeof o.argnames === "string" ? [o.argnames] : o.argnames ?? [];
  const nums = o.argnums ?? (names.length ? [] : 0), list = typeof nums === "number" ? [nums] : nums;
  return { argnums: list, argnames: names, single: list.length === 1 };
}

/** Named values; arguments that have names are in the last one. */
type Fields = Readonly<Record<string, unknown>>;
function isFields(x: unknown): x is Fields {
  return typeof x === "object" && x !== null;
}
function lastFields(args: readonly unknown[]): Fields {
  const last = args.at(-1);
  return isFields(last) ? last : {};
}
/** Values in the places of the selected arguments, by position and by name. */
export type Picked = readonly [readonly unknown[], Fields];
/** The selected part of a call's arguments. */
export interface Selected<A extends readonly unknown[]> {
  /** Its arrays, and the way back to the same trees of others. */
  readonly flat: Flat<Picked>;
  /** All arguments, with other arrays in the selected ones. */
  readonly replaced: (arrays: readonly NDArray[]) => A;
  /** What comes out for a tree of values in the selected places: bare, as a list, or with names. */
  readonly result: (picked: Picked) => unknown;
}
/** Looks up the selected arguments of a call. */
export function selected<A extends readonly unknown[]>(op: string, s: Selection, args: A): Selected<A> {
  const last = lastFields(args), positions = s.argnums.map((at) => positionOf(op, at, args.length));
  const picked: Picked = [positions.map((i) => args[i]), Object.fromEntries(s.argnames.map((k) => [k, last[k]]))];
  const flat = flatten(picked);
  if (!flat.arrays.length) {
    fail(TransformError, op, {
      cannot: "differentiate",
      expected: "arrays in the chosen arguments",
      got: "none",
      fix: "pass arrays, or change argnums",
    });
  }
  return {
    flat,
    replaced: (arrays) => withValues(args, positions, s.argnames.length > 0, flat.restore(arrays)),
    result: ([positional, named]) => {
      const first = s.single ? positional[0] : s.argnums.length ? positional : null;
      return s.argnames.length ? [first, named] : first;
    },
  };
}
function positionOf(op: string, at: number, n: number): number {
  const i = at < 0 ? at + n : at;
  if (Number.isInteger(i) && i >= 0 && i < n) return i;
  return fail(TransformError, op, {
    cannot: `differentiate argument ${at}`,
    expected: `one of ${n} arguments`,
    got: String(at),
    fix: "change argnums",
  });
}
/** The arguments with others in the chosen places. */
function withValues<A extends readonly unknown[]>(args: A, at: readonly number[], hasNames: boolean, p: Picked): A;
function withValues(
  args: readonly unknown[],
  at: readonly number[],
  hasNames: boolean,
  [positional, named]: Picked,
): readonly unknown[] {
  const inner = [...args];
  at.forEach((i, k) => inner[i] = positional[k]);
  if (hasNames) inner[inner.length - 1] = { ...lastFields(inner), ...named };
  return inner;
}
