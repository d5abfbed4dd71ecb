/**
 * What a bench ran on: processor, threads, versions, the commit. Two reports are comparable if these agree.
 * @module
 */
import * as mx from "../mod.ts";
import { run } from "../ffi/zig.ts";

/** What a report was measured on and with. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  /** Threads of the library. */
  readonly threads: number;
  /** Instruction set of the library. */
  readonly isa: string;
  readonly os: string;
  readonly memoryBytes: number;
  readonly deno: string;
  /** The commit, with `+` if files were changed since; empty outside git. */
  readonly commit: string;
  /** Mean number of runnable tasks over the last minute, before the bench started. */
  readonly load: number;
}

/** The processor's name, as the system tells it. */
export async function processorName(): Promise<string> {
  if (Deno.build.os === "darwin") {
    return (await run({ command: "sysctl" }, ["-n", "machdep.cpu.brand_string"])).stdout.trim();
  }
  const text = await Deno.readTextFile("/proc/cpuinfo");
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(text)?.[1];
  // Virtual machines often hide the name: the numbers tell models apart.
  const numbers = ["cpu family", "model", "stepping", "CPU implementer", "CPU part"].map(field).filter((x) => x);
  return `${field("model name") ?? Deno.build.arch} (${numbers.join(" ")})`;
}
async function commitOf(folder: string): Promise<string> {
  const git = { command: "git" };
  const { code, stdout } = await run(git, ["rev-parse", "--short=12", "HEAD"], folder);
  if (code !== 0) return "";
  const changed = await run(git, ["status", "--porcelain", "--untracked-files=no"], folder);
  return stdout.trim() + (changed.stdout.trim() ? "+" : "");
}

/** Describes this machine. */
export async function machine(): Promise<Machine> {
  const { isa, threads, memory } = mx.deviceInfo();
  return {
    processor: await processorName(),
    cores: navigator.hardwareConcurrency,
    threads: Number(threads),
    isa: String(isa),
    os: `${Deno.build.os} ${Deno.osRelease()}`,
    memoryBytes: Number(memory),
    deno: Deno.version.deno,
    commit: await commitOf(new URL("..", import.meta.url).pathname),
    load: Deno.loadavg()[0] ?? 0,
  };
}
