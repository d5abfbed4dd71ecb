/**
 * Sorting along an axis: a permutation of the elements, so tangents are permuted and cotangents permuted back. What
 * users call is in `core/ops/sort.ts`.
 * @module
 */
import { uint32 } from "../dtype.ts";
import { zerosLike } from "../ops/create.ts";
import { takeAlongAxis } from "../ops/index.ts";
import { scatterAxis } from "../ops/moves.ts";
import { argsort, sort } from "../ops/sort.ts";
import { primitives, spec } from "../primitive.ts";

/** The primitives of the sort family, in the order of their codes. */
export const sortPrimitives = primitives({
  sort: spec({
    family: "sort",
    kind: "kernel",
    params: { axis: "int" },
    arity: 1,
    needs: ["any"],
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    vjp: ([x], _y, ct, { axis }) => [scatterAxis(zerosLike(x), argsort(x, axis), ct, axis, "set")],
    jvp: ([x], _y, [t], { axis }) => t && takeAlongAxis(t, argsort(x, axis), { axis }),
    vmap: ([x], _mapped, { axis }) => sort(x, axis + 1),
  }),
  argsort: spec({
    family: "sort",
    kind: "kernel",
    params: { axis: "int" },
    arity: 1,
    needs: ["any"],
    infer: ([x]) => ({ shape: x.shape, dtype: uint32 }),
    vjp: () => [null],
    jvp: () => null,
    vmap: ([x], _mapped, { axis }) => argsort(x, axis + 1),
  }),
});
