/** How arrays are inspected and how notebooks show them. Opens no library but where values have to be computed. */
import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";
import { complex, float32, int32, uint8 } from "../../core/dtype.ts";
import { type MediaBundle, mediaOf } from "../../core/display.ts";
import { encodePng } from "../../core/png.ts";
import * as mx from "../../mod.ts";

const show = (shape: number[], values: (i: number) => number, dtype = float32): MediaBundle =>
  mediaOf({ shape, dtype }, values, "text");
/** The cells of the tables, row by row. */
const cells = (html: string | undefined) =>
  [...(html ?? "").matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/g)].map(([, text]) => text)
  );
/** Size, kind of colours and pixels of a PNG file. */
function decoded(base64: string): { width: number; height: number; colour: number; rows: number[][] } {
  const bytes = Uint8Array.fromBase64(base64), view = new DataView(bytes.buffer);
  assert.deepEqual([...bytes.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  let data = new Uint8Array(0);
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) {
    const name = new TextDecoder().decode(bytes.subarray(at + 4, at + 8)), length = view.getUint32(at);
    if (name === "IDAT") data = new Uint8Array(inflateSync(bytes.subarray(at + 8, at + 8 + length)));
    if (name === "IEND") assert.equal(view.getUint32(at + 8), 0xae426082); // the checksum that every such file ends with
  }
  const width = view.getUint32(16), height = view.getUint32(20), step = data.length / height;
  const rows = Array.from({ length: height }, (_, y) => [...data.subarray(y * step + 1, (y + 1) * step)]);
  return { width, height, colour: bytes[25]!, rows };
}

Deno.test("a notebook shows a matrix as a table with its dtype and shape, long axes cut", () => {
  const small = show([2, 3], (i) => i / 2);
  assert.match(small["text/html"]!, /<code>float32\[2,3\]<\/code>/);
  assert.equal(small["text/plain"], "text");
  assert.deepEqual(cells(small["text/html"]), [["", "0", "1", "2"], ["0", "0", "0.5", "1"], ["1", "1.5", "2", "2.5"]]);
  const large = cells(show([1000, 100], (i) => i, int32)["text/html"]);
  assert.deepEqual([large.length, large[1]!.length], [1 + 11, 1 + 9]);
  assert.deepEqual([large[0]![5], large[6]![1], large.at(-1)![0], large.at(-1)!.at(-1)], ["…", "…", "999", "99999"]);
});
Deno.test("a notebook shows numbers, vectors, empty arrays and more axes", () => {
  assert.deepEqual(cells(show([], () => 2.5)["text/html"]), [["2.5"]]);
  assert.deepEqual(cells(show([3], (i) => i)["text/html"]), [["0", "1", "2"], ["0", "1", "2"]]);
  assert.deepEqual(cells(show([0], (i) => i)["text/html"]), [[], []]);
  const deep = show([2, 3, 1, 2], (i) => i)["text/html"]!;
  assert.deepEqual(deep.match(/<div>\[\d, \d\]<\/div>/g)?.length, 4);
  assert.match(deep, /<div>… 2 more<\/div>/);
  assert.deepEqual(cells(deep).at(-1), ["0", "6", "7"]);
  const c = mediaOf({ shape: [1], dtype: mx.complex64 }, () => complex(1, -2), "");
  assert.deepEqual(cells(c["text/html"])[1], ["1-2j"]);
});
Deno.test("a notebook shows bytes and floats from 0 to 1 of [height, width, 3 or 4] as pictures", () => {
  const bytes = decoded(show([100, 200, 3], (i) => i % 256, uint8)["image/png"]!);
  assert.deepEqual([bytes.width, bytes.height, bytes.colour], [200, 100, 2]);
  assert.deepEqual(bytes.rows[99]!.slice(-3), [59997, 59998, 59999].map((i) => i % 256));
  const small = show([1, 2, 4], (i) => i / 7), floats = decoded(small["image/png"]!);
  assert.equal(small["text/plain"], "float32[1,2,4]");
  assert.deepEqual([floats.width, floats.height, floats.colour], [128, 64, 6]);
  assert.deepEqual(
    floats.rows[63]!.slice(63 * 4, 65 * 4),
    [0, 1, 2, 3, 4, 5, 6, 7].map((i) => Math.round(255 * i / 7)),
  );
  for (const other of [show([4, 4, 3], (i) => i), show([4, 4, 2], () => 0), show([4, 4, 3], () => NaN)]) {
    assert.ok(other["text/html"] && !other["image/png"]);
  }
  assert.ok(show([4, 4, 3], () => 0, int32)["text/html"]);
  assert.deepEqual(decoded(encodePng(Uint8Array.of(1, 2, 3), 1, 3, 1).toBase64()).rows, [[1, 2, 3]]);
});
Deno.test("inspecting an array computes nothing and stays on one line", () => {
  const x = mx.array([[1, 2], [3, 4]]), lazy = x.add(1);
  assert.equal(Deno.inspect(x), "array([[1, 2], [3, 4]], dtype=float32)");
  assert.equal(Deno.inspect({ x: lazy }), "{ x: array(shape=[2, 2], dtype=float32, not evaluated) }");
  assert.equal(lazy.state, "lazy");
  assert.equal(Deno.inspect(mx.zeros([1000, 3])), "array(shape=[1000, 3], dtype=float32, not evaluated)");
  let inside = "";
  mx.grad((y: mx.NDArray) => (inside = Deno.inspect(y), y.sum()))(x);
  assert.equal(inside, "array(shape=[2, 2], dtype=float32, traced)");
});
