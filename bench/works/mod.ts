/**
 * All works, in the order of the report.
 * @module
 */
import type { Work } from "../work.ts";
import { arrayWorks } from "./arrays.ts";
import { languageWorks } from "./language.ts";
import { matrixWorks } from "./matrices.ts";
import { networkWorks } from "./networks.ts";
import { overheadWorks } from "./overheads.ts";
import { primitiveWorks } from "./primitives.ts";
import { trainingWorks } from "./training.ts";

/** All works; those of language models if a model's path is given. */
export function allWorks(model: string | null): readonly Work[] {
  const language = model === null ? [] : languageWorks(model);
  const parts = [arrayWorks, matrixWorks, networkWorks, trainingWorks, overheadWorks, language, primitiveWorks];
  return parts.flat();
}
