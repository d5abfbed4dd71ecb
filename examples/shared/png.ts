/**
 * Grey pictures as PNG files.
 * @module
 */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1;
  return n;
});
/** The checksum of PNG and zip (CRC-32). */
function checksum(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = TABLE[(c ^ byte) & 255]! ^ c >>> 8;
  return ~c >>> 0;
}
/** Length, type, content, checksum. */
function chunk(type: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12 + content.length), view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, checksum(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

/** Writes `pixels`, row after row, 0 black to 255 white. */
export async function writePng(path: string, pixels: Uint8Array, width: number): Promise<void> {
  const height = pixels.length / width, header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits; the zeros after it say grey, deflated, rows filtered, not interlaced
  const rows = new Uint8Array(height * (width + 1)); // each row starts with its filter, 0 for none
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const deflated = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const data = chunk("IDAT", new Uint8Array(await new Response(deflated).arrayBuffer()));
  const parts = [signature, chunk("IHDR", new Uint8Array(header.buffer)), data, chunk("IEND", new Uint8Array())];
  await Deno.writeFile(path, new Uint8Array(await new Blob(parts).arrayBuffer()));
}
