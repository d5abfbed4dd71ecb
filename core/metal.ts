/**
 * The names of `mlx.core.metal`: whether there is a Metal device, captures of its work, counters, and MLX's older names
 * of the functions of memory.
 * @module
 */
import { runtime } from "../ffi/runtime.ts";
import { gpu, isAvailable as isDeviceAvailable } from "./device.ts";
import { failure } from "./status.ts";

export {
  clearCache,
  deviceInfo,
  getActiveMemory,
  getCacheMemory,
  getPeakMemory,
  resetPeakMemory,
  setCacheLimit,
  setMemoryLimit,
  setWiredLimit,
} from "./device.ts";

/**
 * Is there a Metal device (`mlx.core.metal.is_available`)? The same as `mx.isAvailable(mx.gpu)`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const device = mx.metal.isAvailable() ? mx.gpu : mx.cpu;
 * mx.stream(device, () => mx.array([1, 2]).sum()).item(); // 3
 * ```
 */
export function isAvailable(): boolean {
  return isDeviceAvailable(gpu);
}
/**
 * Records the GPU's work into a file for Xcode, until {@linkcode stopCapture} (`mlx.core.metal.start_capture`). The path
 * ends in `.gputrace` and must not exist; the process must have been started with `MTL_CAPTURE_ENABLED=1`. A
 * `ValueError` where the GPU cannot.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const capture = mx.metal.isAvailable() && Deno.env.get("MTL_CAPTURE_ENABLED") === "1";
 * if (capture) mx.metal.startCapture(`${Deno.makeTempDirSync()}/step.gputrace`);
 * mx.ones([64, 64]).matmul(mx.ones([64, 64])).sum().item(); // 262144
 * mx.metal.stopCapture();
 * ```
 */
export function startCapture(path: string): void {
  const failed = runtime().capture(path);
  if (failed) throw failure("startCapture", failed);
}
/**
 * Ends what {@linkcode startCapture} began (`mlx.core.metal.stop_capture`).
 * Without one that runs it does nothing.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.metal.stopCapture(); // no capture runs: no error
 * ```
 */
export function stopCapture(): void {
  const failed = runtime().capture(null);
  if (failed) throw failure("stopCapture", failed);
}
/** What the GPU was given since the start of the process. */
export interface Counters {
  /** Kernels. */
  readonly dispatches: number;
  /** Waits between dispatches, because one needs what another writes. */
  readonly barriers: number;
  /** Command buffers. */
  readonly commandBuffers: number;
  /** Kernels that were compiled. */
  readonly pipelines: number;
  /** Bytes that the arguments of the dispatches name: each counts as often as it is named. */
  readonly bytes: number;
  /** Instructions that the CPU ran, as the GPU has no kernel for them. */
  readonly fallbacks: number;
}
/**
 * The counters of the GPU's work: the difference of two calls is what came between them.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.metal.counters().dispatches;
 * mx.stream(mx.cpu, () => mx.ones([8]).mul(2).sum()).item();
 * mx.metal.counters().dispatches - before; // 0, as the CPU did it
 * ```
 */
export function counters(): Counters {
  const { dispatches, barriers, commandBuffers, pipelines, gpuBytes, fallbacks } = runtime().stats();
  return { dispatches, barriers, commandBuffers, pipelines, bytes: gpuBytes, fallbacks };
}
