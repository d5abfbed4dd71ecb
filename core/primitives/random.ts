/**
 * The one source of randomness: bits of the Threefry 2x32 generator from a key. What users call is in
 * `core/ops/random.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { uint16, uint32, uint8 } from "../dtype.ts";
import { bind } from "../graph.ts";
import { type Params, primitives, spec } from "../primitive.ts";

/** One call for a batch of keys: the batch leads the result. */
function drawBatch(keys: NDArray, p: Params<{ readonly shape: "ints"; readonly width: "int" }>): NDArray {
  return bind("randomBits", [keys], p);
}

/** The primitives of the random family, in the order of their codes. */
export const randomPrimitives = primitives({
  randomBits: spec({
    family: "random",
    kind: "kernel",
    params: { shape: "ints", width: "int" },
    arity: 1,
    infer: ([key], { shape, width }) => ({
      shape: [...key.shape.slice(0, -1), ...shape],
      dtype: width === 4 ? uint32 : width === 2 ? uint16 : uint8,
    }),
    vjp: () => [null],
    jvp: () => null,
    vmap: ([keys], _mapped, p) => drawBatch(keys, p),
  }),
});
