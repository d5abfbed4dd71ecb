/**
 * Lazy nodes: their states, who still reads them, who holds them, and `bind`, the one function that makes them.
 * No native code is touched here.
 * @module
 */
import type { NDArray } from "./array.ts";
import type { ParamsOf, PrimitiveName } from "./primitives/mod.ts";

/** Build one lazy node: the shape and dtype rules run now, the kernel later. (Skeleton: the signature that ops are written against.) */
export function bind<N extends PrimitiveName>(_name: N, _inputs: readonly NDArray[], _params: ParamsOf<N>, _options: { donate?: boolean } = {}): NDArray {
  throw new Error("not yet");
}
