/**
 * What a case is: for one primitive the inputs to try, the dtypes, how exact the result has to be, and the reference,
 * which is written from the mathematics in double precision. The generic suites in `tests/ops` name no primitive; they
 * read this.
 * @module
 */
import {
  bfloat16,
  bool_,
  complex64,
  type DType,
  float16,
  float32,
  float64,
  int16,
  int32,
  int64,
  int8,
  uint16,
  uint32,
  uint64,
  uint8,
} from "../../core/dtype.ts";
import type { AnyParams } from "../../core/graph.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import type { ParamsOf, PrimitiveName } from "../../core/primitives/mod.ts";
import { type C, plus as complexPlus } from "./complex.ts";
import type { Domain } from "./generate.ts";
import { count, type Tensor, type Values } from "./tensor.ts";

/** One input: its shape, where its numbers come from, and its dtype where it is not that of the case. */
export interface Input {
  readonly shape: Shape;
  readonly domain: Domain;
  readonly dtype?: DType;
  /** A float input without derivative. */
  readonly fixed?: boolean;
  /** Its numbers belong together (a regular matrix): others of the same range would not do. */
  readonly joint?: boolean;
}
/** Parameters and inputs that go together. */
export interface Variant<P = AnyParams> {
  readonly params: P;
  readonly inputs: readonly Input[];
  /** In place of the case's dtypes. */
  readonly dtypes?: readonly DType[];
  /**
   * What is special here: the forward test prints it. Variants with a label take no part in the tests of derivatives.
   */
  readonly label?: string;
  /** Why second derivatives are not tested here. */
  readonly firstOrder?: string;
}
/** How far a result may be from the reference. */
export interface Tolerance {
  /** Units in the last place of float32 and float64. Default 4. */
  readonly ulps?: number;
  /** The same of float16 and bfloat16. Default 1. */
  readonly half?: number;
  /**
   * Results below this size count as this large. Default: for elementwise primitives 0, else the largest result. Sums
   * cancel, so their error has the size of what was added.
   */
  readonly floor?: number;
}
/** Tests that a case takes no part in, with the reason. */
export interface Skips {
  readonly transpose?: (dtype: DType) => string | null;
  readonly second?: (dtype: DType) => string | null;
  readonly derivative?: (dtype: DType) => string | null;
}
/** Sizes for benches. */
export interface Perf<P = AnyParams> {
  readonly label: string;
  readonly dtype: DType;
  readonly params: P;
  readonly inputs: readonly Input[];
  /** Arithmetic operations of one call; 0 where only bytes count. */
  readonly flops: number;
}
/** One primitive. Methods, so that a case with its own parameters is a case. */
export interface Case<P = AnyParams> {
  readonly dtypes: readonly DType[];
  readonly variants: readonly Variant<P>[];
  readonly tolerance?: Tolerance;
  readonly skips?: Skips;
  readonly perf: readonly Perf<P>[];
  /** The result, exact as far as double precision goes; it is rounded to the dtype by the tests. */
  reference(xs: readonly Tensor[], params: P, out: Aval): Values;
}
/** A case for each of these primitives: one that is missing does not compile. */
export type Cases<N extends PrimitiveName> = { readonly [K in N]: Case<ParamsOf<K>> };

/** Float dtypes, float64 first: derivatives are checked in the first one. */
export const floats: readonly DType[] = [float64, float32, float16, bfloat16];
/** Floats and complex numbers. */
export const inexact: readonly DType[] = [...floats, complex64];
/** Integers of all sizes. */
export const integral: readonly DType[] = [int32, uint8, uint16, uint32, uint64, int8, int16, int64];
/** All numbers. */
export const numbers: readonly DType[] = [...inexact, ...integral];
/** All dtypes. */
export const all: readonly DType[] = [...numbers, bool_];
/** What the fused operations of neural networks take. */
export const networkFloats: readonly DType[] = [float32, float16, bfloat16];

/** Shapes that every elementwise primitive is tried on: usual, 0-d, empty, five axes, more than one tile. */
export const SHAPES: readonly Shape[] = [[2, 3, 5], [], [0, 3], [2, 1, 3, 2, 2], [3, 1111]];
/** A million elements. */
export const LARGE: Shape = [1024, 1024];

/** Numbers from a function of the place. */
export function valuesFrom(n: number, at: (i: number) => number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => at(i));
}
/** An element as a complex number. */
export function elementOf(x: Tensor, i: number): C {
  return [x.re[i]!, x.im?.[i] ?? 0];
}
/** Complex numbers from a function of the place, as the dtype has them. */
export function complexFrom(out: Aval, at: (i: number) => C): Values {
  const n = count(out.shape), re = new Float64Array(n), im = new Float64Array(n);
  for (let i = 0; i < n; i++) [re[i], im[i]] = at(i) as [number, number];
  return out.dtype === complex64 ? { re, im } : re;
}
/** Reference of an elementwise primitive: 0-d inputs are repeated. `general` is for complex inputs. */
export function elementwise(
  plain: (...xs: number[]) => number,
  general?: (...xs: C[]) => C,
): (xs: readonly Tensor[], params: unknown, out: Aval) => Values {
  return (xs, _params, out) => {
    const place = (x: Tensor, i: number) => x.shape.length === 0 ? 0 : i;
    if (general && xs.some((x) => x.im)) {
      return complexFrom(out, (i) => general(...xs.map((x) => elementOf(x, place(x, i)))));
    }
    return valuesFrom(count(out.shape), (i) => plain(...xs.map((x) => x.re[place(x, i)]!)));
  };
}
/** Sums of the terms that `terms` gives for each place of the result. */
export function sums(out: Aval, terms: (i: number, add: (z: C) => void) => void): Values {
  return complexFrom(out, (i) => {
    let total: C = [0, 0];
    terms(i, (z) => total = complexPlus(total, z));
    return total;
  });
}
