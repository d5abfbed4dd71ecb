/**
 * The record that every primitive is written as, and the builders that write a derivative once.
 *
 * A primitive is one row of the op table (`core/primitives/mod.ts`). Shared code (eval, transforms, encoder, generated
 * headers) asks the record; it never tests a name.
 * @module
 */
import type { DType } from "./dtype.ts";
import type { NDArray } from "./array.ts";

/** Lengths of the axes. */
export type Shape = readonly number[];
/** An array seen from outside: what `infer` works on. */
export interface Aval {
  readonly shape: Shape;
  readonly dtype: DType;
}
/** Where an array's elements are inside its buffer: the first one, and the step of each axis, in elements. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
}
/** Numbers of the host, before they are uploaded. */
export type HostData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | Float16Array;

/** Kinds of parameters. All but `host` cross to the native side and decide the C++ struct. */
export interface ParamTypes {
  int: number;
  float: number;
  bool: boolean;
  ints: readonly number[];
  dtype: DType;
  host: HostData;
}
/** Names and kinds of a primitive's parameters, in the order they are packed. */
export type ParamSchema = Readonly<Record<string, keyof ParamTypes>>;
/** The parameters that a schema describes. */
export type Params<S extends ParamSchema> = { readonly [K in keyof S]: ParamTypes[S[K]] };

/** `A` copies of `T`, so that rules can write `[a, b]`; a list where the arity is not fixed. */
export type Tuple<T, A extends number> = number extends A ? readonly T[]
  : A extends 0 ? readonly []
  : A extends 1 ? readonly [T]
  : A extends 2 ? readonly [T, T]
  : A extends 3 ? readonly [T, T, T]
  : A extends 4 ? readonly [T, T, T, T]
  : readonly T[];

/**
 * What a primitive is to the planner:
 * - `elementwise`: every input has the output's shape or is 0-d; fuses with its neighbours;
 * - `reduce`: has a parameter `axes` (ascending, the output lacks them); ends a fused kernel;
 * - `view`: no work, only another layout of the same bytes;
 * - `constant`: host data;
 * - `kernel`: a native kernel of its own.
 */
export type Kind = "elementwise" | "reduce" | "view" | "constant" | "kernel";
/** Files of this name hold the ops, the records, the CPU and Metal kernels and the test cases. */
export type Family =
  | "unary"
  | "binary"
  | "ternary"
  | "create"
  | "view"
  | "reduce"
  | "scan"
  | "sort"
  | "index"
  | "matmul"
  | "quantized"
  | "fast"
  | "conv"
  | "fft"
  | "linalg"
  | "random"
  | "custom";
/**
 * What layout a native kernel takes: `any` strides, unit stride in the last axis (`rows`), or `contiguous`. The planner
 * copies otherwise.
 */
export type Need = "any" | "rows" | "contiguous";

/** A rule that does not exist, with the reason. */
export interface None {
  readonly none: string;
}
/** One primitive. */
export interface Spec<S extends ParamSchema, A extends number = number> {
  readonly family: Family;
  readonly kind: Kind;
  /** There is a kernel for the GPU only; on the CPU it fails. */
  readonly onlyGpu?: boolean;
  /** Parameters, in the order they are packed for the kernel. */
  readonly params: S;
  /** Number of inputs. */
  readonly arity: A;
  /**
   * Rough work per element of an elementwise primitive: 1 for an addition, 8 for exp. Decides what may be computed
   * twice.
   */
  readonly cost?: number;
  /** Layouts that a native kernel takes, per input (the last entry holds for the rest); `contiguous` if absent. */
  readonly needs?: readonly Need[];
  /**
   * The input whose buffer a native kernel may write its result into, if the caller gives it away (`donate: true` in
   * `bind`).
   */
  readonly inPlace?: number;
  /**
   * Kernels of this primitive that share their first input are put next to each other: a GPU computes them in one
   * dispatch.
   */
  readonly together?: boolean;
  /**
   * Arithmetic operations of a call, a multiply-add being two: a profile shows them. Absent: `cost` for each element of
   * an elementwise primitive, one for each that a reduction reads, and none of any other.
   */
  readonly flops?: (x: Tuple<Aval, A>, y: Aval, p: Params<S>) => number;
  /**
   * Bytes that a call reads and writes, where that is not all of its inputs and its output. `inPlace` says that it
   * writes over its input of that name.
   */
  readonly traffic?: (x: Tuple<Aval, A>, y: Aval, p: Params<S>, inPlace: boolean) => number;
  /** Shape and dtype of the result; throws the user's error. */
  readonly infer: (x: Tuple<Aval, A>, p: Params<S>) => Aval;
  /**
   * Whether the parameters are possible for inputs like these. Ops check that before they bind; a graph from a file is
   * checked by this rule. Absent where the native side refuses what cannot be.
   */
  readonly valid?: (x: Tuple<Aval, A>, p: Params<S>) => boolean;
  /** Of a view: the layout of the result, or null where only a copy can have it. */
  readonly layout?: (x: Layout, from: Aval, to: Aval, p: Params<S>) => Layout | null;
  /** Cotangents of the inputs (null: none) from that of the output `y`. */
  readonly vjp: ((x: Tuple<NDArray, A>, y: NDArray, ct: NDArray, p: Params<S>) => readonly (NDArray | null)[]) | None;
  /**
   * Of one input: its cotangent added to the sum of others, where that takes less than making it and adding it up.
   */
  readonly vjpOnto?: (sum: NDArray, ct: NDArray, p: Params<S>) => NDArray;
  /** Tangent of the output from those of the inputs (null: zero; not all are null). */
  readonly jvp:
    | ((x: Tuple<NDArray, A>, y: NDArray, t: Tuple<NDArray | null, A>, p: Params<S>) => NDArray | null)
    | None;
  /**
   * `elementwise`, or the batched call: axis 0 of each mapped input, and of the result, is the batch of length `size`.
   */
  readonly vmap:
    | "elementwise"
    | ((x: Tuple<NDArray, A>, mapped: readonly boolean[], p: Params<S>, size: number) => NDArray)
    | None;
}
/** A record as the registry holds it: its inputs seen as plain lists. */
export interface Primitive extends Spec<ParamSchema, number> {
  readonly name: string;
  /** Row in the op table; the native side's `Op`. */
  readonly code: number;
}
/** Written loosely on purpose: a tighter type would widen the arity that `spec` infers. */
type Checked = { readonly params: unknown };
/** Types one record. */
export function spec<const S extends ParamSchema, const A extends number>(s: Spec<S, A>): Spec<S, A> {
  return s;
}
/** Gives each record its key as its name, keeping the parameter types. */
export function primitives<T extends Record<string, Checked>>(specs: T): { [K in keyof T]: T[K] & { name: K } } {
  for (const [name, s] of Object.entries(specs)) Object.assign(s, { name });
  return specs as { [K in keyof T]: T[K] & { name: K } };
}
