/**
 * The tour runs in Deno's own kernel, from an empty state, and its cells give what the file shows: tables, pictures,
 * plots, and a model that has learned.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import * as mx from "../mod.ts";
import { type Output, runNotebook, sourceOf } from "../scripts/notebook.ts";

const TOUR = new URL("../examples/tour.ipynb", import.meta.url).pathname;
/** What kinds of output there are: `stream stdout`, or the media types of a value. */
const kinds = (outputs: readonly Output[] = []) =>
  outputs.map((o) =>
    o.ename !== undefined ? `${o.ename}: ${o.evalue}` : o.name ?? Object.keys(o.data ?? {}).sort().join()
  );
const html = (outputs: readonly Output[]) => outputs.map((o) => String(o.data?.["text/html"] ?? "")).join("");

Deno.test("the tour runs in Deno's kernel and gives what it shows", async () => {
  const kept: { cells: Awaited<ReturnType<typeof runNotebook>>["cells"] } = JSON.parse(await Deno.readTextFile(TOUR));
  const { cells } = await runNotebook(TOUR, { DENIM_LIBRARY: String(mx.deviceInfo().library) });
  assertEquals(cells.map((c) => kinds(c.outputs)), kept.cells.map((c) => kinds(c.outputs)));
  const outputs = cells.flatMap((c) => c.outputs ?? []), media = outputs.flatMap((o) => Object.keys(o.data ?? {}));
  assertEquals([media.filter((m) => m === "image/png").length, html(outputs).split("<svg").length - 1], [2, 3]);
  assertMatch(html(outputs), /<code>float32\[3,4\]<\/code><table>/);
  const said = outputs.map((o) => String(o.text ?? "")).join(""), right = /(\d+) of 50 held-out flowers/.exec(said);
  assert(Number(right?.[1]) >= 46, said);
});
Deno.test("the tour's cells fit a page", async () => {
  const { cells } = JSON.parse(await Deno.readTextFile(TOUR));
  for (const cell of cells) for (const line of sourceOf(cell).split("\n")) assert(line.length <= 120, line);
});
