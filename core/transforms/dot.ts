/**
 * Graphs in the language of Graphviz, to be looked at.
 * @module
 */
import type { NDArray } from "../array.ts";
import { isArray } from "../graph.ts";
import { writeAtomic } from "../io/atomic.ts";
import { collect } from "../plan.ts";
import { describe } from "../shape.ts";

const quoted = (text: string): string => JSON.stringify(text);
/** The graph below the outputs, as far as it has not been computed. */
function dotOf(outputs: readonly (readonly [string, NDArray])[]): string {
  const nodes = collect(outputs.map(([, x]) => x), (n) => n.state === "evaluated"), lines: string[] = [];
  const operations = new Set(nodes.filter((n) => n.inputs.length > 0));
  const leaves = new Set([...nodes, ...nodes.flatMap((n) => n.inputs), ...outputs.map(([, x]) => x)]);
  for (const x of leaves) {
    const label = [x.label, operations.has(x) ? x.prim.name : "", describe(x)].filter((part) => part).join("\n");
    lines.push(`  n${x.id} [label=${quoted(label)}${operations.has(x) ? ", shape=box" : ""}];`);
  }
  for (const n of operations) for (const i of n.inputs) lines.push(`  n${i.id} -> n${n.id};`);
  outputs.forEach(([name, x], i) =>
    lines.push(`  out${i} [label=${quoted(name)}, shape=plaintext];`, `  n${x.id} -> out${i};`)
  );
  return `digraph {\n${lines.join("\n")}\n}\n`;
}
/**
 * Writes the graph of arrays that have not been computed yet as a `.dot` file for Graphviz (`mlx.core.export_to_dot`):
 * operations are boxes, what they read points to them. The outputs are arrays, or an object of arrays by name. Instead
 * of a path there may be a function that gets the text.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([1, 2]);
 * await mx.exportToDot((text) => console.log(text.split("\n")[0]), x.add(1).exp()); // digraph {
 * ```
 */
export async function exportToDot(
  file: string | ((text: string) => void),
  ...outputs: readonly (NDArray | Readonly<Record<string, NDArray>>)[]
): Promise<void> {
  const named = outputs.flatMap((o, i): [string, NDArray][] => isArray(o) ? [[`output ${i}`, o]] : Object.entries(o));
  const text = dotOf(named);
  if (typeof file === "function") return file(text);
  await writeAtomic(file, (sink) => sink.write(new TextEncoder().encode(text)), "exportToDot");
}
