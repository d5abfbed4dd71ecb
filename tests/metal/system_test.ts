/**
 * What the Metal host asks of the system beside computing: captures, memory that stays resident, files that are mapped,
 * compiled kernels on disk, an environment that changes meanwhile.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";

const onGpu = <T>(fn: () => T): T => mx.stream(mx.gpu, fn);
function test(name: string, fn: () => void | Promise<void>): void {
  const ignore = !mx.isAvailable(mx.gpu);
  Deno.test({ name: ignore ? `${name} (no GPU here)` : name, ignore, fn });
}

test("captures: what the GPU does goes into a new file, where the process was started for it", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/work.gputrace`;
  if (Deno.env.get("MTL_CAPTURE_ENABLED") === "1") {
    mx.metal.startCapture(path);
    assertThrows(() => mx.metal.startCapture(`${folder}/other.gputrace`), mx.ValueError, "startCapture");
    mx.eval(onGpu(() => mx.softmax(mx.ones([4, 8]), -1)));
    mx.metal.stopCapture();
    assert((await Deno.stat(path)).isDirectory);
    if (runtime().simulatorCounts()) assert((await Deno.readTextFile(`${path}/kernels`)).includes("softmax\n"));
    assertThrows(() => mx.metal.startCapture(path), mx.ValueError, "a new file ending in .gputrace");
  } else {
    assertThrows(() => mx.metal.startCapture(path), mx.ValueError, "start the process with MTL_CAPTURE_ENABLED=1");
  }
  mx.metal.stopCapture(); // nothing to stop is no error
  await Deno.remove(folder, { recursive: true });
});
test("wired memory: as many bytes as the limit allows stay resident, until their buffers go", () => {
  const limit = 64 * 2 ** 20, x = onGpu(() => mx.ones([1 << 15]).add(1)), before = mx.setWiredLimit(limit);
  mx.eval(x, onGpu(() => x.index(0).add(1)));
  const resident = runtime().simulatorCounts()?.resident, { system } = mx.deviceInfo(mx.gpu);
  const sets = !/^1[34]\./.test(`${system}`) && Deno.env.get("DENIM_METAL_SIM_FAMILY") === undefined;
  const least = sets ? x.nbytes : 0, most = sets ? limit : 0;
  assert(resident === undefined || resident >= least && resident <= most, `${resident} bytes are resident`);
  assertEquals(mx.setWiredLimit(0), limit);
  assertEquals(runtime().simulatorCounts()?.resident ?? 0, 0);
  mx.setWiredLimit(before);
});
test("an array longer than a Metal buffer may be is refused, and parts of it are not", () => {
  const most = Number(mx.deviceInfo(mx.gpu).maxBufferLength), n = most / 4 + 1;
  if (most > 2 ** 24) return; // so long an array is no work for a test
  const x = mx.stream(mx.cpu, () => mx.ones([n]).add(1));
  mx.eval(x);
  assertThrows(() => onGpu(() => mx.eval(x.add(1))), mx.ValueError, `expected at most ${most} bytes`);
  assertEquals(onGpu(() => x.index(mx.slice(n - 3, n)).add(1)).tolist(), [3, 3, 3]);
});
test("mapped files: the GPU reads them where they are", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/two.safetensors`, n = 50_000;
  await mx.saveSafetensors(path, { a: mx.arange(n), b: mx.full([n], 3, mx.int32) });
  const file = mx.load(path), { copies, mapped } = runtime().stats();
  assert(mapped >= 2 * 4 * n);
  const total = onGpu(() => file.a!.astype(mx.int32).max().add(file.b!.max()).item());
  assertEquals([total, runtime().stats().copies], [n + 2, copies]);
  await Deno.remove(folder, { recursive: true });
});
test("the environment may change while kernels are compiled", () => {
  onGpu(() => {
    const x = mx.ones([8]),
      results = Array.from({ length: 4 }, (_, i) => {
        const kernel = mx.fast.metalKernel("plus", ["x"], ["y"], `y[thread_position_in_grid.x] = x[0] + ${i}.0f;`);
        const y = kernel([x], { outputShapes: [[8]], outputDtypes: [mx.float32], grid: [8], threadgroup: [8] })[0]!;
        mx.asyncEval(y);
        for (let k = 0; k < 500; k++) Deno.env.set(`DENIM_TEST_${k}`, "x".repeat(k));
        return y;
      });
    results.forEach((y, i) => assertEquals(y.tolist(), Array(8).fill(1 + i)));
    for (let k = 0; k < 500; k++) Deno.env.delete(`DENIM_TEST_${k}`);
  });
});
