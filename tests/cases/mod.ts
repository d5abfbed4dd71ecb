/**
 * All cases, one for each primitive: a primitive without one does not compile.
 * @module
 */
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

/** The case of each primitive. */
export const cases: Cases<PrimitiveName> = {
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
export const allCases: readonly (readonly [PrimitiveName, Case])[] = Object.entries(cases) as [PrimitiveName, Case][];
