/**
 * Archives of NumPy and PyTorch that are broken, or that ask for more than tensors: refused, and nothing is run.
 * @module
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { CheckpointError } from "../../core/errors.ts";
import { parseNpyHeader } from "../../core/io/npy.ts";
import { parseTorch } from "../../core/io/pytorch.ts";
import { entryBytes, readZip } from "../../core/io/zip.ts";
import { fuzzArchives, inMemory } from "./fuzz.ts";
import * as files from "./python_files.ts";

Deno.test("arrays of objects and broken headers are refused", () => {
  const refusal = (bytes: Uint8Array) =>
    assertThrows(() => parseNpyHeader(bytes, bytes.length), CheckpointError).message;
  const edited = (from: string, to: string) =>
    new Uint8Array([...String.fromCharCode(...files.NPY).replace(from, to)].map((c) => c.charCodeAt(0)));
  assertMatch(refusal(edited("<f4", "|O8")), /expected a dtype of b1, .*, got \|O8/);
  assertMatch(refusal(edited("(2, 3), }  ", "(2, 3, 4), }")), /expected 96 bytes for float32\[2,3,4\], got 2/);
  assertMatch(refusal(edited("'shape'", "'shade'")), /expected a dictionary of descr, fortran_order and shape/);
  assertMatch(refusal(files.NPY_OBJECTS), /got \|O/);
  assertMatch(refusal(files.NPY.subarray(0, 40)), /expected 128 bytes of header/);
  assertMatch(refusal(new Uint8Array(20)), /NUMPY/);
});

Deno.test("a pickle that calls anything else is refused before it is called", () => {
  const e = assertThrows(() => parseTorch(inMemory(files.TORCH_CALL)), CheckpointError);
  assertMatch(e.message, /expected tensors in dictionaries, got posix\.system\. Fix: save the tensors alone/);
  assertMatch(assertThrows(() => parseTorch(inMemory(files.NPZ)), CheckpointError).message, /expected data\.pkl/);
  assertMatch(assertThrows(() => parseTorch(inMemory(new Uint8Array(64))), CheckpointError).message, /a zip file/);
});
Deno.test("a changed entry of a zip file is refused by its checksum", () => {
  const bytes = Uint8Array.from(files.NPZ_COMPRESSED), entry = [...readZip(inMemory(bytes)).values()][0]!;
  assertEquals(entryBytes(inMemory(bytes), entry).length, entry.size);
  bytes[entry.begin + 5]! ^= 1;
  assertThrows(() => entryBytes(inMemory(bytes), entry), CheckpointError);
});
Deno.test("20,000 broken archives end in a parse or a CheckpointError", () => {
  for (const report of Object.values(fuzzArchives(10_000, 1))) {
    assert(report.read > 100 && report.refused > 1000, JSON.stringify(report));
  }
  assertEquals(parseTorch(inMemory(files.TORCH)).size, 5);
});
