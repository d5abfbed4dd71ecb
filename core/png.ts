/**
 * Pictures as PNG files in memory: 8 bits for each channel, compressed by the system's zlib. What reads and writes files
 * of pictures is in `data/image.ts`.
 * @module
 */
import { crc32, deflateSync } from "node:zlib";

/** Kinds of colour by the number of channels: grey, grey with opacity, colours, colours with opacity. */
const COLOUR = [0, 0, 4, 2, 6];
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Length, name, data, and a checksum over the last two. */
function chunk(name: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length), view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
/** A picture of rows of pixels, each of 1 to 4 channels; `scale` repeats each pixel in both directions. */
export function encodePng(pixels: Uint8Array, height: number, width: number, channels: number, scale = 1): Uint8Array {
  const row = width * scale * channels, rows = new Uint8Array(height * scale * (1 + row));
  for (let y = 0; y < height * scale; y++) {
    const from = Math.floor(y / scale) * width * channels, to = y * (1 + row) + 1; // byte 0 of a row: no filter
    for (let i = 0; i < row; i++) {
      rows[to + i] = pixels[from + Math.floor(i / (channels * scale)) * channels + i % channels]!;
    }
  }
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, width * scale);
  view.setUint32(4, height * scale);
  header.set([8, COLOUR[channels]!, 0, 0, 0], 8); // bits, colours, and the only methods that there are
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", header), chunk("IDAT", deflateSync(rows))];
  parts.push(chunk("IEND", new Uint8Array(0)));
  const file = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const p of parts) file.set(p, at), at += p.length;
  return file;
}
