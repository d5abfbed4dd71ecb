/**
 * Compares what a language-model case gave with its record: numbers within the case's tolerance, everything else equal.
 * @module
 */
import { show, type Value } from "../reference/compare.ts";
import type { Tolerance } from "../reference/compare.ts";
import { isList, isPlain } from "../reference/library.ts";
import { takePerturbation } from "../reference/perturb.ts";
import type { Numbers } from "../reference/safetensors_reader.ts";

/** Outputs whose numbers have a tolerance; all others are exact. */
const TOLERANT = new Set(["logprobs", "ppl", "stderr", "loss", "losses", "grad_norms"]);
/** Outputs that only inform. */
const INFORMATIVE = new Set(["margins", "message"]);
/** Below this margin between the two best tokens, implementations may choose differently. */
const TIE: Readonly<Record<string, number>> = { float32: 0.002, float16: 0.03, bfloat16: 0.13 };

/** Why numbers are not the recorded ones, or null: -inf at the same places, `|got - want| <= atol + rtol |want|`. */
export function numbersMismatch(
  got: Numbers | readonly number[],
  want: Numbers | readonly number[],
  { atol, rtol }: Tolerance,
): string | null {
  if (got.length !== want.length) return `${got.length} numbers instead of ${want.length}`;
  let worst = 0, at = -1;
  const changed = want.length > 0 && takePerturbation();
  for (let i = 0; i < want.length; i++) {
    const g = Number(got[i]), w = changed && i === 0 ? moved(Number(want[i])) : Number(want[i]);
    if (g === w) continue;
    const error = Math.abs(g - w);
    if (!Number.isFinite(error)) return `${g} instead of ${w} at ${i}`;
    if (error > atol + rtol * Math.abs(w) && error > worst) [worst, at] = [error, i];
  }
  return at < 0 ? null : `off by ${worst.toPrecision(3)} at ${at}: ${got[at]} instead of ${want[at]}`;
}

/** A number that no tolerance takes for `w`. */
const moved = (w: number): number => Number.isFinite(w) ? w + 10 * (1 + Math.abs(w)) : 0;

/** Why a value is not the recorded one, or null. */
export function jsonMismatch(got: unknown, want: unknown, tolerance: Tolerance, path = ""): string | null {
  const differ = (): string => `${path}: ${short(got)} instead of ${short(want)}`;
  if (typeof want === "number") {
    return typeof got === "number" && numbersMismatch([got], [want], tolerance) === null ? null : differ();
  }
  if (isList(want)) {
    if (!isList(got)) return differ();
    if (got.length !== want.length) return `${path}: ${got.length} items instead of ${want.length}`;
    return first(want.map((w, i) => jsonMismatch(got[i], w, tolerance, `${path}[${i}]`)));
  }
  if (isPlain(want)) {
    if (!isPlain(got)) return differ();
    return first(
      Object.entries(want).filter(([k]) => !INFORMATIVE.has(k)).map(([k, w]) =>
        jsonMismatch(got[k], w, TOLERANT.has(k) ? tolerance : { atol: 0, rtol: 0 }, path === "" ? k : `${path}.${k}`)
      ),
    );
  }
  return got === want && !takePerturbation() ? null : differ();
}
const first = (reasons: readonly (string | null)[]): string | null => reasons.find((r) => r !== null) ?? null;
const isValue = (x: unknown): x is Value => x !== undefined;
const short = (x: unknown): string => (isValue(x) ? show(x) : "nothing").slice(0, 80);

/** How many tokens are comparable: those before the first near-tie. */
export function comparable(margins: readonly number[], dtype: string, quantizedCache: boolean): number {
  const least = (TIE[dtype] ?? 0) * (quantizedCache ? 5 : 1), i = margins.findIndex((m) => m < least);
  return i < 0 ? margins.length : i;
}
