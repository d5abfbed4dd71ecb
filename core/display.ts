/**
 * How arrays look in a notebook: tables with dtype and shape, long axes cut; arrays [height, width, 3 or 4] of bytes, or
 * of floats from 0 to 1, as pictures. As text they print as everywhere (`format.ts`).
 * @module
 */
import { formatValue, type Printable } from "./format.ts";
import { encodePng } from "./png.ts";
import type { Aval, Shape } from "./primitive.ts";
import { describe, rowMajorStrides } from "./shape.ts";

/** A form of something for each kind of media, as Jupyter asks for it. */
export type MediaBundle = Record<string, string>;
/** An axis is cut beyond `whole`: then so many of its entries are shown at each end. Of more axes, so many tables. */
const COLUMNS = { whole: 12, edge: 4 }, ROWS = { whole: 20, edge: 5 }, TABLES = 4;
/** Small pictures are enlarged to about this many pixels; larger ones than MOST are shown as tables. */
const VISIBLE = 128, MOST = 4096 * 4096;

/** The array for a notebook; `at(i)` is its i-th value in row-major order, `text` what prints. */
export function mediaOf(x: Aval, at: (i: number) => Printable, text: string): MediaBundle {
  const png = pictureOf(x, at);
  return png ? { "image/png": png, "text/plain": describe(x) } : { "text/html": htmlOf(x, at), "text/plain": text };
}

/** The picture as PNG in base64, if the array is one. */
function pictureOf({ shape, dtype }: Aval, at: (i: number) => Printable): string | null {
  const [height = 0, width = 0, channels = 0] = shape, floats = dtype.kind === "float";
  if (shape.length !== 3 || (channels !== 3 && channels !== 4) || (!floats && dtype.name !== "uint8")) return null;
  if (height * width === 0 || height * width > MOST) return null;
  const pixels = new Uint8Array(height * width * channels);
  for (let i = 0; i < pixels.length; i++) {
    const v = Number(at(i));
    if (floats && !(v >= 0 && v <= 1)) return null;
    pixels[i] = floats ? Math.round(255 * v) : v;
  }
  const scale = Math.max(1, Math.floor(VISIBLE / Math.max(height, width)));
  return encodePng(pixels, height, width, channels, scale).toBase64();
}

/** Indices of an axis that are shown; null stands for those that are left out. */
function shown(length: number, { whole, edge }: typeof COLUMNS): readonly (number | null)[] {
  if (length <= whole) return Array.from({ length }, (_, i) => i);
  const ends = Array.from({ length: 2 * edge }, (_, i) => i < edge ? i : length - 2 * edge + i);
  return [...ends.slice(0, edge), null, ...ends.slice(edge)];
}
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const cell = (text: string, tag = "td"): string => `<${tag} style="text-align: right">${escaped(text)}</${tag}>`;

function htmlOf(x: Aval, at: (i: number) => Printable): string {
  const { shape } = x, leading = shape.slice(0, -2), matrix = shape.slice(-2), strides = rowMajorStrides(shape);
  const count = leading.reduce((a, b) => a * b, 1), parts: string[] = [];
  for (let t = 0; t < Math.min(count, TABLES); t++) {
    const index = indexOf(t, leading), from = index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0);
    if (leading.length) parts.push(`<div>[${index.join(", ")}]</div>`);
    parts.push(tableOf(matrix, (i) => formatValue(at(from + i))));
  }
  if (count > TABLES) parts.push(`<div>… ${count - TABLES} more</div>`);
  return `<div><code>${escaped(describe(x))}</code>${parts.join("")}</div>`;
}
function indexOf(n: number, shape: Shape): number[] {
  const index: number[] = [];
  for (const length of shape.toReversed()) {
    index.unshift(n % length);
    n = Math.floor(n / length);
  }
  return index;
}
/** A table of at most two axes; a single axis is a row. */
function tableOf(shape: Shape, value: (i: number) => string): string {
  const [height, width] = shape.length === 2 ? shape : [1, shape[0] ?? 1], columns = shown(width!, COLUMNS);
  const head = `<tr>${shape.length === 2 ? "<th></th>" : ""}${
    columns.map((c) => cell(c === null ? "…" : `${c}`, "th")).join("")
  }</tr>`;
  const rows = shown(height!, ROWS).map((r) => {
    const values = columns.map((c) => cell(r === null || c === null ? "…" : value(r * width! + c)));
    return `<tr>${shape.length === 2 ? cell(r === null ? "…" : `${r}`, "th") : ""}${values.join("")}</tr>`;
  });
  return `<table>${shape.length ? `<thead>${head}</thead>` : ""}<tbody>${rows.join("")}</tbody></table>`;
}
