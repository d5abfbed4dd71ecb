/**
 * Makes a failing program smaller while it still fails: fewer transforms, fewer results, fewer steps, numbers in place
 * of computed inputs.
 * @module
 */
import { Random } from "../cases/generate.ts";
import { count, tensor } from "../cases/tensor.ts";
import type { Fit, Program, Source, Step } from "./program.ts";

/** The program without steps that nothing needs. */
export function pruned(p: Program): Program {
  const n = p.inputs.length, needed = new Set(p.outputs);
  for (let k = p.steps.length - 1; k >= 0; k--) {
    if (needed.has(n + k)) { for (const s of p.steps[k]!.inputs) if ("value" in s) needed.add(s.value); }
  }
  const place = new Map<number, number>(p.inputs.map((_, i) => [i, i])), steps: Step[] = [];
  p.steps.forEach((step, k) => {
    if (!needed.has(n + k)) return;
    place.set(n + k, n + steps.length);
    steps.push({ ...step, inputs: step.inputs.map((s) => "value" in s ? { ...s, value: place.get(s.value)! } : s) });
  });
  return { ...p, steps, outputs: p.outputs.map((o) => place.get(o)!) };
}
/** Numbers that fit. */
function numbersFor({ shape, dtype, range, around }: Fit): Source {
  if (around) return { numbers: around };
  const r = new Random(1), [low, high] = range ?? [-2, 2];
  const draw = () => Float64Array.from({ length: count(shape) }, () => low + (high - low) * r.next());
  return { numbers: tensor(shape, dtype, dtype.kind === "complex" ? { re: draw(), im: draw() } : draw()) };
}
/** Smaller programs, the smallest first. */
function* smaller(p: Program): Generator<Program> {
  for (let i = 0; i < p.transforms.length; i++) yield { ...p, transforms: p.transforms.toSpliced(i, 1) };
  if (p.outputs.length > 1) { for (const o of p.outputs) yield pruned({ ...p, outputs: [o] }); }
  for (let i = 0; p.outputs.length > 1 && i < p.outputs.length; i++) {
    yield pruned({ ...p, outputs: p.outputs.toSpliced(i, 1) });
  }
  // A step's operands in its place: what comes after it goes.
  for (const [i, o] of p.outputs.entries()) {
    const step = p.steps[o - p.inputs.length];
    for (const s of step?.inputs ?? []) if ("value" in s) yield pruned({ ...p, outputs: p.outputs.with(i, s.value) });
  }
  for (const [k, step] of p.steps.entries()) {
    for (const [i, s] of step.inputs.entries()) {
      if ("value" in s) {
        yield pruned({ ...p, steps: p.steps.with(k, { ...step, inputs: step.inputs.with(i, numbersFor(s.fit)) }) });
      }
    }
    if (step.donate) yield { ...p, steps: p.steps.with(k, { ...step, donate: false }) };
  }
}
/** The smallest program that is found to fail still, after at most `tries` trials. */
export function shrunk(p: Program, fails: (p: Program) => boolean, tries = 400): Program {
  let best = pruned(p);
  for (let left = tries, again = true; again && left > 0;) {
    again = false;
    for (const candidate of smaller(best)) {
      if (--left <= 0) break;
      if (!fails(candidate)) continue;
      best = candidate;
      again = true;
      break;
    }
  }
  return best;
}
