/**
 * The names of `mlx.core.metal`: whether there is a Metal device, and MLX's older names of the functions of memory.
 * @module
 */
import { gpu, isAvailable as isDeviceAvailable } from "./device.ts";

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

/** Is there a Metal device (`mlx.core.metal.is_available`)? The same as `mx.isAvailable(mx.gpu)`. */
export function isAvailable(): boolean {
  return isDeviceAvailable(gpu);
}
