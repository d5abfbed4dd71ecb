/**
 * The elementwise primitive of three inputs: `select(condition, x, y)`, a boolean and two arrays of one dtype. What
 * users call is in `core/ops/ternary.ts`.
 * @module
 */
import { where } from "../ops/ternary.ts";
import { primitives, spec } from "../primitive.ts";
import { elementwiseShape, rebroadcast, unbroadcast } from "./builders.ts";

/** The primitives of the ternary family, in the order of their codes. */
export const ternaryPrimitives = primitives({
  select: spec({
    family: "ternary",
    kind: "elementwise",
    params: {},
    arity: 3,
    cost: 1,
    infer: ([c, x, y]) => ({ shape: elementwiseShape([c, x, y]), dtype: x.dtype }),
    vjp: ([c, x, y], _z, ct) => [null, unbroadcast(where(c, ct, 0), x), unbroadcast(where(c, 0, ct), y)],
    jvp: ([c], z, [, s, t]) => s || t ? rebroadcast(where(c, s ?? 0, t ?? 0), z) : null,
    vmap: "elementwise",
  }),
});
