/**
 * The op table: every primitive, in the order of its code. `scripts/gen_ops.ts` prints it for the native side;
 * importing this module installs it in the graph.
 * @module
 */
import { installPrimitives } from "../graph.ts";
import type { Params, Primitive } from "../primitive.ts";
import { binaryPrimitives } from "./binary.ts";
import { convPrimitives } from "./conv.ts";
import { createPrimitives } from "./create.ts";
import { customPrimitives } from "./custom.ts";
import { fastPrimitives } from "./fast.ts";
import { fftPrimitives } from "./fft.ts";
import { indexPrimitives } from "./index.ts";
import { linalgPrimitives } from "./linalg.ts";
import { matmulPrimitives } from "./matmul.ts";
import { quantizedPrimitives } from "./quantized.ts";
import { randomPrimitives } from "./random.ts";
import { reducePrimitives } from "./reduce.ts";
import { scanPrimitives } from "./scan.ts";
import { sortPrimitives } from "./sort.ts";
import { ternaryPrimitives } from "./ternary.ts";
import { unaryPrimitives } from "./unary.ts";
import { viewPrimitives } from "./view.ts";

/** All primitives by name. Their order is that of the codes. */
export const opTable = {
  ...createPrimitives,
  ...unaryPrimitives,
  ...binaryPrimitives,
  ...ternaryPrimitives,
  ...viewPrimitives,
  ...reducePrimitives,
  ...scanPrimitives,
  ...sortPrimitives,
  ...indexPrimitives,
  ...matmulPrimitives,
  ...quantizedPrimitives,
  ...fastPrimitives,
  ...convPrimitives,
  ...randomPrimitives,
  ...fftPrimitives,
  ...linalgPrimitives,
  ...customPrimitives,
};
/** Name of a primitive. */
export type PrimitiveName = keyof typeof opTable;
/** Parameters of a primitive. */
export type ParamsOf<N extends PrimitiveName> = Params<(typeof opTable)[N]["params"]>;

/** Gives the records their codes; the typed rules are seen as plain lists from here on. */
function withCodes(table: typeof opTable): Primitive[] {
  return Object.values(table).map((record, code) => Object.assign(record, { code }) as unknown as Primitive);
}
installPrimitives(withCodes(opTable));
