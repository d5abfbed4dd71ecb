/**
 * Einstein summation: subscripts, the order of contractions, and each contraction as one matrix product.
 * @module
 */
import type { NDArray } from "../array.ts";
import { fail, ShapeError, ValueError } from "../errors.ts";
import { recorder } from "../graph.ts";
import { describe, describeShape, sizeOf } from "../shape.ts";
import { multiply } from "./binary.ts";
import { matmul } from "./matmul.ts";
import { type Operand, toArray } from "./operand.ts";
import { sum } from "./reduce.ts";
import { broadcastTo, diagonal, reshape, transpose } from "./view.ts";

/** Names of the axes of one operand. A letter, or `.k` for the k-th axis of an ellipsis, counted from its end. */
type Labels = readonly string[];
/** Lengths of the labels. */
type Lengths = ReadonlyMap<string, number>;
/** An operand and the names of its axes. */
interface Term {
  readonly x: NDArray;
  readonly labels: Labels;
}
/** A parsed call. */
interface Problem {
  readonly terms: readonly Term[];
  readonly output: Labels;
  readonly lengths: Lengths;
}
/** One step: the places of the terms that it contracts (the result goes to the end), and what it leaves. */
interface Step {
  readonly places: readonly number[];
  readonly output: Labels;
}

function failSubscripts(op: string, subscripts: string, expected: string, got: string): never {
  fail(ValueError, op, { cannot: `read "${subscripts}"`, expected, got, fix: `write subscripts like "ij,jk->ik"` });
}
/** The labels of one operand's subscripts, whose ellipsis stands for `dots` axes. */
function labelsOf(op: string, whole: string, text: string, dots: number): Labels {
  const [before = "", after, more] = text.split("...");
  const letters = before + (after ?? "");
  if (more !== undefined || !/^[A-Za-z]*$/.test(letters)) {
    failSubscripts(op, whole, `letters and at most one "..."`, `"${text}"`);
  }
  const ellipsis = after === undefined ? [] : Array.from({ length: dots }, (_, i) => `.${dots - 1 - i}`);
  return [...before, ...ellipsis, ...after ?? ""];
}
/** Lengths of all labels; a length of 1 takes the other one. */
function measure(op: string, terms: readonly Term[]): Lengths {
  const lengths = new Map<string, number>();
  for (const { x, labels } of terms) {
    labels.forEach((label, i) => {
      const [n, known] = [x.shape[i]!, lengths.get(label) ?? 1];
      const own = labels.findIndex((other) => other === label);
      if ((n !== known && n !== 1 && known !== 1) || n !== x.shape[own]) {
        fail(ShapeError, op, {
          cannot: `use ${describe(x)} for "${labels.join("")}"`,
          expected: `axes "${label}" of one length`,
          got: `${n !== x.shape[own] ? x.shape[own] : known} and ${n}`,
          fix: "correct the subscripts",
        });
      }
      lengths.set(label, n === 1 ? known : n);
    });
  }
  return lengths;
}
function parse(op: string, subscripts: string, operands: readonly Operand[]): Problem {
  const text = subscripts.replaceAll(" ", "");
  const [left = "", right, more] = text.split("->");
  const inputs = left.split(",");
  if (more !== undefined || inputs.length !== operands.length) {
    failSubscripts(op, subscripts, `subscripts for ${operands.length} arrays`, `${inputs.length}`);
  }
  let dots = 0;
  const terms = inputs.map((input, i) => {
    const x = toArray(op, operands[i]!);
    const free = x.shape.length - input.replace("...", "").length;
    if (input.includes("...") ? free < 0 : free !== 0) {
      fail(ShapeError, op, {
        cannot: `use ${describe(x)} for "${input}"`,
        expected: "a subscript for each axis",
        got: describeShape(x.shape),
        fix: "correct the subscripts",
      });
    }
    dots = Math.max(dots, input.includes("...") ? free : 0);
    return { x, labels: labelsOf(op, subscripts, input, free) };
  });
  const letters = [...left].filter((c) => c !== "," && c !== ".");
  const once = letters.filter((c) => letters.indexOf(c) === letters.lastIndexOf(c)).sort();
  const output = labelsOf(op, subscripts, right ?? `${left.includes("...") ? "..." : ""}${once.join("")}`, dots);
  if (new Set(output).size !== output.length) {
    failSubscripts(op, subscripts, "each label once in the output", `"${right}"`);
  }
  const lengths = measure(op, terms);
  const unknown = output.find((label) => !lengths.has(label));
  if (unknown !== undefined) failSubscripts(op, subscripts, "output labels that an input has", `"${unknown}"`);
  return { terms, output, lengths };
}

const union = (lists: readonly Labels[]): string[] => [...new Set(lists.flat())];
const volume = (labels: Labels, lengths: Lengths): number => sizeOf(labels.map((label) => lengths.get(label)!));
/** Multiplications and additions of contracting these labels of `count` terms in one loop. */
function flops(labels: Labels, inner: boolean, count: number, lengths: Lengths): number {
  return volume(labels, lengths) * (Math.max(1, count - 1) + (inner ? 1 : 0));
}
function naiveFlops(inputs: readonly Labels[], output: Labels, lengths: Lengths): number {
  const all = union(inputs);
  return flops(all, all.some((label) => !output.includes(label)), inputs.length, lengths);
}
/** Steps, and what they cost together. */
interface Plan {
  readonly steps: readonly Step[];
  readonly cost: number;
  readonly scaling: number;
}
/** A pair that may be contracted next. */
interface Candidate {
  readonly places: readonly [number, number];
  readonly output: Labels;
  readonly all: Labels;
  /** Elements that disappear. */
  readonly removed: number;
  readonly cost: number;
}
/** All pairs of terms that share a label (all pairs, if none does), cheap enough. */
function candidates(
  terms: readonly Labels[],
  output: Labels,
  lengths: Lengths,
  limit: number,
  memory: number,
): Candidate[] {
  const pairs: Candidate[] = [];
  for (let i = 0; i < terms.length; i++) {
    for (let j = i + 1; j < terms.length; j++) {
      const [a, b] = [terms[i]!, terms[j]!];
      const all = union([a, b]);
      const wanted = new Set([...terms.filter((_, k) => k !== i && k !== j).flat(), ...output]);
      const left = all.filter((label) => wanted.has(label));
      const size = volume(left, lengths);
      const cost = flops(all, all.length > left.length, 2, lengths);
      if (size > memory || cost > limit) continue;
      pairs.push({ places: [i, j], output: left, all, removed: volume(a, lengths) + volume(b, lengths) - size, cost });
    }
  }
  const sharing = pairs.filter(({ places: [i, j] }) => terms[i]!.some((label) => terms[j]!.includes(label)));
  return sharing.length > 0 ? sharing : pairs;
}
/** Greedy order: the pair that removes most elements next, the cheaper one if two remove as many. */
function plan({ terms, output, lengths }: Problem): Plan {
  let left: Labels[] = terms.map(({ labels }) => union([labels]));
  const naive = naiveFlops(left, output, lengths);
  const memory = Math.max(volume(output, lengths), ...left.map((labels) => volume(labels, lengths)));
  const steps: Step[] = [];
  let [cost, scaling] = [0, 0];
  while (left.length > 2) {
    const best = candidates(left, output, lengths, naive - cost, memory)
      .reduce<Candidate | null>(
        (a, b) => !a || b.removed > a.removed || (b.removed === a.removed && b.cost < a.cost) ? b : a,
        null,
      );
    if (!best) break;
    steps.push({ places: best.places, output: best.output });
    left = [...left.filter((_, i) => !best.places.includes(i)), best.output];
    cost += best.cost;
    scaling = Math.max(scaling, best.all.length);
  }
  steps.push({ places: left.map((_, i) => i), output });
  return { steps, cost: cost + naiveFlops(left, output, lengths), scaling: Math.max(scaling, union(left).length) };
}

/** A term with each label once, by diagonals, and without the labels that nothing else needs, by sums. */
function reduced(term: Term, wanted: ReadonlySet<string>): Term {
  let { x, labels } = term;
  for (
    let twice = labels.find((label, i) => labels.indexOf(label) !== i);
    twice;
    twice = labels.find((label, i) => labels.indexOf(label) !== i)
  ) {
    const [axis1, axis2] = [labels.indexOf(twice), labels.lastIndexOf(twice)];
    x = diagonal(x, { axis1, axis2 });
    labels = [...labels.filter((_, i) => i !== axis1 && i !== axis2), twice];
  }
  const axes = labels.flatMap((label, i) => wanted.has(label) ? [] : [i]);
  return axes.length === 0
    ? { x, labels }
    : { x: sum(x, { axis: axes }), labels: labels.filter((label) => wanted.has(label)) };
}
/** A term with its axes in the given order, of full length, and of length 1 where it lacks a label. */
function arranged({ x, labels }: Term, order: Labels, lengths: Lengths, stretch: boolean): NDArray {
  const y = transpose(x, order.flatMap((label) => labels.includes(label) ? [labels.indexOf(label)] : []));
  let next = 0;
  const shape = order.map((label) => labels.includes(label) ? y.shape[next++]! : 1);
  const full = reshape(y, shape);
  return stretch ? broadcastTo(full, order.map((label) => lengths.get(label)!)) : full;
}
/** Two terms as one: a batched matrix product where labels are summed, else a broadcast product. */
function contract(a: Term, b: Term, output: Labels, lengths: Lengths): Term {
  const shared = a.labels.filter((label) => b.labels.includes(label));
  const summed = shared.filter((label) => !output.includes(label));
  const freeA = a.labels.filter((label) => !b.labels.includes(label));
  const freeB = b.labels.filter((label) => !a.labels.includes(label));
  const batch = shared.filter((label) => output.includes(label));
  const labels = [...batch, ...freeA, ...freeB];
  if (summed.length === 0) {
    return { x: multiply(arranged(a, labels, lengths, false), arranged(b, labels, lengths, false)), labels };
  }
  const dims = (list: Labels) => list.map((label) => lengths.get(label)!);
  const left = reshape(
    arranged(a, [...batch, ...freeA, ...summed], lengths, true),
    [...dims(batch), volume(freeA, lengths), volume(summed, lengths)],
  );
  const right = reshape(
    arranged(b, [...batch, ...summed, ...freeB], lengths, true),
    [...dims(batch), volume(summed, lengths), volume(freeB, lengths)],
  );
  return { x: reshape(matmul(left, right), dims(labels)), labels };
}
/** One step: terms to the step's output. More than two are multiplied from the left. */
function run(terms: readonly Term[], others: readonly Term[], step: Step, lengths: Lengths): Term {
  const outside = [...others.flatMap(({ labels }) => labels), ...step.output];
  const needed = (rest: readonly Term[]) => new Set([...outside, ...rest.flatMap(({ labels }) => labels)]);
  const ready = terms.map((term, i) => reduced(term, needed(terms.filter((_, k) => k !== i))));
  return ready.reduce((a, b, i) =>
    reduced(contract(a, b, [...needed(ready.slice(i + 1))], lengths), needed(ready.slice(i + 1)))
  );
}
/**
 * Einstein summation (`mlx.core.einsum`): `einsum("ij,jk->ik", a, b)` is `y[i, k] = sum_j a[i, j] b[j, k]`. Labels that
 * are not in the output are summed; a label twice in one operand takes the diagonal; `...` stands for the axes not
 * named, which broadcast; without `->` the output has the labels that occur once, in alphabetical order. More than two
 * operands are contracted in a greedy order.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.einsum("ij,j->i", mx.ones([2, 3]), mx.ones([3])).tolist(); // [3, 3]
 * ```
 */
export function einsum(subscripts: string, ...operands: readonly Operand[]): NDArray {
  if (recorder) return recorder.call(einsum, [subscripts, ...operands]);
  const problem = parse("einsum", subscripts, operands);
  const { output, lengths } = problem;
  let terms = problem.terms;
  for (const step of plan(problem).steps) {
    const others = terms.filter((_, i) => !step.places.includes(i));
    terms = [...others, run(step.places.map((i) => terms[i]!), others, step, lengths)];
  }
  const last = terms[0]!;
  return transpose(last.x, output.map((label) => last.labels.indexOf(label)));
}
/**
 * The order in which {@linkcode einsum} contracts its operands: for each step the places of the terms it takes (its
 * result goes to the end), and a report of the cost (`mlx.core.einsum_path`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.ones([100, 100]), c = mx.ones([100, 3]);
 * const [path, report] = mx.einsumPath("ij,jk,kl->il", a, a, c);
 * path; // [[1, 2], [0, 1]]
 * report.split("\n").slice(3, 5); // ["      Naive FLOP count:  9000000", "  Optimized FLOP count:  120000"]
 * ```
 */
export function einsumPath(subscripts: string, ...operands: readonly Operand[]): [number[][], string] {
  const problem = parse("einsumPath", subscripts, operands);
  const { steps, cost, scaling } = plan(problem);
  const labels = problem.terms.map((term) => term.labels);
  const report = [
    `  Complete contraction:  ${subscripts}`,
    `         Naive scaling:  ${union(labels).length}`,
    `     Optimized scaling:  ${scaling}`,
    `      Naive FLOP count:  ${naiveFlops(labels, problem.output, problem.lengths)}`,
    `  Optimized FLOP count:  ${cost}`,
  ];
  return [steps.map(({ places }) => [...places]), report.join("\n") + "\n"];
}
