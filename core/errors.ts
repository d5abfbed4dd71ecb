/**
 * Every error of the library: one function makes the text, classes say the kind. The native side's status codes are
 * turned into these classes by `ffi/status.ts`.
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
}

/** Base of all errors of the library: the fields of the message, one by one. */
export class DenimError extends Error {
  /** The public operation that failed. */
  readonly op: string;
  /** What would have been right. */
  readonly expected: string;
  /** What was given instead. */
  readonly got: string;
  /** What to do about it. */
  readonly fix: string;
  /** Builds the message `[op] cannot ...: expected ..., got .... Fix: ...`. */
  constructor(op: string, { cannot, expected, got, fix }: Failure) {
    super(`[${op}] cannot ${cannot}: expected ${expected}, got ${got}. Fix: ${fix}`);
    this.name = new.target.name;
    [this.op, this.expected, this.got, this.fix] = [op, expected, got, fix];
  }
}
/** Shapes, sizes or axes that do not fit together. */
export class ShapeError extends DenimError {}
/** A dtype that the operation does not take. */
export class DTypeError extends DenimError {}
/** An index or axis out of range. */
export class IndexError extends DenimError {}
/** A value that the operation does not take (a negative size, an unknown mode, ...). */
export class ValueError extends DenimError {}
/** A file of weights, of metadata or of a tokenizer that is missing, broken or of another kind. */
export class CheckpointError extends DenimError {}
/** The native library: missing, stale, of another platform, or it could not be built. */
export class RuntimeLibraryError extends DenimError {}
/** Not enough memory: the bytes asked for, live and allowed. Nothing was changed. */
export class MemoryLimitError extends DenimError {}
/** A kernel failed while it ran. */
export class KernelError extends DenimError {}
/** An array whose input was given away in the meantime cannot be computed again. */
export class SpentError extends DenimError {}
/** An array whose buffer was given away. */
export class DonatedError extends DenimError {}
/** A value was asked of an array that is being traced by a transform. */
export class TraceError extends DenimError {}
/** A transform met a function that it cannot transform. */
export class TransformError extends DenimError {}

type ErrorClass = new (op: string, failure: Failure) => DenimError;
/** Throws `[op] cannot ...: expected ..., got .... Fix: ...` as the given class. */
export function fail(kind: ErrorClass, op: string, failure: Failure): never {
  throw new kind(op, failure);
}
