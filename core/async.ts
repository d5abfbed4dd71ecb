/**
 * Waiting without blocking: one native wait at a time per isolate, however many promises there are.
 * @module
 */
import { runtime } from "../ffi/runtime.ts";
import type { NDArray } from "./array.ts";
import { submit } from "./eval.ts";
import { failure } from "./status.ts";

/** The waits that have been asked for, one after the other: programs of a stream finish in order. */
let queue: Promise<void> = Promise.resolve();

/** Submits, then resolves when all are computed; rejects with the first error. */
export async function awaitArrays(xs: readonly NDArray[]): Promise<void> {
  const submitted = submit(xs), turn = queue.then(() => waitAll(submitted));
  queue = turn.catch(() => {});
  await turn;
}
async function waitAll(xs: readonly NDArray[]): Promise<void> {
  for (const x of xs) {
    if (x.handle === 0) continue;
    const failed = await runtime().waitAsync(x.handle);
    if (failed) throw failure("eval", failed);
  }
}
