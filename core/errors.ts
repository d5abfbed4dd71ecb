/**
 * Every error of the library: one function makes the text, classes say the kind. The base and the errors of the library
 * itself are in `ffi/errors.ts`; the native side's status codes become classes in `status.ts`.
 * @module
 */
import { DenimError, type Failure } from "../ffi/errors.ts";

export { DenimError, type Failure, RuntimeLibraryError } from "../ffi/errors.ts";

/**
 * Shapes, sizes or axes that do not fit together.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.ones([2, 3]).add(mx.ones([4]));
 * } catch (error) {
 *   if (error instanceof mx.ShapeError) error.got; // "3 and 4"
 * }
 * ```
 */
export class ShapeError extends DenimError {}
/**
 * A dtype that the operation does not take.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.bitwiseAnd(mx.array([1.5]), 1);
 * } catch (error) {
 *   if (error instanceof mx.DTypeError) error.fix; // "cast them with astype first"
 * }
 * ```
 */
export class DTypeError extends DenimError {}
/**
 * An index or axis out of range.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.array([1, 2]).index(5);
 * } catch (error) {
 *   if (error instanceof mx.IndexError) error.expected; // "an integer in [-2, 1]"
 * }
 * ```
 */
export class IndexError extends DenimError {}
/**
 * A value that the operation does not take (a negative size, an unknown mode, ...).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.linspace(0, 1, -2);
 * } catch (error) {
 *   if (error instanceof mx.ValueError) error.cannot; // "make -2 values"
 * }
 * ```
 */
export class ValueError extends DenimError {}
/**
 * A file of weights, of metadata or of a tokenizer that is missing, broken or of another kind.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.load("missing.safetensors");
 * } catch (error) {
 *   if (error instanceof mx.CheckpointError) error.cannot; // "open missing.safetensors"
 * }
 * ```
 */
export class CheckpointError extends DenimError {}
/**
 * Not enough memory: the bytes asked for, live and allowed. Nothing was changed.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.setMemoryLimit(mx.getActiveMemory() + 1000), x = mx.arange(2 ** 20).mul(2);
 * try {
 *   mx.eval(x); // 4 MiB
 * } catch (error) {
 *   error instanceof mx.MemoryLimitError; // true
 * }
 * mx.setMemoryLimit(before);
 * x.index(-1).item(); // 2097150: the array can still be computed
 * ```
 */
export class MemoryLimitError extends DenimError {}
/**
 * A kernel failed while it ran.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.linalg.inv(mx.zeros([2, 2])).tolist();
 * } catch (error) {
 *   if (error instanceof mx.KernelError) error.got; // "the matrix is singular"
 * }
 * ```
 */
export class KernelError extends DenimError {}
/**
 * With `mx.nanGuard`: an operation made a NaN or an infinity, or was given a NaN.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.nanGuard(() => mx.array([-1]).log().item());
 * } catch (error) {
 *   if (error instanceof mx.NonFiniteError) error.cannot; // "go on after log"
 * }
 * ```
 */
export class NonFiniteError extends DenimError {}
/**
 * An array whose input was given away in the meantime cannot be computed again.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([1, 2]), y = x.mul(2);
 * y.sum().item(); // 6; y itself is not kept
 * x.dispose();
 * try {
 *   y.tolist();
 * } catch (error) {
 *   error instanceof mx.SpentError; // true: mx.eval(y) before dispose() would have kept it
 * }
 * ```
 */
export class SpentError extends DenimError {}
/**
 * An array whose buffer was given away.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([1, 2]);
 * mx.eval(x);
 * x.dispose();
 * try {
 *   x.sum();
 * } catch (error) {
 *   error instanceof mx.DonatedError; // true
 * }
 * ```
 */
export class DonatedError extends DenimError {}
/**
 * A value was asked of an array that is being traced by a transform.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const f = mx.compile((x: mx.NDArray) => Number(x.item()) > 0 ? x : x.neg());
 * try {
 *   f(mx.array(-1));
 * } catch (error) {
 *   error instanceof mx.TraceError; // true: mx.where(x.gt(0), x, x.neg()) would do
 * }
 * ```
 */
export class TraceError extends DenimError {}
/**
 * A transform met a function that it cannot transform.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.grad((x: mx.NDArray) => [x.sum(), x])(mx.ones([2]));
 * } catch (error) {
 *   if (error instanceof mx.TransformError) error.expected; // "one scalar"
 * }
 * ```
 */
export class TransformError extends DenimError {}

/** A class of errors. */
export type ErrorClass = new (op: string, failure: Failure) => DenimError;
/**
 * Throws `[op] cannot ...: expected ..., got .... Fix: ...` as the given class.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.fail(mx.ValueError, "resize", { cannot: "shrink by 0", expected: "a factor > 0", got: "0", fix: "give one" });
 * } catch (error) {
 *   String(error); // "ValueError: [resize] cannot shrink by 0: expected a factor > 0, got 0. Fix: give one"
 * }
 * ```
 */
export function fail(kind: ErrorClass, op: string, failure: Failure): never {
  throw new kind(op, failure);
}
