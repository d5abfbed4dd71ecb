/**
 * The Metal host: devices and streams, what crosses between them, errors of the GPU, counters, kernels of the user's
 * own. Runs where there is a GPU: on a Mac, or simulated (`tests/metal_test.ts` starts it so).
 * @module
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";

const onGpu = <T>(fn: () => T): T => mx.stream(mx.gpu, fn);
/** A test on the GPU; where there is none it is ignored, and says so by its name. */
function test(name: string, fn: () => void | Promise<void>): void {
  const ignore = !mx.isAvailable(mx.gpu);
  Deno.test({ name: ignore ? `${name} (no GPU here)` : name, ignore, fn });
}
/** What `fn` adds to the counters. */
function counted(fn: () => void): Record<string, number> {
  const before = mx.metal.counters();
  fn();
  const after = mx.metal.counters();
  return Object.fromEntries(Object.entries(after).map(([name, n]) => [name, n - (Reflect.get(before, name) ?? 0)]));
}

test("the device says what it is", () => {
  const facts = mx.deviceInfo(mx.gpu);
  assertEquals([mx.deviceCount(mx.gpu), mx.defaultStream(mx.gpu).device, mx.metal.isAvailable()], [1, mx.gpu, true]);
  assert(`${facts.deviceName}`.length > 0 && Number(facts.maxBufferLength) > 2 ** 30);
});
test("CPU and GPU see the same arrays, in both directions, without copies", () => {
  const x = mx.arange(1000).astype(mx.float32), before = runtime().stats().copies;
  mx.eval(x);
  let y = x;
  for (let i = 0; i < 6; i++) y = mx.stream(i % 2 ? mx.cpu : mx.gpu, () => y.add(i).mul(1));
  const expected = mx.stream(mx.cpu, () => x.add(15));
  assertEquals(y.tolist(), expected.tolist());
  assertEquals(runtime().stats().copies, before);
});
test("streams of the GPU wait for one another by the data that crosses", () => {
  const streams = [mx.newStream(mx.gpu), mx.newStream(mx.gpu), mx.newStream(mx.cpu)];
  let a = mx.ones([64]), b = mx.ones([64]);
  const step = (k: number, x: mx.NDArray, y: mx.NDArray) => {
    const z = mx.stream(streams[k % 3]!, () => x.add(y));
    mx.asyncEval(z);
    return z;
  };
  let [p, q] = [1, 1];
  for (let i = 0; i < 30; i++) {
    [a, b] = [b, step(i, a, b)];
    [p, q] = [q, p + q];
  }
  assertEquals(b.tolist(), Array(64).fill(q));
});
test("a buffer that another stream still reads is not overwritten before it has", () => {
  const [s, t] = [mx.newStream(mx.gpu), mx.newStream(mx.gpu)];
  const x = onGpu(() => mx.zeros([256]).add(1));
  mx.eval(x);
  const sums = mx.stream(s, () => x.sum());
  mx.asyncEval(sums);
  const written = mx.stream(t, () => x.at(mx.slice(0, 128)).set(5));
  assertEquals([written.sum().item(), sums.item()], [128 * 6, 256]);
});
test("float64 is refused by name, and the message says what to do", () => {
  const x = mx.array([1, 2], mx.float64);
  assertThrows(
    () => onGpu(() => mx.eval(x.add(1))),
    mx.ValueError,
    "cannot run float64 on the GPU: expected another dtype, got float64. Fix: use float32 (astype), or run it in " +
      "mx.stream(mx.cpu, ...)",
  );
  assertEquals(mx.stream(mx.cpu, () => x.add(1)).tolist(), [2, 3]);
});
test("an index out of range is an error of what depends on it, met where it is read", () => {
  onGpu(() => {
    const x = mx.arange(10), bad = mx.take(x, mx.array([3, 77], mx.int32)), good = mx.take(x, mx.array([3], mx.int32));
    const after = bad.add(1);
    mx.asyncEval(bad, good, after);
    assertThrows(() => bad.tolist(), mx.IndexError);
    assertThrows(() => after.tolist(), mx.IndexError);
    assertEquals(good.tolist(), [3]);
  });
});
test("a kernel that breaks its command buffer fails its own work; the process and other streams live on", () => {
  const wrong = mx.fast.metalKernel("loose", ["x"], ["y"], "y[thread_position_in_grid.x + 1000000] = x[0];");
  const facts = { outputShapes: [[4]], outputDtypes: [mx.float32], grid: [4], threadgroup: [4] };
  const simulated = `${mx.deviceInfo(mx.gpu).deviceName}`.startsWith("Simulated");
  if (!simulated) return; // real hardware need not notice
  const other = mx.newStream(mx.gpu), s = mx.newStream(mx.gpu);
  const y = mx.stream(s, () => wrong([mx.ones([4])], facts)[0]!), fine = mx.stream(other, () => mx.ones([4]).add(1));
  assertThrows(() => y.tolist(), mx.KernelError, "out of bounds");
  assertEquals(fine.tolist(), [2, 2, 2, 2]);
  assertEquals(mx.stream(s, () => mx.ones([2]).add(2)).tolist(), [3, 3]);
});
test("independent dispatches run side by side, dependent ones behind a barrier; one command buffer takes many", () => {
  onGpu(() => {
    const xs = Array.from({ length: 4 }, () => mx.random.normal([32, 32]));
    mx.eval(xs);
    const apart = counted(() => mx.eval(xs.map((x) => mx.softmax(x, -1))));
    assertEquals([apart.dispatches, apart.barriers, apart.fallbacks, apart.commandBuffers], [4, 0, 0, 1]);
    const chain = counted(() => mx.eval(xs.slice(0, 1).map((x) => mx.softmax(mx.softmax(mx.softmax(x, -1), -1), -1))));
    assertEquals([chain.dispatches, chain.barriers, chain.commandBuffers], [3, 2, 1]);
  });
});
test("metalKernel: template, strided inputs, several outputs, atomics, initial values", () => {
  const source = `uint i = thread_position_in_grid.x;
    int64_t at = elem_to_loc(i, x_shape, x_strides, x_ndim);
    atomic_store_explicit(&a[i], T(x[at]) * N, memory_order_relaxed);
    atomic_fetch_add_explicit(&n[0], 1, memory_order_relaxed);`;
  const kernel = mx.fast.metalKernel("two", ["x"], ["a", "n"], source, {
    atomicOutputs: true,
    ensureRowContiguous: false,
  });
  onGpu(() => {
    const x = mx.arange(12).reshape([3, 4]).T;
    const [a, n] = kernel([x], {
      outputShapes: [[4, 3], [1]],
      outputDtypes: [mx.int32, mx.int32],
      grid: [12],
      threadgroup: [5],
      template: { T: mx.int32, N: 2 },
      initValue: 30,
    });
    assertEquals([a!.tolist(), n!.tolist()], [x.mul(2).astype(mx.int32).tolist(), [42]]);
  });
});
test("metalKernel inside customFunction, vmap and compile", () => {
  const kernel = mx.fast.metalKernel("my_exp", ["x"], ["y"], "uint i = thread_position_in_grid.x; y[i] = exp(x[i]);");
  const exp = (x: mx.NDArray) =>
    kernel([x], { outputShapes: [x.shape], outputDtypes: [x.dtype], grid: [x.size], threadgroup: [64] })[0]!;
  onGpu(() => {
    const x = mx.array([[0, 1, 2], [-1, 0.5, 3]]), expected = mx.exp(x);
    const close = (y: mx.NDArray) => assert(mx.allclose(y, expected).item(), `${y}`);
    close(exp(x));
    close(mx.vmap(exp)(x));
    close(mx.compile(exp)(x));
    const own = mx.customFunction(exp).vjp((_x, ct, y) => [y.mul(ct)]);
    close(mx.grad((v: mx.NDArray) => own(v).sum())(x));
    assertThrows(() => mx.grad((v: mx.NDArray) => exp(v).sum())(x), mx.DenimError, "customFunction");
  });
});
test("metalKernel: the compiler's words, the CPU, and wrong calls", () => {
  const bad = mx.fast.metalKernel("bad", ["x"], ["y"], "y[0] = oops;"), x = mx.ones([4]);
  const facts = { outputShapes: [[4]], outputDtypes: [mx.float32], grid: [4], threadgroup: [4] };
  onGpu(() => {
    const error = assertThrows(() => bad([x], facts)[0]!.tolist(), mx.KernelError);
    assertMatch(error.message, /cannot compile the kernel bad for the GPU.*oops/);
    assertThrows(() => bad([x, x], facts), mx.ValueError, "expected 1 inputs");
    assertThrows(() => bad([x], { ...facts, grid: [0] }), mx.ValueError, "positive lengths as its grid");
  });
  assertThrows(() => mx.stream(mx.cpu, () => bad([x], facts)), mx.ValueError, "cannot run bad on the CPU");
});
test("a profile has the kernels of the GPU, what it was given, and what the simulator counted", () => {
  const x = mx.ones([64, 32]);
  mx.eval(x);
  const f = () => onGpu(() => x.matmul(x.T).exp().sum());
  f().item(); // the kernels are compiled
  const p = mx.profile(f, { print: false }), labels = p.kernels.map((k) => [k.device, k.operations.join(" ")]);
  assertEquals(labels.sort(), [["gpu", "exp sum"], ["gpu", "matmul"]]);
  assert(p.kernels.every((k) => k.seconds > 0 && k.calls === 1 && k.roofShare === null));
  assert(p.gpu !== null && p.gpu.commandBuffers >= 2 && p.gpu.bytes > 0 && p.gpu.fallbacks === 0);
  const whole = mx.profile(f, { print: false, kernels: false });
  assertEquals([whole.kernels, whole.gpu?.commandBuffers], [[], 1]);
  if (!`${mx.deviceInfo(mx.gpu).deviceName}`.startsWith("Simulated")) return;
  const counts = whole.gpu?.simulated;
  assert(counts && counts.bytesRead >= x.nbytes && counts.bytesWritten >= 4 && counts.threadgroups >= 2);
  const { otherData } = whole.trace();
  assertEquals([otherData["gpu commandBuffers"], otherData["simulated bytesRead"]], [1, counts.bytesRead]);
  assertMatch(whole.table(), /GPU: \d+ dispatches, .* 1 command buffer, .*\nsimulated: .* read, .* written/);
});
