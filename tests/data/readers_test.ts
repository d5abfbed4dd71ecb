/**
 * Readers of data files: what they read, and what they say about files that are damaged.
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";
import {
  batches,
  fromItems,
  fromWorker,
  type JsonValue,
  lineFile,
  loadClasses,
  loadCsv,
  loadIdx,
  loadImage,
  readCsv,
  readJsonl,
  readLines,
  saveImage,
} from "../../data/mod.ts";

async function file(name: string, content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  if (!name.endsWith(".gz")) await Deno.writeFile(path, bytes);
  else await Deno.writeFile(path, new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip")));
  return path;
}
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

Deno.test("loadIdx reads bytes, wide big-endian elements and gzip, and refuses other files", async () => {
  const bytes = Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255);
  for (const name of ["x-idx2-ubyte", "x-idx2-ubyte.gz"]) {
    const x = await loadIdx(await file(name, bytes));
    assertEquals([x.dtype, x.tolist()], [mx.uint8, [[1, 2, 3], [4, 5, 255]]]);
  }
  const wide = await loadIdx(await file("wide", Uint8Array.of(0, 0, 0x0b, 1, 0, 0, 0, 2, 1, 2, 255, 254)));
  assertEquals([wide.dtype, wide.tolist()], [mx.int16, [258, -2]]);
  await assertRejects(async () => await loadIdx(await file("cut", bytes.slice(0, 17))), mx.CheckpointError, "18 bytes");
  await assertRejects(async () => await loadIdx(await file("other", "hello there")), mx.CheckpointError, "an IDX file");
  await assertRejects(() => loadIdx("/nonexistent/file"), mx.CheckpointError, "check the path");
});

Deno.test("readLines and lineFile give the same lines, whatever ends them", async () => {
  for (const text of ["", "one", "one\n", "one\r\ntwo\n\nfour é\n", "\n"]) {
    const expected = text === "" ? [] : text.replace(/\n$/, "").split("\n").map((line) => line.replace(/\r$/, ""));
    assertEquals(await all(readLines(await file("a.txt", text))), expected);
    assertEquals(await all(readLines(await file("a.txt.gz", text))), expected);
    using lines = lineFile(await file("a.txt", text));
    assertEquals(Array.from({ length: lines.length }, (_, i) => lines.at(i)), expected);
  }
});

Deno.test("readJsonl gives the values and names the line that is none; lineFile fetches them in any order", async () => {
  const path = await file("a.jsonl", '{"n": 1}\n\n[2]\n{"n": 3}\n');
  assertEquals(await all(readJsonl(path)), [{ n: 1 }, [2], { n: 3 }]);
  await assertRejects(
    async () => await all(readJsonl(await file("b.jsonl", "1\n{oops}\n"))),
    mx.ValueError,
    "read line 2 of",
  );
  using lines = lineFile(
    await file("c.jsonl", '{"n": 1}\n{"n": 2}\n{"n": 3}\n'),
    (line): { n: number } => JSON.parse(line),
  );
  const rows = fromItems(lines, (values) => mx.array(values.map(({ n }) => n)));
  assertEquals((await rows.batch([2, 0])).tolist(), [3, 1]);
  const _typed: AsyncIterable<JsonValue> = readJsonl(path);
});

Deno.test("loadClasses numbers the names of a column by the alphabet", async () => {
  const path = await file("a.csv", "x,kind\n1,pear\n2,apple\n3,pear\n4,\n");
  const { labels, classes } = await loadClasses(path, "kind");
  assertEquals([labels.dtype, labels.tolist(), classes], [mx.int32, [2, 1, 2, 0], ["", "apple", "pear"]]);
  await assertRejects(() => loadClasses(path, "sort"), mx.ValueError, "expected one of x,kind");
});
Deno.test("readCsv reads RFC 4180, loadCsv columns of numbers", async () => {
  const path = await file("a.csv", '\ufeffname,x,"y ""z"""\r\n"a, b",1,2.5\r\n"two\nlines",-3e2,nan\r\n\r\nlast,4,5');
  assertEquals(await all(readCsv(path)), [
    { name: "a, b", x: "1", 'y "z"': "2.5" },
    { name: "two\nlines", x: "-3e2", 'y "z"': "nan" },
    { name: "last", x: "4", 'y "z"': "5" },
  ]);
  const x = await loadCsv(path, ['y "z"', "x"]);
  assertEquals([x.dtype, x.shape, x.flatten().tolist()], [mx.float32, [3, 2], [2.5, 1, NaN, -300, 5, 4]]);
  await assertRejects(() => loadCsv(path, ["name"]), mx.ValueError, "column name of row 1");
  await assertRejects(() => loadCsv(path, ["missing"]), mx.ValueError, "column missing");
  const short = await file("b.csv", "1;2\n3\n");
  await assertRejects(() => all(readCsv(short, { separator: ";", columns: ["a", "b"] })), mx.ValueError, "line 2");
  await assertRejects(async () => await all(readCsv(await file("c.csv", 'a\n"b'))), mx.ValueError, "quoted field");
});

Deno.test("pictures come as they went", async () => {
  const colours = mx.arange(5 * 4 * 3).reshape([5, 4, 3]).mul(4).astype(mx.uint8), folder = await Deno.makeTempDir();
  await saveImage(`${folder}/a.png`, colours);
  const back = await loadImage(`${folder}/a.png`);
  assertEquals([back.dtype, back.tolist()], [mx.uint8, colours.tolist()]);
  await saveImage(`${folder}/grey.png`, colours.index("...", 0));
  const grey = await loadImage(await Deno.readFile(`${folder}/grey.png`), { channels: 1 });
  assertEquals(grey.squeeze(-1).tolist(), colours.index("...", 0).tolist());
  assertEquals((await loadImage(`${folder}/a.png`, { size: [2, 3], fit: "fill", channels: 4 })).shape, [2, 3, 4]);
  await assertRejects(() => loadImage(new Uint8Array(9)), mx.CheckpointError, "a picture");
  await assertRejects(() => saveImage(`${folder}/a.png`, mx.ones([2, 2])), mx.ShapeError, "astype");
  await assertRejects(() => saveImage(`${folder}/a.xyz`, colours), mx.CheckpointError, "ends in one of");
});

Deno.test("a worker serves rows, in order and several at once; its errors reach the loop", async () => {
  const worker = new Worker(new URL("./words_worker.ts", import.meta.url), { type: "module" });
  using rows = await fromWorker<{ x: mx.NDArray; names: [mx.NDArray] }>(worker);
  const seen: unknown[] = [];
  const data = batches(rows, { batchSize: 4, prefetch: 2 });
  await assertRejects(
    async () => {
      for await (const { x, names } of data) seen.push([x.dtype, x.tolist(), names[0].tolist()]);
    },
    mx.ValueError,
    "[test] cannot use 8",
  );
  assertEquals(seen, [
    [mx.bfloat16, [0, 1, 2, 3], [false, false, false, true]],
    [mx.bfloat16, [4, 5, 6, 7], [true, true, true, true]],
  ]);
  rows[Symbol.dispose]();
  await assertRejects(async () => await rows.batch([0]), mx.ValueError, "has ended");
});

Deno.test("serveDataset belongs into a worker", async () => {
  const { serveDataset } = await import("../../data/mod.ts");
  assertThrows(() => serveDataset({ length: 1, batch: () => mx.ones([1]) }), mx.ValueError, "module of its own");
});
