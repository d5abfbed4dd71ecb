/**
 * safetensors: headers, refusals, saving and what is left when saving fails.
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CheckpointError } from "../../core/errors.ts";
import { bfloat16, bool_, type DType, float32, int64 } from "../../core/dtype.ts";
import { writeAtomic } from "../../core/io/atomic.ts";
import {
  parseSafetensorsHeader,
  readSafetensorsHeader,
  type Saveable,
  saveSafetensors,
  shardPaths,
} from "../../core/io/safetensors.ts";
import type { HostData } from "../../core/primitive.ts";
import { safetensorsFile } from "./files.ts";
import { fuzzFiles } from "./fuzz.ts";

const saveable = (dtype: DType, shape: number[], data: HostData): Saveable => ({ dtype, shape, data: () => data });
/** What a header's text with `length` bytes of data is refused for. */
function refusal(header: string, length = 0): string {
  const file = safetensorsFile(header, new Uint8Array(length));
  return assertThrows(() => parseSafetensorsHeader(file, file.length), CheckpointError).message;
}
/** A header with one tensor of the given fields. */
const one = (fields: Record<string, unknown>): string =>
  JSON.stringify({ x: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } });

Deno.test("a header is read, with places in the file", () => {
  const file = safetensorsFile(
    `{"__metadata__":{"a":"b"},"x":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}  `,
    new Uint8Array(4),
  );
  const { metadata, tensors } = parseSafetensorsHeader(file, file.length);
  assertEquals({ ...metadata }, { a: "b" });
  assertEquals(tensors, [{ name: "x", dtype: bfloat16, shape: [1, 2], begin: file.length - 4, end: file.length }]);
});

Deno.test("broken headers are refused with a reason", () => {
  const reasons: [string, string, number?][] = [
    ["not json", "expected JSON in UTF-8"],
    ["[1]", "expected a JSON object"],
    ["{}", "expected data up to the file's end", 1],
    [one({ shape: [-2] }), "non-negative integers", 8],
    [one({ shape: [1.5] }), "non-negative integers", 8],
    [one({ shape: [2 ** 53] }), "non-negative integers", 8],
    [one({ shape: [2 ** 40, 2 ** 40] }), "sizes that fit in memory", 8],
    [one({ shape: "2" }), "non-negative integers", 8],
    [one({ dtype: "F33" }), "one of the dtypes", 8],
    [one({ shape: [3] }), 'expected 12 bytes for float32[3] "x", got 8', 8],
    [one({ data_offsets: [8, 0] }), "data_offsets in order", 8],
    [one({ data_offsets: [0, 16] }), "within the 8 bytes of data", 8],
    [one({ data_offsets: [4, 12] }), "without overlap or gap", 12],
    [
      '{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
      "without overlap",
      3,
    ],
    ['{"__metadata__":{"a":1}}', "text for the metadata"],
    ['{"a":1,"\\u0061":2}', 'got "a" twice'],
    [`{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "levels of JSON"],
    [`{"x":${'{"x":'.repeat(100_000)}1${"}".repeat(100_000)}}`, "levels of JSON"],
  ];
  for (const [header, reason, length] of reasons) {
    const message = refusal(header, length);
    assert(message.includes(reason), `${header.slice(0, 90)}: ${message}`);
  }
  const message = refusal("not json");
  assert(/^\[load\] cannot read the safetensors header: expected .*, got .*\. Fix: /.test(message), message);
});

Deno.test("lengths are checked before anything is read", () => {
  const file = safetensorsFile("{}");
  for (const [bytes, size] of [[file.subarray(0, 7), 7], [file, 9], [new Uint8Array(16).fill(255), 16]] as const) {
    assertThrows(() => parseSafetensorsHeader(bytes, size), CheckpointError);
  }
  const invalid = safetensorsFile("{}");
  invalid[8] = 0xff;
  assertThrows(() => parseSafetensorsHeader(invalid, invalid.length), CheckpointError, "UTF-8");
});

Deno.test("a text of many megabytes in the metadata is no trouble", () => {
  const file = safetensorsFile(JSON.stringify({ __metadata__: { long: '\\"x'.repeat(4_000_000) } }));
  assertEquals(parseSafetensorsHeader(file, file.length).metadata.long?.length, 12_000_000);
});

Deno.test("what is saved is read back, aligned to its elements", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/model.safetensors`;
  const widened = Float32Array.of(1, -2.5, NaN, Infinity);
  await saveSafetensors(path, {
    mask: saveable(bool_, [3], Uint8Array.of(1, 0, 1)),
    half: saveable(bfloat16, [4], widened),
    ids: saveable(int64, [2], BigInt64Array.of(-1n, 1n << 60n)),
    none: saveable(float32, [0, 5], new Float32Array(0)),
    __proto__x: saveable(float32, [], Float32Array.of(7)),
  }, { format: "mlx" });
  const { metadata, tensors } = readSafetensorsHeader(path), bytes = await Deno.readFile(path);
  assertEquals({ ...metadata }, { format: "mlx" });
  assertEquals(tensors.map((t) => t.name), ["ids", "__proto__x", "none", "half", "mask"]);
  for (const { begin, dtype } of tensors) assertEquals(begin % dtype.size, 0);
  const of = (name: string): ArrayBuffer => {
    const t = tensors.find((t) => t.name === name);
    return bytes.slice(t?.begin, t?.end).buffer;
  };
  assertEquals(new BigInt64Array(of("ids")), BigInt64Array.of(-1n, 1n << 60n));
  const bits = new Uint32Array(widened.buffer);
  assertEquals(new Uint16Array(of("half")), Uint16Array.from(bits, (b) => b >>> 16));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a failed write leaves the old file and nothing else", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/model.safetensors`;
  await Deno.writeTextFile(path, "old");
  const full = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  const error = await assertRejects(() =>
    writeAtomic(path, async (sink) => {
      await sink.write(new Uint8Array(10));
      throw full;
    }), CheckpointError);
  assert(
    error.message.includes("expected room on the disk") && error.message.includes("after 10 bytes"),
    error.message,
  );
  await assertRejects(
    () => saveSafetensors(path, { x: saveable(float32, [2], Float32Array.of(1)) }),
    CheckpointError,
    "cannot save x",
  );
  await assertRejects(
    () => saveSafetensors(`${folder}/none/x.safetensors`, {}),
    CheckpointError,
    "a folder that can be written to",
  );
  assertEquals(await Deno.readTextFile(path), "old");
  assertEquals(Array.from(Deno.readDirSync(folder), (entry) => entry.name), ["model.safetensors"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a folder's weights are all its model*.safetensors", async () => {
  const folder = await Deno.makeTempDir();
  assertThrows(() => shardPaths(folder), CheckpointError, "one or more model*.safetensors");
  for (
    const name of ["model-00002-of-2.safetensors", "model-00001-of-2.safetensors", "adapters.safetensors", "model.json"]
  ) {
    await Deno.writeTextFile(`${folder}/${name}`, "");
  }
  assertEquals(shardPaths(`${folder}/`), [1, 2].map((i) => `${folder}/model-0000${i}-of-2.safetensors`));
  assertThrows(() => readSafetensorsHeader(`${folder}/model.json`), CheckpointError, "as safetensors");
  assertThrows(() => readSafetensorsHeader(`${folder}/absent`), CheckpointError, "cannot open");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("mutated files are read or refused", () => {
  const { safetensors, gguf } = fuzzFiles(2_000, 11);
  assert(safetensors.read > 0 && safetensors.refused > 0 && gguf.read > 0 && gguf.refused > 0);
});
