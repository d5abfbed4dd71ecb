/**
 * Every error of the library: one function makes the text, classes say the kind. The base and the errors of the library
 * itself are in `ffi/errors.ts`; the native side's status codes become classes in `status.ts`.
 * @module
 */
import { DenimError, type Failure } from "../ffi/errors.ts";

export { DenimError, type Failure, RuntimeLibraryError } from "../ffi/errors.ts";

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
/** Not enough memory: the bytes asked for, live and allowed. Nothing was changed. */
export class MemoryLimitError extends DenimError {}
/** A kernel failed while it ran. */
export class KernelError extends DenimError {}
/** With `mx.nanGuard`: an operation made a NaN or an infinity, or was given a NaN. */
export class NonFiniteError extends DenimError {}
/** An array whose input was given away in the meantime cannot be computed again. */
export class SpentError extends DenimError {}
/** An array whose buffer was given away. */
export class DonatedError extends DenimError {}
/** A value was asked of an array that is being traced by a transform. */
export class TraceError extends DenimError {}
/** A transform met a function that it cannot transform. */
export class TransformError extends DenimError {}

/** A class of errors. */
export type ErrorClass = new (op: string, failure: Failure) => DenimError;
/** Throws `[op] cannot ...: expected ..., got .... Fix: ...` as the given class. */
export function fail(kind: ErrorClass, op: string, failure: Failure): never {
  throw new kind(op, failure);
}
