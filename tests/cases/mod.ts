/**
 * All cases, one for each primitive: a primitive without one does not compile.
 * @module
 */
import type { customPrimitives } from "../../core/primitives/custom.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import { binaryCases } from "./binary.ts";
import type { Case, Cases } from "./case.ts";
import { convCases } from "./conv.ts";
import { createCases } from "./create.ts";
import { fastCases } from "./fast.ts";
import { fftCases } from "./fft.ts";
import { indexCases } from "./index.ts";
import { linalgCases } from "./linalg.ts";
import { matmulCases } from "./matmul.ts";
import { quantizedCases } from "./quantized.ts";
import { randomCases } from "./random.ts";
import { reduceCases } from "./reduce.ts";
import { scanCases } from "./scan.ts";
import { sortCases } from "./sort.ts";
import { ternaryCases } from "./ternary.ts";
import { unaryCases } from "./unary.ts";
import { viewCases } from "./view.ts";

/** Primitives that the CPU has; `tests/metal/` tries the others. */
type Everywhere = Exclude<PrimitiveName, keyof typeof customPrimitives>;
/** The case of each primitive. */
export const cases: Cases<Everywhere> = {
  ...createCases,
  ...unaryCases,
  ...binaryCases,
  ...ternaryCases,
  ...viewCases,
  ...reduceCases,
  ...scanCases,
  ...sortCases,
  ...indexCases,
  ...matmulCases,
  ...quantizedCases,
  ...fastCases,
  ...convCases,
  ...randomCases,
  ...fftCases,
  ...linalgCases,
};
/** Name and case of each primitive, for code that names none. */
export const allCases: readonly (readonly [Everywhere, Case])[] = Object.entries(cases) as [Everywhere, Case][];
