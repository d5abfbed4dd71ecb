/**
 * `deno task doctor [--quick]`: what this machine is, whether every kernel family of the GPU agrees with the CPU, and
 * a few speeds; a report that can be pasted. Two minutes at most; the exit code says whether all agreed. With
 * `DENIM_METAL=sim` the GPU is the simulated one.
 * @module
 */
import { libraryPath } from "../../ffi/build.ts";
import { primitive } from "../../core/graph.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import * as mx from "../../mod.ts";
import type { Case } from "../cases/case.ts";
import { allCases } from "../cases/mod.ts";
import { count, fromArray, toArray } from "../cases/tensor.ts";
import { call, difference, inputsOf, nameOf, withoutFloat64 } from "../ops/harness.ts";

const SECONDS = 110, QUICK_SECONDS = 10;
/** The GPU may differ from the CPU by as much as both may differ from the truth. */
const TWICE = 2;
/** Simulated devices are slow: larger inputs are for real ones. */
const MOST_ELEMENTS = 3000;

/** What is found out about one family. */
interface Finding {
  checks: number;
  failures: string[];
  fallbacks: number;
  milliseconds: number;
}
/** One case in its first dtypes, on both devices. */
function compare(name: PrimitiveName, c: Case, finding: Finding, until: number): void {
  const elementwise = primitive(name).kind === "elementwise", tolerance = c.tolerance ?? {};
  const wider = {
    ulps: TWICE * (tolerance.ulps ?? 4),
    half: TWICE * (tolerance.half ?? 1),
    ...tolerance.floor === undefined ? {} : { floor: tolerance.floor },
  };
  for (const [v, variant] of c.variants.entries()) {
    if (variant.inputs.some(({ shape }) => count(shape) > MOST_ELEMENTS)) continue;
    const dtypes = variant.dtypes ?? c.dtypes;
    for (const dtype of new Set([dtypes[v % dtypes.length], dtypes[0]])) {
      if (!dtype || v > 0 && performance.now() > until) continue;
      finding.checks++;
      try {
        const inputs = inputsOf(variant, dtype, 7 * v);
        const on = (device: mx.Device) =>
          mx.stream(device, () => fromArray(call(name, inputs.map((x) => toArray(x)), variant)));
        const said = difference(on(mx.gpu), on(mx.cpu), wider, elementwise);
        if (said) finding.failures.push(`${nameOf(name, variant, dtype)}: ${said}`);
      } catch (error) {
        finding.failures.push(`${nameOf(name, variant, dtype)}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
}
/** All families, each with its share of the time. */
function families(seconds: number): Map<string, Finding> {
  const found = new Map<string, Finding>(), start = performance.now();
  for (const [i, [name, c]] of allCases.entries()) {
    const family = primitive(name).family, before = mx.metal.counters().fallbacks, begun = performance.now();
    const finding = found.get(family) ?? { checks: 0, failures: [], fallbacks: 0, milliseconds: 0 };
    found.set(family, finding);
    compare(name, withoutFloat64(c), finding, start + (i + 1) / allCases.length * seconds * 1000);
    finding.fallbacks += mx.metal.counters().fallbacks - before;
    finding.milliseconds += performance.now() - begun;
  }
  return found;
}
/** Seconds of the best of a few runs. */
function best(run: () => mx.NDArray): number {
  const times = Array.from({ length: 8 }, () => {
    const start = performance.now();
    mx.eval(run());
    return (performance.now() - start) / 1000;
  });
  return Math.min(...times);
}
/** Speeds of a real device: they say whether it works as it should, not how fast it can be. */
function speeds(): string[] {
  const n = 2048, bytes = 256 * 2 ** 20;
  return mx.stream(mx.gpu, () => {
    const a = mx.random.normal([n, n]), h = a.astype(mx.float16), long = mx.zeros([bytes / 4]);
    mx.eval(a, h, long);
    const tera = (seconds: number) => `${(2 * n ** 3 / seconds / 1e12).toFixed(2)} TFLOP/s`;
    const empty = best(() => mx.ones([1]).add(1));
    return [
      `copy of 256 MiB: ${(2 * bytes / best(() => long.add(1)) / 1e9).toFixed(0)} GB/s`,
      `matmul ${n}, float32: ${tera(best(() => mx.matmul(a, a)))}`,
      `matmul ${n}, float16: ${tera(best(() => mx.matmul(h, h)))}`,
      `smallest evaluation: ${(empty * 1e6).toFixed(0)} microseconds`,
    ];
  });
}
/** The report's lines, and whether all is well. */
export function examine(seconds: number): { lines: string[]; ok: boolean } {
  const lines = [`Deno ${Deno.version.deno} on ${Deno.build.os} ${Deno.build.arch} (${Deno.osRelease()})`];
  lines.push(`library: ${libraryPath().split("/").pop()}`);
  if (!mx.isAvailable(mx.gpu)) return { lines: [...lines, "GPU: none"], ok: true };
  for (const [name, value] of Object.entries(mx.deviceInfo(mx.gpu))) lines.push(`GPU ${name}: ${value}`);
  let ok = true;
  for (const [family, { checks, failures, fallbacks, milliseconds }] of families(seconds)) {
    const verdict = failures.length ? `${failures.length} OF ${checks} DIFFER` : `${checks} agree`;
    const aside = fallbacks ? `; ${fallbacks} instructions ran on the CPU` : "";
    lines.push(`${family.padEnd(10)} ${verdict} (${(milliseconds / 1000).toFixed(1)} s)${aside}`);
    for (const failure of failures.slice(0, 5)) lines.push(`    ${failure}`);
    ok &&= failures.length === 0;
  }
  const { dispatches, barriers, commandBuffers, pipelines } = mx.metal.counters();
  lines.push(`${dispatches} dispatches, ${barriers} barriers, ${commandBuffers} command buffers, ${pipelines} kernels`);
  if (!`${mx.deviceInfo(mx.gpu).deviceName}`.startsWith("Simulated")) lines.push(...speeds());
  return { lines, ok };
}
if (import.meta.main) {
  const { lines, ok } = examine(Deno.args.includes("--quick") ? QUICK_SECONDS : SECONDS);
  console.log(lines.join("\n"));
  if (!ok) Deno.exit(1);
}
