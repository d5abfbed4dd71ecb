/**
 * Prompts as arrays.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";

/** The prompt as an integer array [n], n > 0. */
export function promptArray(prompt: NDArray | readonly number[]): NDArray {
  const tokens = prompt instanceof mx.NDArray ? prompt : mx.array(Int32Array.from(prompt));
  if (tokens.ndim !== 1 || tokens.size === 0) {
    mx.fail(mx.ValueError, "generate", {
      cannot: "read the prompt",
      expected: "a list of at least one token",
      got: `${tokens.dtype}[${tokens.shape}]`,
      fix: "encode a text",
    });
  }
  return tokens;
}
