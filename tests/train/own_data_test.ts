/**
 * The program of docs/start.md that learns from a table of one's own runs as it stands there, on a table like the one it
 * describes.
 * @module
 */
import { assert, assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url).pathname;
/** Rows around one point for each species. */
function table(): string {
  const centers: readonly (readonly [string, readonly number[]])[] = [
    ["setosa", [5, 3.4, 1.5, 0.2]],
    ["versicolor", [5.9, 2.8, 4.3, 1.3]],
    ["virginica", [6.6, 3, 5.6, 2]],
  ];
  const rows = Array.from({ length: 60 }, (_, i) => {
    const [name, center] = centers[i % 3]!;
    return [...center.map((x, k) => (x + 0.2 * Math.sin(7 * i + k)).toFixed(1)), name].join();
  });
  return ["sepal length,sepal width,petal length,petal width,species", ...rows].join("\n");
}

Deno.test("the program for data of one's own runs as it is printed", async () => {
  const page = await Deno.readTextFile(`${root}docs/start.md`), folder = await Deno.makeTempDir();
  const program = page.match(/```ts ignore\n([^`]*flowers\.csv[^]*?)```/)?.[1];
  assert(program, "docs/start.md has such a program");
  await Deno.writeTextFile(`${folder}/main.ts`, program);
  await Deno.writeTextFile(`${folder}/flowers.csv`, table());
  const args = ["run", "-A", "--no-check", `--config=${root}deno.json`, `${folder}/main.ts`];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: folder }).output();
  const decoder = new TextDecoder(), errors = decoder.decode(stderr);
  assertEquals(decoder.decode(stdout).trim(), "setosa", errors);
  assert(/validation.accuracy 1.0000/.test(errors), errors);
  assert((await Deno.stat(`${folder}/flowers.safetensors`)).size > 500);
  await Deno.remove(folder, { recursive: true });
});
