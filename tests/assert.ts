/**
 * The assertions of `@std/assert` that the tests use, over Node's: tests need no download. The import map gives it that
 * name.
 * @module
 */
import assertions from "node:assert/strict";

type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/** Fails with this message when an assertion does not hold. */
export class AssertionError extends assertions.AssertionError {
  /** The message is all that it tells. */
  constructor(message: string) {
    super({ message });
  }
}
/** Fails. */
export function fail(message = "failed"): never {
  throw new AssertionError(message);
}
/** `condition` is truthy. */
export function assert(condition: unknown, message = "expected a truthy value"): asserts condition {
  if (!condition) fail(message);
}
/** `value` is falsy. */
export function assertFalse(value: unknown, message = "expected a falsy value"): void {
  if (value) fail(message);
}
/** Equal in depth, prototypes included; NaN equals NaN, and 0 differs from -0. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  assertions.deepStrictEqual(actual, expected, message);
}
/** Different in depth. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  assertions.notDeepStrictEqual(actual, expected, message);
}
/** The same value or object. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  assertions.strictEqual(actual, expected, message);
}
/** Not the same value or object. */
export function assertNotStrictEquals<T>(actual: T, expected: T, message?: string): void {
  assertions.notStrictEqual(actual, expected, message);
}
/** Neither null nor undefined. */
export function assertExists<T>(
  actual: T,
  message = `expected a value, got ${actual}`,
): asserts actual is NonNullable<T> {
  if (actual === null || actual === undefined) fail(message);
}
/** An object of the class. */
export function assertInstanceOf<T>(
  actual: unknown,
  kind: abstract new (...args: never[]) => T,
  message = `expected an object of ${kind.name}, got ${describe(actual)}`,
): asserts actual is T {
  if (!(actual instanceof kind)) fail(message);
}
const describe = (value: unknown) => typeof value === "string" ? JSON.stringify(value) : Deno.inspect(value);

/**
 * `|actual - expected| <= tolerance` (by default 1e-7 of `expected`). Infinities are near themselves only, as is NaN.
 */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, message?: string): void {
  if (Object.is(actual, expected)) return;
  const allowed = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 0);
  const difference = Math.abs(actual - expected);
  if (!(difference <= allowed)) {
    fail(message ?? `expected ${expected} +- ${allowed}, got ${actual} (off by ${difference})`);
  }
}
/** Greater than. */
export function assertGreater<T>(actual: T, bound: T, message?: string): void {
  if (!(actual > bound)) fail(message ?? `expected more than ${bound}, got ${actual}`);
}
/** Greater or equal. */
export function assertGreaterOrEqual<T>(actual: T, bound: T, message?: string): void {
  if (!(actual >= bound)) fail(message ?? `expected at least ${bound}, got ${actual}`);
}
/** Less than. */
export function assertLess<T>(actual: T, bound: T, message?: string): void {
  if (!(actual < bound)) fail(message ?? `expected less than ${bound}, got ${actual}`);
}
/** Less or equal. */
export function assertLessOrEqual<T>(actual: T, bound: T, message?: string): void {
  if (!(actual <= bound)) fail(message ?? `expected at most ${bound}, got ${actual}`);
}
/** The text holds the part. */
export function assertStringIncludes(actual: string, part: string, message?: string): void {
  if (!actual.includes(part)) fail(message ?? `expected a text with ${describe(part)}, got ${describe(actual)}`);
}
/** The list holds all the values, equal in depth. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, message?: string): void {
  const list = Array.from(actual);
  for (const value of Array.from(expected)) {
    if (!list.some((item) => equal(item, value))) fail(message ?? `expected ${describe(value)} in ${describe(list)}`);
  }
}
/** Whether two values are equal in depth, as {@linkcode assertEquals} means it. */
export function equal(a: unknown, b: unknown): boolean {
  try {
    assertions.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
/** The text matches. */
export function assertMatch(actual: string, pattern: RegExp, message?: string): void {
  if (!pattern.test(actual)) fail(message ?? `expected a text that matches ${pattern}, got ${describe(actual)}`);
}
/** The text does not match. */
export function assertNotMatch(actual: string, pattern: RegExp, message?: string): void {
  if (pattern.test(actual)) fail(message ?? `expected a text that does not match ${pattern}, got ${describe(actual)}`);
}
/** The object has what `expected` has, in depth; it may have more. */
export function assertObjectMatch(actual: object, expected: object, message?: string): void {
  const pairs: [string, unknown][] = Object.entries(actual);
  for (const [key, value] of Object.entries(expected)) {
    const got = pairs.find(([name]) => name === key)?.[1];
    if (isRecord(value) && isRecord(got)) assertObjectMatch(got, value, message);
    else assertEquals<unknown>(got, value, message);
  }
}
const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An error of the class, whose message holds the part. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  kind?: ErrorClass<E>,
  part?: string,
  message?: string,
): asserts error is E {
  if (!(error instanceof Error)) fail(message ?? `expected an error, got ${describe(error)}`);
  if (kind && !(error instanceof kind)) {
    fail(message ?? `expected a ${kind.name}, got ${error.constructor.name}: ${error.message}`);
  }
  if (part !== undefined) assertStringIncludes(error.message, part, message);
}
/** `fn` throws an error, of the class if one is given, with the part in its message. Returns it. */
export function assertThrows(fn: () => unknown): unknown;
/** `fn` throws an error of the class, with the part in its message. Returns it. */
export function assertThrows<E extends Error>(
  fn: () => unknown,
  kind: ErrorClass<E>,
  part?: string,
  message?: string,
): E;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  kind?: ErrorClass<E>,
  part?: string,
  message?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    if (kind || part !== undefined) assertIsError(error, kind, part, message);
    return error;
  }
  fail(message ?? "expected the function to throw");
}
/** `fn` returns a promise that is rejected. Returns the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>): Promise<unknown>;
/** `fn` returns a promise that is rejected with an error of the class, with the part in its message. Returns it. */
export function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  kind: ErrorClass<E>,
  part?: string,
  message?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  kind?: ErrorClass<E>,
  part?: string,
  message?: string,
): Promise<unknown> {
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
    await promise;
  } catch (error) {
    if (promise === undefined) fail(message ?? "expected a rejected promise, but the function itself threw");
    if (kind || part !== undefined) assertIsError(error, kind, part, message);
    return error;
  }
  fail(message ?? "expected the promise to be rejected");
}
