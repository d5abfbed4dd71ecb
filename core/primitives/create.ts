/**
 * Primitives without inputs: data of the host, and counting. What users call is in `core/ops/create.ts`.
 * @module
 */
import { primitives, spec } from "../primitive.ts";

/** The primitives of the create family, in the order of their codes. */
export const createPrimitives = primitives({
  constant: spec({
    family: "create",
    kind: "constant",
    params: { data: "host", shape: "ints", dtype: "dtype" },
    arity: 0,
    infer: (_none, { shape, dtype }) => ({ shape, dtype }),
    vjp: () => [],
    jvp: () => null,
    vmap: { none: "it has no inputs to map" },
  }),
  // start + i step
  arange: spec({
    family: "create",
    kind: "elementwise",
    params: { start: "float", step: "float", size: "int", dtype: "dtype" },
    arity: 0,
    cost: 1,
    infer: (_none, { size, dtype }) => ({ shape: [size], dtype }),
    vjp: () => [],
    jvp: () => null,
    vmap: { none: "it has no inputs to map" },
  }),
});
