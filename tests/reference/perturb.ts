/**
 * `--perturb N`: the expected outputs of N cases that pass are changed, to show that a wrong value fails.
 * @module
 */

/** While armed, the next comparison changes what it expects, and disarms. */
export const perturbation: { armed: boolean } = { armed: false };
/** Whether this comparison is the one to change. */
export function takePerturbation(): boolean {
  const armed = perturbation.armed;
  perturbation.armed = false;
  return armed;
}
/** The number of a command line's `--perturb`, or null where it is none. */
export function perturbCount(text: string | undefined): number | null {
  const n = Number(text ?? 0);
  return Number.isInteger(n) && n >= 0 ? n : null;
}
