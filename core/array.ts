// Long because it has one short method for each function that takes an array first.
/**
 * The array that users hold: a lazy node with its values and all methods. What the methods compute is in `ops/`, when
 * it is computed in `eval.ts`.
 * @module
 */
import { runtime } from "../ffi/runtime.ts";
import { awaitArrays } from "./async.ts";
import { type MediaBundle, mediaOf } from "./display.ts";
import { type Complex, complex } from "./dtype.ts";
import { fail, ShapeError, ValueError } from "./errors.ts";
import { evaluate } from "./eval.ts";
import { format } from "./format.ts";
import { bind, describe, hostData, installArray, Node } from "./graph.ts";
import { allocate, bfloat16Value } from "./host.ts";
import { hostBytes } from "./lower.ts";
import { dispose } from "./memory.ts";
import * as binary from "./ops/binary.ts";
import * as create from "./ops/create.ts";
import * as index from "./ops/index.ts";
import { type ArrayAt, at, getItem, type IndexItem } from "./ops/indexing.ts";
import * as matmul from "./ops/matmul.ts";
import * as reduce from "./ops/reduce.ts";
import * as scan from "./ops/scan.ts";
import * as sort from "./ops/sort.ts";
import * as ternary from "./ops/ternary.ts";
import * as unary from "./ops/unary.ts";
import * as view from "./ops/view.ts";
import type { HostData } from "./primitive.ts";
import { rowMajorStrides, sizeOf } from "./shape.ts";
import { failure } from "./status.ts";
import { concrete, valueOf } from "./values.ts";

/** An array is inspected on a line of at most this length, and read for it only if it has no more elements. */
const INSPECTED = 72;
/** Parameters of a function after its first. */
export type Rest<F> = F extends (x: never, ...rest: infer R) => unknown ? R : never;
/** One value of an array: a number, a bigint for 64-bit integers, a boolean, or a complex number. */
export type Item = number | bigint | boolean | Complex;
/** Values as nested lists. */
export type NestedList = Item | NestedList[];
/** A copy of an array's values: bfloat16 as Float32Array, complex64 as pairs in a Float32Array, bool as Uint8Array. */
export type ArrayData = HostData;

/**
 * An n-dimensional array of one dtype (`mlx.core.array`): lazy, immutable, freed by itself. Made by `mx.array` and every
 * function of `mx`; those that take an array first are its methods, too.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([[1, 2], [3, 4]]);
 * x.shape; // [2, 2]
 * x.T.add(1).sum(0).tolist(); // [5, 9]
 * x.index("0, ::-1").tolist(); // [2, 1]
 * x.at(0).set(9).tolist(); // [[9, 9], [3, 4]]
 * ```
 */
export class NDArray extends Node {
  /** Number of axes. */
  get ndim(): number {
    return this.shape.length;
  }
  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }
  /** Bytes of one element. */
  get itemsize(): number {
    return this.dtype.size;
  }
  /** Bytes of all elements. */
  get nbytes(): number {
    return this.size * this.dtype.size;
  }
  /** The array with its axes reversed. */
  get T(): NDArray {
    return view.transpose(this);
  }
  /** The array with its last two axes exchanged. */
  get mT(): NDArray {
    return view.matrixTranspose(this);
  }
  /** The real part. */
  get real(): NDArray {
    return unary.real(this);
  }
  /** The imaginary part. */
  get imag(): NDArray {
    return unary.imag(this);
  }
  /** Gives the array a name that error messages use. */
  named(label: string): this {
    this.label = label;
    return this;
  }

  // ---- values -------------------------------------------------------------------------------------------------------
  /** Evaluates the array, waits, and copies its values in row-major order: see {@linkcode ArrayData}. */
  dataSync(): ArrayData {
    const raw = this.#raw();
    return this.dtype.name === "bfloat16" && raw instanceof Uint16Array ? Float32Array.from(raw, bfloat16Value) : raw;
  }
  /** The same without blocking the event loop while the values are computed. */
  async data(): Promise<ArrayData> {
    const x = valueOf("data", this);
    await awaitArrays([x]);
    return x.dataSync();
  }
  /** The only value of an array of one element. */
  item(): Item {
    if (this.size !== 1) {
      fail(ShapeError, "item", {
        cannot: `read one value of ${describe(this)}`,
        expected: "an array of one element",
        got: `${this.size} elements`,
        fix: "use tolist() or data() for more than one",
      });
    }
    return this.#value(this.#raw(), 0);
  }
  /** All values as nested lists; a 0-d array gives the value alone. */
  tolist(): NestedList {
    const raw = this.#raw();
    let at = 0;
    const level = (axis: number): NestedList => {
      if (axis === this.shape.length) return this.#value(raw, at++);
      return Array.from({ length: this.shape[axis]! }, () => level(axis + 1));
    };
    return level(0);
  }
  /** The values as NumPy and MLX print them: evaluates the array. What vmap or compile trace has only shape and dtype. */
  override toString(): string {
    if (!concrete(this)) return `array(traced, shape=[${this.shape.join(", ")}], dtype=${this.dtype})`;
    const raw = this.#raw();
    return format(this.shape, this.dtype, (i) => this.#value(raw, i));
  }
  /** What `${x}` gives. Operators such as `x + 1` and `x < y` would see this text or `NaN`, so they throw. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return this.toString();
    return fail(ValueError, "array", {
      cannot: "use operators on arrays",
      expected: "methods",
      got: "an operator such as +, * or <",
      fix: "write x.add(y), x.mul(y), x.less(y); x.item() is a number, `${x}` is text",
    });
  }
  /** Arrays are no JSON: numbers would lose their dtype, and NaN has no form there. */
  toJSON(): never {
    return fail(ValueError, "array", {
      cannot: `write ${describe(this)} as JSON`,
      expected: "numbers",
      got: "an array",
      fix: "use x.tolist(), or save it with mx.save",
    });
  }
  /**
   * How Deno inspects arrays: on one line, with the values of small ones that are there. Nothing is computed for it:
   * what was not evaluated has no values yet. `${x}` has them.
   */
  [Symbol.for("Deno.customInspect")](): string {
    return this.#line();
  }
  /** Node inspects arrays by this. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.#line();
  }
  #line(): string {
    const raw = this.#present(), text = raw && format(this.shape, this.dtype, (i) => this.#value(raw, i));
    const line = text?.replace(/\s*\n\s*/g, " ");
    if (line !== undefined && line.length <= INSPECTED) return line;
    const state = { lazy: ", not evaluated", spent: ", not kept", donated: ", given away", evaluated: "" }[this.state];
    return `array(shape=[${this.shape.join(", ")}], dtype=${this.dtype}${this.traced ? ", traced" : state})`;
  }
  /** Notebooks show arrays by this: as tables, and [height, width, 3 or 4] of uint8 or floats in 0..1 as pictures. */
  [Symbol.for("Jupyter.display")](): MediaBundle {
    if (!concrete(this)) return { "text/plain": this.toString() };
    const raw = this.#raw();
    return mediaOf(this, (i) => this.#value(raw, i), this.toString());
  }
  /** Gives the buffer back now instead of when the array is collected. The array must not be used afterwards. */
  dispose(): void {
    if (this.state !== "evaluated") return;
    dispose(this);
    this.state = "donated";
    this.donatedTo = "dispose()";
  }
  /** For `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
  #value(raw: HostData, i: number): Item {
    if (this.dtype.kind === "complex") return complex(Number(raw[2 * i]), Number(raw[2 * i + 1]));
    const v = raw[i]!;
    if (this.dtype.kind === "bool") return v !== 0;
    return this.dtype.name === "bfloat16" ? bfloat16Value(Number(v)) : v;
  }
  /** The values of a small array that need not be computed; null of others, and of one whose kernel failed. */
  #present(): HostData | null {
    if (this.traced || this.size > INSPECTED) return null;
    if (this.state === "lazy" && this.prim.kind === "constant") return hostData(this);
    if (this.state !== "evaluated") return null;
    const data = allocate(this.dtype, this.size), bytes = hostBytes(data), { size } = this.dtype;
    const { offset, strides } = this.layout ?? { offset: 0, strides: rowMajorStrides(this.shape) };
    const steps = rowMajorStrides(this.shape);
    for (let i = 0; i < this.size; i++) {
      const at = this.shape.reduce((sum, n, k) => sum + Math.floor(i / steps[k]!) % n * strides[k]!, offset);
      if (runtime().read(this.handle, at * size, bytes.subarray(i * size, (i + 1) * size))) return null;
    }
    return data;
  }
  /** The values as they are stored. */
  #raw(): HostData {
    if (this.traced) return valueOf("data", this).#raw();
    evaluate([this]);
    if (this.layout) return contiguousCopy(this).#raw();
    const data = allocate(this.dtype, this.size), failed = runtime().read(this.handle, 0, hostBytes(data));
    if (failed) throw failure("data", failed);
    return data;
  }

  // ---- indexing -----------------------------------------------------------------------------------------------------
  /**
   * Reads a part: numbers drop their axis, `mx.slice(start, stop, step)` keeps it, `null` adds one, `"..."` stands for
   * the rest, integer arrays and lists gather; or all of it in NumPy's spelling, `x.index("0, 1:3, ..., None")`.
   */
  index(...items: IndexItem[]): NDArray {
    return getItem(this, items);
  }
  /**
   * Functional updates of a part: `x.at(0).set(v)`, and `add`, `subtract`, `multiply`, `divide`, `maximum`, `minimum`.
   */
  at(...items: IndexItem[]): ArrayAt {
    return at(this, items);
  }

  // ---- unary -----------------------------------------------------------------------------------------------
  /** As `mx.abs` with this array as its first argument. */
  abs(...rest: Rest<typeof unary.abs>): NDArray {
    return unary.abs(this, ...rest);
  }
  /** As `mx.sign` with this array as its first argument. */
  sign(...rest: Rest<typeof unary.sign>): NDArray {
    return unary.sign(this, ...rest);
  }
  /** As `mx.square` with this array as its first argument. */
  square(...rest: Rest<typeof unary.square>): NDArray {
    return unary.square(this, ...rest);
  }
  /** As `mx.sqrt` with this array as its first argument. */
  sqrt(...rest: Rest<typeof unary.sqrt>): NDArray {
    return unary.sqrt(this, ...rest);
  }
  /** As `mx.rsqrt` with this array as its first argument. */
  rsqrt(...rest: Rest<typeof unary.rsqrt>): NDArray {
    return unary.rsqrt(this, ...rest);
  }
  /** As `mx.reciprocal` with this array as its first argument. */
  reciprocal(...rest: Rest<typeof unary.reciprocal>): NDArray {
    return unary.reciprocal(this, ...rest);
  }
  /** As `mx.negative` with this array as its first argument. */
  negative(...rest: Rest<typeof unary.negative>): NDArray {
    return unary.negative(this, ...rest);
  }
  /** As `mx.exp` with this array as its first argument. */
  exp(...rest: Rest<typeof unary.exp>): NDArray {
    return unary.exp(this, ...rest);
  }
  /** As `mx.expm1` with this array as its first argument. */
  expm1(...rest: Rest<typeof unary.expm1>): NDArray {
    return unary.expm1(this, ...rest);
  }
  /** As `mx.log` with this array as its first argument. */
  log(...rest: Rest<typeof unary.log>): NDArray {
    return unary.log(this, ...rest);
  }
  /** As `mx.log1p` with this array as its first argument. */
  log1p(...rest: Rest<typeof unary.log1p>): NDArray {
    return unary.log1p(this, ...rest);
  }
  /** As `mx.log2` with this array as its first argument. */
  log2(...rest: Rest<typeof unary.log2>): NDArray {
    return unary.log2(this, ...rest);
  }
  /** As `mx.log10` with this array as its first argument. */
  log10(...rest: Rest<typeof unary.log10>): NDArray {
    return unary.log10(this, ...rest);
  }
  /** As `mx.sin` with this array as its first argument. */
  sin(...rest: Rest<typeof unary.sin>): NDArray {
    return unary.sin(this, ...rest);
  }
  /** As `mx.cos` with this array as its first argument. */
  cos(...rest: Rest<typeof unary.cos>): NDArray {
    return unary.cos(this, ...rest);
  }
  /** As `mx.tan` with this array as its first argument. */
  tan(...rest: Rest<typeof unary.tan>): NDArray {
    return unary.tan(this, ...rest);
  }
  /** As `mx.arcsin` with this array as its first argument. */
  arcsin(...rest: Rest<typeof unary.arcsin>): NDArray {
    return unary.arcsin(this, ...rest);
  }
  /** As `mx.arccos` with this array as its first argument. */
  arccos(...rest: Rest<typeof unary.arccos>): NDArray {
    return unary.arccos(this, ...rest);
  }
  /** As `mx.arctan` with this array as its first argument. */
  arctan(...rest: Rest<typeof unary.arctan>): NDArray {
    return unary.arctan(this, ...rest);
  }
  /** As `mx.sinh` with this array as its first argument. */
  sinh(...rest: Rest<typeof unary.sinh>): NDArray {
    return unary.sinh(this, ...rest);
  }
  /** As `mx.cosh` with this array as its first argument. */
  cosh(...rest: Rest<typeof unary.cosh>): NDArray {
    return unary.cosh(this, ...rest);
  }
  /** As `mx.tanh` with this array as its first argument. */
  tanh(...rest: Rest<typeof unary.tanh>): NDArray {
    return unary.tanh(this, ...rest);
  }
  /** As `mx.arcsinh` with this array as its first argument. */
  arcsinh(...rest: Rest<typeof unary.arcsinh>): NDArray {
    return unary.arcsinh(this, ...rest);
  }
  /** As `mx.arccosh` with this array as its first argument. */
  arccosh(...rest: Rest<typeof unary.arccosh>): NDArray {
    return unary.arccosh(this, ...rest);
  }
  /** As `mx.arctanh` with this array as its first argument. */
  arctanh(...rest: Rest<typeof unary.arctanh>): NDArray {
    return unary.arctanh(this, ...rest);
  }
  /** As `mx.erf` with this array as its first argument. */
  erf(...rest: Rest<typeof unary.erf>): NDArray {
    return unary.erf(this, ...rest);
  }
  /** As `mx.erfinv` with this array as its first argument. */
  erfinv(...rest: Rest<typeof unary.erfinv>): NDArray {
    return unary.erfinv(this, ...rest);
  }
  /** As `mx.sigmoid` with this array as its first argument. */
  sigmoid(...rest: Rest<typeof unary.sigmoid>): NDArray {
    return unary.sigmoid(this, ...rest);
  }
  /** As `mx.floor` with this array as its first argument. */
  floor(...rest: Rest<typeof unary.floor>): NDArray {
    return unary.floor(this, ...rest);
  }
  /** As `mx.ceil` with this array as its first argument. */
  ceil(...rest: Rest<typeof unary.ceil>): NDArray {
    return unary.ceil(this, ...rest);
  }
  /** As `mx.trunc` with this array as its first argument. */
  trunc(...rest: Rest<typeof unary.trunc>): NDArray {
    return unary.trunc(this, ...rest);
  }
  /** As `mx.round` with this array as its first argument. */
  round(...rest: Rest<typeof unary.round>): NDArray {
    return unary.round(this, ...rest);
  }
  /** As `mx.logicalNot` with this array as its first argument. */
  logicalNot(...rest: Rest<typeof unary.logicalNot>): NDArray {
    return unary.logicalNot(this, ...rest);
  }
  /** As `mx.bitwiseInvert` with this array as its first argument. */
  bitwiseInvert(...rest: Rest<typeof unary.bitwiseInvert>): NDArray {
    return unary.bitwiseInvert(this, ...rest);
  }
  /** As `mx.conjugate` with this array as its first argument. */
  conjugate(...rest: Rest<typeof unary.conjugate>): NDArray {
    return unary.conjugate(this, ...rest);
  }
  /** As `mx.degrees` with this array as its first argument. */
  degrees(...rest: Rest<typeof unary.degrees>): NDArray {
    return unary.degrees(this, ...rest);
  }
  /** As `mx.radians` with this array as its first argument. */
  radians(...rest: Rest<typeof unary.radians>): NDArray {
    return unary.radians(this, ...rest);
  }
  /** As `mx.isnan` with this array as its first argument. */
  isnan(...rest: Rest<typeof unary.isnan>): NDArray {
    return unary.isnan(this, ...rest);
  }
  /** As `mx.isinf` with this array as its first argument. */
  isinf(...rest: Rest<typeof unary.isinf>): NDArray {
    return unary.isinf(this, ...rest);
  }
  /** As `mx.isfinite` with this array as its first argument. */
  isfinite(...rest: Rest<typeof unary.isfinite>): NDArray {
    return unary.isfinite(this, ...rest);
  }
  /** As `mx.isposinf` with this array as its first argument. */
  isposinf(...rest: Rest<typeof unary.isposinf>): NDArray {
    return unary.isposinf(this, ...rest);
  }
  /** As `mx.isneginf` with this array as its first argument. */
  isneginf(...rest: Rest<typeof unary.isneginf>): NDArray {
    return unary.isneginf(this, ...rest);
  }
  /** As `mx.nanToNum` with this array as its first argument. */
  nanToNum(...rest: Rest<typeof unary.nanToNum>): NDArray {
    return unary.nanToNum(this, ...rest);
  }
  /** As `mx.astype` with this array as its first argument. */
  astype(...rest: Rest<typeof unary.astype>): NDArray {
    return unary.astype(this, ...rest);
  }
  /** As `mx.copy` with this array as its first argument. */
  copy(...rest: Rest<typeof unary.copy>): NDArray {
    return unary.copy(this, ...rest);
  }

  // ---- binary ----------------------------------------------------------------------------------------------
  /** As `mx.add` with this array as its first argument. */
  add(...rest: Rest<typeof binary.add>): NDArray {
    return binary.add(this, ...rest);
  }
  /** As `mx.subtract` with this array as its first argument. */
  subtract(...rest: Rest<typeof binary.subtract>): NDArray {
    return binary.subtract(this, ...rest);
  }
  /** As `mx.multiply` with this array as its first argument. */
  multiply(...rest: Rest<typeof binary.multiply>): NDArray {
    return binary.multiply(this, ...rest);
  }
  /** As `mx.divide` with this array as its first argument. */
  divide(...rest: Rest<typeof binary.divide>): NDArray {
    return binary.divide(this, ...rest);
  }
  /** As `mx.power` with this array as its first argument. */
  power(...rest: Rest<typeof binary.power>): NDArray {
    return binary.power(this, ...rest);
  }
  /** As `mx.maximum` with this array as its first argument. */
  maximum(...rest: Rest<typeof binary.maximum>): NDArray {
    return binary.maximum(this, ...rest);
  }
  /** As `mx.minimum` with this array as its first argument. */
  minimum(...rest: Rest<typeof binary.minimum>): NDArray {
    return binary.minimum(this, ...rest);
  }
  /** As `mx.remainder` with this array as its first argument. */
  remainder(...rest: Rest<typeof binary.remainder>): NDArray {
    return binary.remainder(this, ...rest);
  }
  /** As `mx.floorDivide` with this array as its first argument. */
  floorDivide(...rest: Rest<typeof binary.floorDivide>): NDArray {
    return binary.floorDivide(this, ...rest);
  }
  /** As `mx.divmod` with this array as its first argument. */
  divmod(...rest: Rest<typeof binary.divmod>): [NDArray, NDArray] {
    return binary.divmod(this, ...rest);
  }
  /** As `mx.logaddexp` with this array as its first argument. */
  logaddexp(...rest: Rest<typeof binary.logaddexp>): NDArray {
    return binary.logaddexp(this, ...rest);
  }
  /** As `mx.arctan2` with this array as its first argument. */
  arctan2(...rest: Rest<typeof binary.arctan2>): NDArray {
    return binary.arctan2(this, ...rest);
  }
  /** As `mx.equal` with this array as its first argument. */
  equal(...rest: Rest<typeof binary.equal>): NDArray {
    return binary.equal(this, ...rest);
  }
  /** As `mx.notEqual` with this array as its first argument. */
  notEqual(...rest: Rest<typeof binary.notEqual>): NDArray {
    return binary.notEqual(this, ...rest);
  }
  /** As `mx.greater` with this array as its first argument. */
  greater(...rest: Rest<typeof binary.greater>): NDArray {
    return binary.greater(this, ...rest);
  }
  /** As `mx.greaterEqual` with this array as its first argument. */
  greaterEqual(...rest: Rest<typeof binary.greaterEqual>): NDArray {
    return binary.greaterEqual(this, ...rest);
  }
  /** As `mx.less` with this array as its first argument. */
  less(...rest: Rest<typeof binary.less>): NDArray {
    return binary.less(this, ...rest);
  }
  /** As `mx.lessEqual` with this array as its first argument. */
  lessEqual(...rest: Rest<typeof binary.lessEqual>): NDArray {
    return binary.lessEqual(this, ...rest);
  }
  /** As `mx.logicalAnd` with this array as its first argument. */
  logicalAnd(...rest: Rest<typeof binary.logicalAnd>): NDArray {
    return binary.logicalAnd(this, ...rest);
  }
  /** As `mx.logicalOr` with this array as its first argument. */
  logicalOr(...rest: Rest<typeof binary.logicalOr>): NDArray {
    return binary.logicalOr(this, ...rest);
  }
  /** As `mx.logicalXor` with this array as its first argument. */
  logicalXor(...rest: Rest<typeof binary.logicalXor>): NDArray {
    return binary.logicalXor(this, ...rest);
  }
  /** As `mx.bitwiseAnd` with this array as its first argument. */
  bitwiseAnd(...rest: Rest<typeof binary.bitwiseAnd>): NDArray {
    return binary.bitwiseAnd(this, ...rest);
  }
  /** As `mx.bitwiseOr` with this array as its first argument. */
  bitwiseOr(...rest: Rest<typeof binary.bitwiseOr>): NDArray {
    return binary.bitwiseOr(this, ...rest);
  }
  /** As `mx.bitwiseXor` with this array as its first argument. */
  bitwiseXor(...rest: Rest<typeof binary.bitwiseXor>): NDArray {
    return binary.bitwiseXor(this, ...rest);
  }
  /** As `mx.leftShift` with this array as its first argument. */
  leftShift(...rest: Rest<typeof binary.leftShift>): NDArray {
    return binary.leftShift(this, ...rest);
  }
  /** As `mx.rightShift` with this array as its first argument. */
  rightShift(...rest: Rest<typeof binary.rightShift>): NDArray {
    return binary.rightShift(this, ...rest);
  }
  /** As `mx.isclose` with this array as its first argument. */
  isclose(...rest: Rest<typeof binary.isclose>): NDArray {
    return binary.isclose(this, ...rest);
  }
  /** As `mx.allclose` with this array as its first argument. */
  allclose(...rest: Rest<typeof binary.allclose>): NDArray {
    return binary.allclose(this, ...rest);
  }
  /** As `mx.arrayEqual` with this array as its first argument. */
  arrayEqual(...rest: Rest<typeof binary.arrayEqual>): NDArray {
    return binary.arrayEqual(this, ...rest);
  }

  // ---- ternary ---------------------------------------------------------------------------------------------
  /** As `mx.clip` with this array as its first argument. */
  clip(...rest: Rest<typeof ternary.clip>): NDArray {
    return ternary.clip(this, ...rest);
  }

  // ---- create ----------------------------------------------------------------------------------------------
  /** As `mx.tril` with this array as its first argument. */
  tril(...rest: Rest<typeof create.tril>): NDArray {
    return create.tril(this, ...rest);
  }
  /** As `mx.triu` with this array as its first argument. */
  triu(...rest: Rest<typeof create.triu>): NDArray {
    return create.triu(this, ...rest);
  }

  // ---- reduce ----------------------------------------------------------------------------------------------
  /** As `mx.sum` with this array as its first argument. */
  sum(...rest: Rest<typeof reduce.sum>): NDArray {
    return reduce.sum(this, ...rest);
  }
  /** As `mx.prod` with this array as its first argument. */
  prod(...rest: Rest<typeof reduce.prod>): NDArray {
    return reduce.prod(this, ...rest);
  }
  /** As `mx.max` with this array as its first argument. */
  max(...rest: Rest<typeof reduce.max>): NDArray {
    return reduce.max(this, ...rest);
  }
  /** As `mx.min` with this array as its first argument. */
  min(...rest: Rest<typeof reduce.min>): NDArray {
    return reduce.min(this, ...rest);
  }
  /** As `mx.minmax` with this array as its first argument. */
  minmax(...rest: Rest<typeof reduce.minmax>): [NDArray, NDArray] {
    return reduce.minmax(this, ...rest);
  }
  /** As `mx.all` with this array as its first argument. */
  all(...rest: Rest<typeof reduce.all>): NDArray {
    return reduce.all(this, ...rest);
  }
  /** As `mx.any` with this array as its first argument. */
  any(...rest: Rest<typeof reduce.any>): NDArray {
    return reduce.any(this, ...rest);
  }
  /** As `mx.countNonzero` with this array as its first argument. */
  countNonzero(...rest: Rest<typeof reduce.countNonzero>): NDArray {
    return reduce.countNonzero(this, ...rest);
  }
  /** As `mx.mean` with this array as its first argument. */
  mean(...rest: Rest<typeof reduce.mean>): NDArray {
    return reduce.mean(this, ...rest);
  }
  /** As `mx.std` with this array as its first argument. */
  std(...rest: Rest<typeof reduce.std>): NDArray {
    return reduce.std(this, ...rest);
  }
  /** As `mx.median` with this array as its first argument. */
  median(...rest: Rest<typeof reduce.median>): NDArray {
    return reduce.median(this, ...rest);
  }
  /** As `mx.argmax` with this array as its first argument. */
  argmax(...rest: Rest<typeof reduce.argmax>): NDArray {
    return reduce.argmax(this, ...rest);
  }
  /** As `mx.argmin` with this array as its first argument. */
  argmin(...rest: Rest<typeof reduce.argmin>): NDArray {
    return reduce.argmin(this, ...rest);
  }
  /** As `mx.logsumexp` with this array as its first argument. */
  logsumexp(...rest: Rest<typeof reduce.logsumexp>): NDArray {
    return reduce.logsumexp(this, ...rest);
  }
  /** As `mx.softmax` with this array as its first argument. */
  softmax(...rest: Rest<typeof reduce.softmax>): NDArray {
    return reduce.softmax(this, ...rest);
  }

  // ---- scan ------------------------------------------------------------------------------------------------
  /** As `mx.cumsum` with this array as its first argument. */
  cumsum(...rest: Rest<typeof scan.cumsum>): NDArray {
    return scan.cumsum(this, ...rest);
  }
  /** As `mx.cumprod` with this array as its first argument. */
  cumprod(...rest: Rest<typeof scan.cumprod>): NDArray {
    return scan.cumprod(this, ...rest);
  }
  /** As `mx.cummax` with this array as its first argument. */
  cummax(...rest: Rest<typeof scan.cummax>): NDArray {
    return scan.cummax(this, ...rest);
  }
  /** As `mx.cummin` with this array as its first argument. */
  cummin(...rest: Rest<typeof scan.cummin>): NDArray {
    return scan.cummin(this, ...rest);
  }
  /** As `mx.logcumsumexp` with this array as its first argument. */
  logcumsumexp(...rest: Rest<typeof scan.logcumsumexp>): NDArray {
    return scan.logcumsumexp(this, ...rest);
  }
  /** As `mx.diff` with this array as its first argument. */
  diff(...rest: Rest<typeof scan.diff>): NDArray {
    return scan.diff(this, ...rest);
  }

  // ---- sort ------------------------------------------------------------------------------------------------
  /** As `mx.sort` with this array as its first argument. */
  sort(...rest: Rest<typeof sort.sort>): NDArray {
    return sort.sort(this, ...rest);
  }
  /** As `mx.argsort` with this array as its first argument. */
  argsort(...rest: Rest<typeof sort.argsort>): NDArray {
    return sort.argsort(this, ...rest);
  }
  /** As `mx.partition` with this array as its first argument. */
  partition(...rest: Rest<typeof sort.partition>): NDArray {
    return sort.partition(this, ...rest);
  }
  /** As `mx.argpartition` with this array as its first argument. */
  argpartition(...rest: Rest<typeof sort.argpartition>): NDArray {
    return sort.argpartition(this, ...rest);
  }
  /** As `mx.topk` with this array as its first argument. */
  topk(...rest: Rest<typeof sort.topk>): NDArray {
    return sort.topk(this, ...rest);
  }

  // ---- view ------------------------------------------------------------------------------------------------
  /** As `mx.reshape` with this array as its first argument. */
  reshape(...rest: Rest<typeof view.reshape>): NDArray {
    return view.reshape(this, ...rest);
  }
  /** As `mx.flatten` with this array as its first argument. */
  flatten(...rest: Rest<typeof view.flatten>): NDArray {
    return view.flatten(this, ...rest);
  }
  /** As `mx.unflatten` with this array as its first argument. */
  unflatten(...rest: Rest<typeof view.unflatten>): NDArray {
    return view.unflatten(this, ...rest);
  }
  /** As `mx.squeeze` with this array as its first argument. */
  squeeze(...rest: Rest<typeof view.squeeze>): NDArray {
    return view.squeeze(this, ...rest);
  }
  /** As `mx.expandDims` with this array as its first argument. */
  expandDims(...rest: Rest<typeof view.expandDims>): NDArray {
    return view.expandDims(this, ...rest);
  }
  /** As `mx.transpose` with this array as its first argument. */
  transpose(...rest: Rest<typeof view.transpose>): NDArray {
    return view.transpose(this, ...rest);
  }
  /** As `mx.swapaxes` with this array as its first argument. */
  swapaxes(...rest: Rest<typeof view.swapaxes>): NDArray {
    return view.swapaxes(this, ...rest);
  }
  /** As `mx.moveaxis` with this array as its first argument. */
  moveaxis(...rest: Rest<typeof view.moveaxis>): NDArray {
    return view.moveaxis(this, ...rest);
  }
  /** As `mx.broadcastTo` with this array as its first argument. */
  broadcastTo(...rest: Rest<typeof view.broadcastTo>): NDArray {
    return view.broadcastTo(this, ...rest);
  }
  /** As `mx.view` with this array as its first argument. */
  view(...rest: Rest<typeof view.view>): NDArray {
    return view.view(this, ...rest);
  }
  /** As `mx.split` with this array as its first argument. */
  split(...rest: Rest<typeof view.split>): NDArray[] {
    return view.split(this, ...rest);
  }
  /** As `mx.unstack` with this array as its first argument. */
  unstack(...rest: Rest<typeof view.unstack>): NDArray[] {
    return view.unstack(this, ...rest);
  }
  /** As `mx.flip` with this array as its first argument. */
  flip(...rest: Rest<typeof view.flip>): NDArray {
    return view.flip(this, ...rest);
  }
  /** As `mx.diagonal` with this array as its first argument. */
  diagonal(...rest: Rest<typeof view.diagonal>): NDArray {
    return view.diagonal(this, ...rest);
  }

  // ---- index -----------------------------------------------------------------------------------------------
  /** As `mx.take` with this array as its first argument. */
  take(...rest: Rest<typeof index.take>): NDArray {
    return index.take(this, ...rest);
  }
  /** As `mx.takeAlongAxis` with this array as its first argument. */
  takeAlongAxis(...rest: Rest<typeof index.takeAlongAxis>): NDArray {
    return index.takeAlongAxis(this, ...rest);
  }
  /** As `mx.putAlongAxis` with this array as its first argument. */
  putAlongAxis(...rest: Rest<typeof index.putAlongAxis>): NDArray {
    return index.putAlongAxis(this, ...rest);
  }
  /** As `mx.repeat` with this array as its first argument. */
  repeat(...rest: Rest<typeof index.repeat>): NDArray {
    return index.repeat(this, ...rest);
  }
  /** As `mx.tile` with this array as its first argument. */
  tile(...rest: Rest<typeof index.tile>): NDArray {
    return index.tile(this, ...rest);
  }
  /** As `mx.pad` with this array as its first argument. */
  pad(...rest: Rest<typeof index.pad>): NDArray {
    return index.pad(this, ...rest);
  }
  /** As `mx.roll` with this array as its first argument. */
  roll(...rest: Rest<typeof index.roll>): NDArray {
    return index.roll(this, ...rest);
  }
  /** As `mx.diag` with this array as its first argument. */
  diag(...rest: Rest<typeof index.diag>): NDArray {
    return index.diag(this, ...rest);
  }
  /** As `mx.trace` with this array as its first argument. */
  trace(...rest: Rest<typeof index.trace>): NDArray {
    return index.trace(this, ...rest);
  }

  // ---- matmul ----------------------------------------------------------------------------------------------
  /** As `mx.matmul` with this array as its first argument. */
  matmul(...rest: Rest<typeof matmul.matmul>): NDArray {
    return matmul.matmul(this, ...rest);
  }
  /** As `mx.inner` with this array as its first argument. */
  inner(...rest: Rest<typeof matmul.inner>): NDArray {
    return matmul.inner(this, ...rest);
  }
  /** As `mx.outer` with this array as its first argument. */
  outer(...rest: Rest<typeof matmul.outer>): NDArray {
    return matmul.outer(this, ...rest);
  }

  // ---- short names ------------------------------------------------------------------------------------------------
  /** As `mx.subtract`. */
  sub(...rest: Rest<typeof binary.subtract>): NDArray {
    return binary.subtract(this, ...rest);
  }
  /** As `mx.multiply`. */
  mul(...rest: Rest<typeof binary.multiply>): NDArray {
    return binary.multiply(this, ...rest);
  }
  /** As `mx.divide`. */
  div(...rest: Rest<typeof binary.divide>): NDArray {
    return binary.divide(this, ...rest);
  }
  /** As `mx.power`. */
  pow(...rest: Rest<typeof binary.power>): NDArray {
    return binary.power(this, ...rest);
  }
  /** As `mx.remainder`. */
  mod(...rest: Rest<typeof binary.remainder>): NDArray {
    return binary.remainder(this, ...rest);
  }
  /** As `mx.negative`. */
  neg(...rest: Rest<typeof unary.negative>): NDArray {
    return unary.negative(this, ...rest);
  }
  /** As `mx.conjugate`. */
  conj(...rest: Rest<typeof unary.conjugate>): NDArray {
    return unary.conjugate(this, ...rest);
  }
  /** As `mx.var`. */
  var(...rest: Rest<typeof reduce.variance>): NDArray {
    return reduce.variance(this, ...rest);
  }
  /** As `mx.equal`. */
  eq(...rest: Rest<typeof binary.equal>): NDArray {
    return binary.equal(this, ...rest);
  }
  /** As `mx.notEqual`. */
  ne(...rest: Rest<typeof binary.notEqual>): NDArray {
    return binary.notEqual(this, ...rest);
  }
  /** As `mx.less`. */
  lt(...rest: Rest<typeof binary.less>): NDArray {
    return binary.less(this, ...rest);
  }
  /** As `mx.lessEqual`. */
  le(...rest: Rest<typeof binary.lessEqual>): NDArray {
    return binary.lessEqual(this, ...rest);
  }
  /** As `mx.greater`. */
  gt(...rest: Rest<typeof binary.greater>): NDArray {
    return binary.greater(this, ...rest);
  }
  /** As `mx.greaterEqual`. */
  ge(...rest: Rest<typeof binary.greaterEqual>): NDArray {
    return binary.greaterEqual(this, ...rest);
  }
}
installArray(NDArray);

function contiguousCopy(x: NDArray): NDArray {
  return bind("copy", [x], {});
}
