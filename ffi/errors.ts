/**
 * The base of all errors of the library, and the one error that this room throws. `core/errors.ts` holds the rest; it
 * re-exports these, as imports point down only.
 * @module
 */

/** What an error tells: the operation, what it cannot do, what it expected, what it got, and how to mend it. */
export interface Failure {
  /** What cannot be done, as in "cannot multiply float32[2,3] by float32[4,5]": the words after "cannot". */
  readonly cannot: string;
  /** What would have been right. */
  readonly expected: string;
  /** What was given instead. */
  readonly got: string;
  /** What to do about it. */
  readonly fix: string;
  /** When debugging: the line that made the operation. */
  readonly madeAt?: string;
}

/**
 * Base of all errors of the library: the fields of the message, one by one.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.ones([2]).reshape([3]);
 * } catch (error) {
 *   if (error instanceof mx.DenimError) [error.name, error.op]; // ["ShapeError", "reshape"]
 * }
 * ```
 */
export class DenimError extends Error {
  /** The public operation that failed. */
  readonly op: string;
  /** What it could not do. */
  readonly cannot: string;
  /** What would have been right. */
  readonly expected: string;
  /** What was given instead. */
  readonly got: string;
  /** What to do about it. */
  readonly fix: string;
  /** The line that made the operation, where debugging was on (`mx.debug`); else "". */
  readonly madeAt: string;
  /** Builds the message `[op] cannot ...: expected ..., got .... Fix: ...`. */
  constructor(op: string, { cannot, expected, got, fix, madeAt = "" }: Failure) {
    super(`[${op}] cannot ${cannot}: expected ${expected}, got ${got}. Fix: ${fix}${madeAt && `. Made at ${madeAt}`}`);
    this.name = new.target.name;
    [this.op, this.cannot, this.expected, this.got, this.fix] = [op, cannot, expected, got, fix];
    this.madeAt = madeAt;
  }
}
/**
 * The native library: missing, stale, of another platform, or it could not be built.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * try {
 *   mx.ones([2]).sum().item();
 * } catch (error) {
 *   if (error instanceof mx.RuntimeLibraryError) console.error("The native library cannot be used:", error.fix);
 * }
 * ```
 */
export class RuntimeLibraryError extends DenimError {}

/** Throws a {@linkcode RuntimeLibraryError} about the library itself: `[ffi] cannot ...`. */
export function libraryFailure(failure: Failure): never {
  throw new RuntimeLibraryError("ffi", failure);
}
