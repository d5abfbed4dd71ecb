/**
 * Devices, streams, and the memory of the runtime.
 *
 * A stream runs its work in order; several streams run side by side, and wait for one another only where data crosses.
 * @module
 */
import { isOpen, runtime } from "../ffi/runtime.ts";
import { setting } from "./environment.ts";
import { fail, ValueError } from "./errors.ts";
import { activeStream, setActiveStream, type StreamId } from "./graph.ts";
import { collectGarbage } from "./memory.ts";

/** Kinds of devices. */
export type DeviceType = "cpu" | "gpu";
/**
 * A device: `mx.cpu`, or `mx.gpu` where there is one (`mlx.core.Device`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.gpu.type; // "gpu"
 * String(mx.cpu); // "Device(cpu, 0)"
 * mx.stream(mx.cpu, () => mx.array([1, 2]).sum()).item(); // 3
 * ```
 */
export class Device {
  /** Made by this module. */
  constructor(
    /** Its kind. */
    readonly type: DeviceType,
    /** Which one of its kind. */
    readonly index: number = 0,
  ) {}
  /** `Device(cpu, 0)`, as MLX prints it. */
  toString(): string {
    return `Device(${this.type}, ${this.index})`;
  }
}
/** The processor. */
export const cpu: Device = new Device("cpu");
/** The Metal device; using it where there is none is an error. */
export const gpu: Device = new Device("gpu");

/**
 * A queue of work on a device (`mlx.core.Stream`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const s = mx.newStream(mx.cpu);
 * s.device === mx.cpu; // true
 * mx.stream(s, () => mx.defaultStream() === s); // true
 * ```
 */
export class Stream {
  /** Made by {@linkcode newStream} and {@linkcode defaultStream}. */
  constructor(
    /** Its number. */
    readonly index: StreamId,
    /** Where it runs. */
    readonly device: Device,
  ) {}
  /** `Stream(Device(cpu, 0), 1)`. */
  toString(): string {
    return `Stream(${this.device}, ${this.index})`;
  }
}
/** Streams that are there from the start: one of each device. */
const first = { cpu: new Stream(0, cpu), gpu: new Stream(1, gpu) };
const streams: Stream[] = [first.cpu, first.gpu];
/** Where each device's work goes by default. */
const defaults = { ...first };
if (setting("DENIM_DEVICE") === "gpu") setActiveStream(first.gpu.index);

/**
 * The device that new work runs on (`mlx.core.default_device`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.stream(mx.cpu, () => mx.defaultDevice().type); // "cpu"
 * ```
 */
export function defaultDevice(): Device {
  return streams[activeStream()]!.device;
}
/**
 * Sets the device that new work runs on (`mlx.core.set_default_device`).
 * A device that is not there is a `ValueError`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.defaultDevice();
 * mx.setDefaultDevice(mx.cpu);
 * mx.defaultDevice() === mx.cpu; // true
 * mx.setDefaultDevice(before);
 * ```
 */
export function setDefaultDevice(device: Device): void {
  setActiveStream(defaultStream(device).index);
}
/**
 * Is the device there (`mlx.core.is_available`)?
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isAvailable(mx.cpu); // true
 * const device = mx.isAvailable(mx.gpu) ? mx.gpu : mx.cpu;
 * mx.stream(device, () => mx.ones([3]).sum()).item(); // 3
 * ```
 */
export function isAvailable(device: Device = cpu): boolean {
  return device.index === 0 && (device.type === "cpu" || gpuFacts() !== null);
}
/** What the runtime says of the GPU, or null if it has none. */
function gpuFacts(): string[] | null {
  const lines = runtime().info().trim().split("\n").filter((line) => line.startsWith("gpu "));
  return lines.length ? lines.map((line) => line.slice(4)) : null;
}
/**
 * How many devices of that kind there are (`mlx.core.device_count`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.deviceCount(mx.cpu); // 1
 * mx.deviceCount(mx.gpu) === (mx.isAvailable(mx.gpu) ? 1 : 0); // true
 * ```
 */
export function deviceCount(device: Device = cpu): number {
  return isAvailable(device) ? 1 : 0;
}
function checked(op: string, device: Device): Device {
  if (!isAvailable(device)) {
    fail(ValueError, op, {
      cannot: `use ${device}`,
      expected: "a device of this machine",
      got: `${device}, which is not there`,
      fix: device.type === "gpu" ? "use mx.cpu (on Linux, DENIM_METAL=sim simulates a GPU)" : "use mx.cpu",
    });
  }
  return device;
}
/**
 * The stream of a device that work goes to by default (`mlx.core.default_stream`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * String(mx.defaultStream(mx.cpu)); // "Stream(Device(cpu, 0), 0)"
 * mx.defaultStream() === mx.defaultStream(mx.defaultDevice()); // true
 * ```
 */
export function defaultStream(device: Device = defaultDevice()): Stream {
  checked("defaultStream", device);
  return defaults[device.type];
}
/**
 * Makes a stream the default one of its device (`mlx.core.set_default_stream`). The default device stays what it is.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.defaultStream(mx.cpu), s = mx.newStream(mx.cpu);
 * mx.setDefaultStream(s);
 * mx.defaultStream(mx.cpu) === s; // true
 * mx.setDefaultStream(before);
 * ```
 */
export function setDefaultStream(s: Stream): void {
  defaults[s.device.type] = s;
  if (s.device.type === defaultDevice().type) setActiveStream(s.index);
}
/**
 * A new stream on a device (`mlx.core.new_stream`).
 * There are 64 at most; one more is a `ValueError`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.newStream(mx.cpu), b = mx.newStream(mx.cpu);
 * const x = mx.stream(a, () => mx.ones([4]).sum()), y = mx.stream(b, () => mx.arange(4).sum());
 * x.add(y).item(); // 10, of two sums that run side by side
 * ```
 */
export function newStream(device: Device = defaultDevice()): Stream {
  checked("newStream", device);
  const index = runtime().openStream(device.type === "gpu");
  if (index < 0) {
    fail(ValueError, "newStream", {
      cannot: "open another stream",
      expected: "at most 64 streams",
      got: "64 open ones",
      fix: "reuse a stream",
    });
  }
  return streams[index] = new Stream(index, device);
}
/**
 * Runs `fn` with the stream (or the device's stream) as the one that new work goes to (`mlx.core.stream`): its device is
 * the default device meanwhile, and it that device's default stream. Work of several streams runs side by side, but a
 * compiled function's program runs on one of them at a time.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.stream(mx.newStream(), () => mx.ones([2]).sum()).item(); // 2
 * ```
 */
export function stream<T>(s: Stream | Device, fn: () => T): T {
  const to = s instanceof Stream ? s : defaultStream(s), { type } = to.device, own = defaults[type];
  const before = setActiveStream(to.index);
  defaults[type] = to;
  try {
    return fn();
  } finally {
    defaults[type] = own;
    setActiveStream(before);
  }
}
/**
 * Waits for all work of a stream, of a device's default one, or of the one at work (`mlx.core.synchronize`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.ones([256, 256]), start = performance.now();
 * const pending = mx.asyncEval(x.matmul(x));
 * mx.synchronize();
 * const milliseconds = performance.now() - start; // all of the product, not its start alone
 * await pending;
 * ```
 */
export function synchronize(s: Stream | Device = streams[activeStream()]!): void {
  if (isOpen()) runtime().synchronize(s instanceof Stream ? s.index : defaultStream(s).index);
}
/**
 * Facts about the device (`mlx.core.device_info`), and the path of the native library. The CPU: instruction set, threads,
 * bytes of memory. The GPU: name, architecture, system, and its limits in bytes.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.deviceInfo(mx.cpu).deviceName; // "cpu"
 * typeof mx.deviceInfo(mx.cpu).memory; // "number"
 * ```
 */
export function deviceInfo(device: Device = defaultDevice()): Record<string, string | number> {
  checked("deviceInfo", device);
  const facts: Record<string, string | number> = device.type === "cpu"
    ? { deviceName: "cpu", architecture: Deno.build.arch }
    : {};
  const lines = runtime().info().trim().split("\n").filter((line) => !line.startsWith("gpu "));
  const library = lines.filter((line) => line.startsWith("library "));
  for (const line of device.type === "cpu" ? lines : [...gpuFacts() ?? [], ...library]) {
    const [key, ...rest] = line.split(" "), value = rest.join(" ");
    facts[key!] = /^\d+$/.test(value) ? Number(value) : value;
  }
  return facts;
}

/**
 * Bytes of live buffers (`mlx.core.get_active_memory`). Mapped files do not count.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.getActiveMemory(), x = mx.ones([1024]).mul(2);
 * mx.eval(x);
 * mx.getActiveMemory() - before; // 4096, which is x.nbytes
 * ```
 */
export function getActiveMemory(): number {
  return runtime().stats().active;
}
/**
 * The maximum of the active memory since the start or {@linkcode resetPeakMemory} (`mlx.core.get_peak_memory`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.resetPeakMemory();
 * const before = mx.getActiveMemory();
 * mx.ones([1000, 1000]).cumsum(0).sum().item();
 * mx.getPeakMemory() - before >= 4_000_000; // true, although nothing of it is left
 * ```
 */
export function getPeakMemory(): number {
  return runtime().stats().peak;
}
/**
 * Bytes kept for reuse (`mlx.core.get_cache_memory`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.ones([1000]).mul(2);
 * mx.eval(x);
 * x.dispose();
 * mx.getCacheMemory() >= 4000; // true: the next array of this size takes it
 * ```
 */
export function getCacheMemory(): number {
  return runtime().stats().cached;
}
/**
 * Starts the maximum anew (`mlx.core.reset_peak_memory`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.eval(mx.ones([1000]).mul(2));
 * mx.resetPeakMemory();
 * mx.getPeakMemory() === mx.getActiveMemory(); // true
 * ```
 */
export function resetPeakMemory(): void {
  runtime().set("peak", 0);
}
/**
 * Sets the limit of active memory in bytes; returns the one before (`mlx.core.set_memory_limit`). Beyond it an
 * evaluation throws `MemoryLimitError`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.setMemoryLimit(2 ** 30);
 * mx.getMemoryLimit(); // 1073741824
 * mx.setMemoryLimit(before); // 1073741824, the limit until now
 * ```
 */
export function setMemoryLimit(bytes: number): number {
  return runtime().set("memoryLimit", bytes);
}
/**
 * The limit of active memory in bytes: see {@linkcode setMemoryLimit}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.getMemoryLimit() > mx.getActiveMemory(); // true
 * ```
 */
export function getMemoryLimit(): number {
  const limit = runtime().set("memoryLimit", 0);
  runtime().set("memoryLimit", limit);
  return limit;
}
/**
 * Sets how many bytes may be kept for reuse (`mlx.core.set_cache_limit`); returns the limit before (-1: as many as are
 * active, at least 32 MiB).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.setCacheLimit(0); // nothing is kept from here on
 * mx.eval(mx.ones([1000]).mul(2));
 * mx.setCacheLimit(before); // 0
 * ```
 */
export function setCacheLimit(bytes: number): number {
  return runtime().set("cacheLimit", bytes);
}
/**
 * Sets how many bytes of arrays the system keeps in memory for the GPU (`mlx.core.set_wired_limit`); returns the limit
 * before. Of no effect on the CPU, and before macOS 15.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.setWiredLimit(2 ** 28);
 * mx.setWiredLimit(before);
 * ```
 */
export function setWiredLimit(bytes: number): number {
  return runtime().set("wiredLimit", bytes);
}
/**
 * Releases the buffers of arrays that are out of reach, and gives what is kept for reuse back to the system
 * (`mlx.core.clear_cache`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.ones([1000]).mul(2).sum().item();
 * mx.clearCache();
 * mx.getCacheMemory(); // 0
 * ```
 */
export function clearCache(): void {
  collectGarbage();
  runtime().clearCache();
}
