/**
 * Files of NumPy and PyTorch: what Python wrote is read, what is written is read back.
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CheckpointError } from "../../core/errors.ts";
import { readZip } from "../../core/io/zip.ts";
import * as mx from "../../mod.ts";
import { inMemory } from "../io/fuzz.ts";
import * as files from "../io/python_files.ts";

const folder = await Deno.makeTempDir({ prefix: "denim-io-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
/** Writes bytes to a file of that name, and returns its path. */
function put(name: string, bytes: Uint8Array): string {
  Deno.writeFileSync(`${folder}/${name}`, bytes);
  return `${folder}/${name}`;
}
const described = (arrays: Record<string, mx.NDArray>) =>
  Object.fromEntries(Object.entries(arrays).map(([k, x]) => [k, [x.dtype.name, x.shape.join(), x.tolist()]]));

Deno.test("npy files of NumPy are read, whatever their order", () => {
  const x = mx.load(`${put("x.npy", files.NPY).slice(0, -4)}.npy`);
  assertEquals([x.dtype, x.tolist()], [mx.float32, [[0, 1, 2], [3, 4, 5]]]);
  const swapped = mx.load(put("swapped", files.NPY_SWAPPED), { format: "npy" });
  assertEquals([swapped.dtype, swapped.tolist()], [mx.float64, [[0, 1, 2], [3, 4, 5]]]);
});
Deno.test("npz files of NumPy are read, stored and deflated", () => {
  assertEquals(described(mx.load(put("c.npz", files.NPZ_COMPRESSED))), {
    a: ["int16", "40", Array.from({ length: 40 }, (_, i) => i)],
    b: ["float64", "", 2.5],
    c: ["bool", "0,3", []],
  });
  assertEquals(mx.load(put("s.npz", files.NPZ)).arr_0!.tolist(), [mx.complex(1, 2)]);
});
const all = {
  floats: mx.array([[1.5, -2], [NaN, 4]]),
  halves: mx.array([1, 2, 3], mx.float16),
  brain: mx.array([1, 2.5], mx.bfloat16),
  flags: mx.array([true, false]),
  big: mx.array([1n << 60n, -5n]),
  complex: mx.array([mx.complex(1, -1)]),
  bytes: mx.array([[[7]]], mx.uint8),
  one: mx.array(3, mx.int32),
  none: mx.zeros([0, 2]),
};
Deno.test("save and load give every dtype back; savez names lists as NumPy does", async () => {
  for (const [name, x] of Object.entries(all)) {
    await mx.save(`${folder}/${name}`, x);
    assertEquals(described({ x: mx.load(`${folder}/${name}.npy`) }), described({ x }));
  }
  for (const write of [mx.savez, mx.savezCompressed]) {
    await write(`${folder}/all.npz`, all);
    assertEquals(described(mx.load(`${folder}/all.npz`)), described(all));
  }
  await mx.savez(`${folder}/list`, [all.one, all.flags]);
  assertEquals(Object.keys(mx.load(`${folder}/list.npz`)), ["arr_0", "arr_1"]);
  await assertRejects(() => mx.save(`${folder}/no/such/folder`, all.one), CheckpointError);
});
Deno.test("load gives metadata where a format has them", async () => {
  await mx.saveSafetensors(`${folder}/m.safetensors`, { x: all.one }, { made: "here" });
  const [arrays, metadata] = mx.load(`${folder}/m.safetensors`, { returnMetadata: true });
  assertEquals([arrays.x!.item(), metadata], [3, { made: "here" }]);
  await mx.savez(`${folder}/m.npz`, { x: all.one });
  assertThrows(() => mx.load(`${folder}/m.npz`, { returnMetadata: true }), CheckpointError, "without returnMetadata");
});
Deno.test("stored arrays lie where they can be mapped", async () => {
  await mx.savez(`${folder}/m.npz`, { a: mx.ones([3]), bb: mx.ones([5]) });
  const bytes = Deno.readFileSync(`${folder}/m.npz`);
  for (const entry of readZip(inMemory(bytes)).values()) assertEquals(entry.begin % 64, 0);
});

Deno.test("checkpoints of PyTorch are read: views, transposes, parameters and nested dictionaries", () => {
  const expected = {
    w: ["float32", "2,3", [[0, 1, 2], [3, 4, 5]]],
    w_t: ["float32", "3,2", [[0, 3], [1, 4], [2, 5]]],
    tail: ["float32", "2", [4, 5]],
    n: ["int64", "2", [7n, -8n]],
    h: ["bfloat16", "3", [1, 2, 3]],
  };
  assertEquals(described(mx.load(put("pytorch_model.bin", files.TORCH))), expected);
  const nested = described(mx.load(put("checkpoint.pt", files.TORCH_NESTED)));
  const prefixed = Object.fromEntries(Object.entries(expected).map(([name, x]) => [`model.${name}`, x]));
  assertEquals(nested, { ...prefixed, "lists.4.0": ["float32", "", 2] });
});
Deno.test("an error names the file", () => {
  const e = assertThrows(() => mx.load(put("evil.pth", files.TORCH_CALL)), CheckpointError);
  assertEquals(e.message.includes(`cannot read ${folder}/evil.pth as a checkpoint of PyTorch`), true, e.message);
  assertThrows(() => mx.load(`${folder}/nowhere.npz`), CheckpointError, "check the path");
});
Deno.test("a file beyond the system's limit is an error, and leaves nothing behind", async () => {
  const path = `${folder}/limited`, main = `${folder}/limited.ts`;
  await Deno.mkdir(path);
  await Deno.writeTextFile(
    main,
    `import * as mx from "${import.meta.resolve("../../mod.ts")}";
    const x = mx.ones([1 << 22]);
    for (const save of [() => mx.save("x.npy", x), () => mx.saveSafetensors("x.safetensors", { x })]) {
      await save().catch((e) => console.log(e instanceof mx.CheckpointError && /room on the disk/.test(e.message)));
    }`,
  );
  // 10 MiB, which is enough for Deno's own caches if they are new.
  const command =
    `ulimit -f 20480; exec env DENO_DIR="${folder}/deno" "${Deno.execPath()}" run -A --quiet --no-lock "${main}"`;
  const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", command], cwd: path }).output();
  assertEquals(new TextDecoder().decode(stdout), "true\ntrue\n", new TextDecoder().decode(stderr));
  assertEquals([...Deno.readDirSync(path)], []);
});
