/**
 * Gives the path of the native library, building it first where that is needed. `libraryPath` is synchronous, because
 * evaluation is: where there is work to do it runs this very file as a program and waits for it. A library is kept
 * under the hash of its sources; a stamp per checkout (sizes and times of the sources) makes the usual answer quick.
 * @module
 */
import { cacheFolder, exists, install, locked, writeAtomic } from "./cache.ts";
import { DenimError, type Failure, libraryFailure } from "./errors.ts";
import { EIGEN, METAL_CPP } from "./headers.ts";
import { builtName, fileName, hasLapack, hasMetal, hostPlatform, type Platform, platformOf } from "./platform.ts";
import { fetchPrebuilt, fingerprint, hashSources, LOCAL_ROOT, MANIFEST, sourceFiles, sourceRoot } from "./source.ts";
import { findHeaders } from "./wheel.ts";
import { findZig, run, zigAtHand } from "./zig.ts";

/** Tells the user what takes time. A passing line is replaced by the next one. */
export type Report = (line: string, passing?: boolean) => void;

/** Prints progress to stderr: a passing line in place on a terminal, at most every ten seconds into a file. */
export function progress(): Report {
  const terminal = Deno.stderr.isTerminal();
  const write = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  let quietUntil = Date.now() + 10_000;
  return (line, passing = false) => {
    if (terminal) write(`\r\x1b[Kdenim: ${line}${passing ? "" : "\n"}`);
    else if (!passing || Date.now() > quietUntil) {
      write(`denim: ${line}\n`);
      quietUntil = Date.now() + 10_000;
    }
  };
}

const cached = (platform: Platform, hash: string) => `${cacheFolder()}/lib/${fileName(platform, hash)}`;
const stampPath = (root: string) => `${cacheFolder()}/stamp/${root.replaceAll("/", "+").slice(-200)}`;

/** The library if it exists already: found by the manifest's hash, or by the stamp as long as no source was touched. */
export function readyLibrary(platform: Platform): string | null {
  const hash = LOCAL_ROOT === null || Deno.build.standalone ? MANIFEST.hash : stampedHash(LOCAL_ROOT);
  if (hash === null) return null;
  const path = cached(platform, hash);
  return exists(path) ? path : null;
}
function stampedHash(root: string): string | null {
  const path = stampPath(root);
  if (!exists(path)) return null;
  const [hash = "", ...lines] = Deno.readTextFileSync(path).split("\n");
  return lines.join("\n") === fingerprint(root) ? hash : null;
}

/**
 * The library for a platform, built unless it exists. Throws `RuntimeLibraryError` with the compiler's output.
 * Several processes may call it at once; one of them builds.
 */
export async function buildLibrary(platform: Platform, report: Report): Promise<string> {
  return await locked(async (temporary) => {
    const root = await sourceRoot(temporary, report);
    // Sources that are edited while they are compiled would end under a wrong hash: look again, and start over.
    for (let attempt = 0; attempt < 3; attempt++) {
      const before = fingerprint(root);
      const { hash } = await hashSources(root);
      const library = cached(platform, hash);
      if (exists(library)) await Deno.utime(library, new Date(), new Date());
      else await make(`${temporary}/${attempt}`, root, platform, hash, report);
      if (fingerprint(root) !== before) {
        await Deno.remove(library);
        continue;
      }
      if (LOCAL_ROOT !== null) await writeAtomic(stampPath(root), `${hash}\n${before}`);
      await forgetOld(platform);
      return library;
    }
    return libraryFailure({
      cannot: `build the runtime for ${platform}`,
      expected: "sources that stay as they are meanwhile",
      got: "three changes in a row",
      fix: "try again when the sources are at rest",
    });
  }, () => report("waiting for another process that builds ..."));
}

/** Puts a new library into the cache: the prebuilt one, or one compiled here. */
async function make(temporary: string, root: string, platform: Platform, hash: string, report: Report): Promise<void> {
  const target = cached(platform, hash);
  const prebuilt = `prebuilt/${fileName(platform, hash)}`;
  if (LOCAL_ROOT === null) {
    const body = await fetchPrebuilt(prebuilt, platform);
    if (body) return await writeAtomic(target, body);
  } else if (exists(`${root}/${prebuilt}`)) {
    return await writeAtomic(target, await Deno.readFile(`${root}/${prebuilt}`));
  }
  await Deno.mkdir(temporary);
  await zigBuild(temporary, root, platform, "install", report);
  await install(`${temporary}/out/${builtName(platform)}`, target);
}

/** Runs one step of `runtime/build.zig`; what it installs is in `out/` of the temporary folder. */
async function zigBuild(temporary: string, root: string, platform: Platform, step: string, report: Report) {
  const zig = await findZig(temporary, report);
  const metal = hasMetal(platform) ? [`-Dmetal-cpp=${await findHeaders(METAL_CPP, temporary, report)}`] : [];
  const eigen = hasLapack(platform) ? [] : [`-Deigen=${await findHeaders(EIGEN, temporary, report)}`];
  const cache = `${cacheFolder()}/zig-cache`;
  const started = Date.now();
  const what = `${step === "install" ? "runtime" : "native tests"} for ${platform}`;
  const stop = watchObjects(`${cache}/local/o`, units(root, platform, step), (count) => {
    report(`building the ${what} ... ${count} files`, true);
  });
  report(`building the ${what} ...`, Deno.stderr.isTerminal());
  const options = ["--cache-dir", `${cache}/local`, "--global-cache-dir", `${cache}/global`, "--summary", "none"];
  const args = [
    "build",
    step,
    `-Dplatform=${platform}`,
    ...metal,
    ...eigen,
    "--prefix",
    `${temporary}/out`,
    "--color",
    "off",
  ];
  const { code, stderr } = await run(zig, [...args, ...options, "--error-style", "minimal"], `${root}/runtime`);
  stop();
  if (code !== 0) {
    report(`could not build the ${what}`);
    libraryFailure({
      cannot: `build the ${what}`,
      expected: "sources that compile",
      got: `from the compiler (exit code ${code}):\n${stderr.trim()}\n`,
      fix: "correct the first error above, or report it if you changed nothing",
    });
  }
  report(`built the ${what} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
/** How many objects a build from nothing makes: kernels are compiled once per instruction set (`runtime/build.zig`). */
function units(root: string, platform: Platform, step: string): number {
  const files = sourceFiles(root).filter((path) =>
    path.endsWith(".cc") && (hasMetal(platform) || !path.startsWith("metal/")) &&
    (!path.startsWith("linalg/") || (path === "linalg/lapack.cc") === hasLapack(platform))
  );
  const kernels = files.filter((path) => path.startsWith("cpu/") && path !== "cpu/dispatch.cc").length;
  const tests = step === "install"
    ? []
    : [...Deno.readDirSync(`${root}/runtime/tests`)].filter((e) => e.name.endsWith(".cc"));
  return files.length + tests.length + (platform === "x86_64-linux" ? 2 * kernels : 0);
}
/**
 * Counts the objects that appear in the compiler's cache, which is all the progress that it shows without a terminal.
 */
function watchObjects(folder: string, total: number, tell: (count: string) => void): () => void {
  const list = (path: string) => exists(path) ? [...Deno.readDirSync(path)].map((entry) => entry.name) : [];
  const before = new Set(list(folder));
  const timer = setInterval(() => {
    const fresh = list(folder).filter((name) => !before.has(name));
    const done = fresh.filter((name) => list(`${folder}/${name}`).some((file) => file.endsWith(".o"))).length;
    tell(`${done}/${total}`);
  }, 300);
  return () => clearInterval(timer);
}

/** Libraries of old sources go: each edit makes one. The compiler's objects start anew when there are very many. */
async function forgetOld(platform: Platform): Promise<void> {
  const [kept, objects] = [24, 20_000];
  const folder = `${cacheFolder()}/lib`;
  const libraries = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
    .filter((path) => /^-[0-9a-f]+\./.test(path.split(`/denim-${platform}`)[1] ?? ""))
    .sort((a, b) => Number(Deno.statSync(b).mtime) - Number(Deno.statSync(a).mtime));
  for (const path of libraries.slice(kept)) await Deno.remove(path);
  const cache = `${cacheFolder()}/zig-cache/local`;
  if (exists(`${cache}/o`) && [...Deno.readDirSync(`${cache}/o`)].length > objects) {
    await Deno.remove(cache, { recursive: true });
  }
}

/** Builds the native tests of this checkout as one program, and returns its path. */
export async function buildNativeTests(platform: Platform, report: Report): Promise<string> {
  return await locked(async (temporary) => {
    await zigBuild(temporary, await sourceRoot(temporary, report), platform, "native-test", report);
    const program = `${cacheFolder()}/native-test/${platform}`;
    await install(`${temporary}/out/native_test`, program);
    return program;
  }, () => report("waiting for another process that builds ..."));
}

/** Where a program made by `deno compile` looks: where its main module is, in the folders above, beside the program. */
function foldersOfProgram(): string[] {
  const main = new URL(".", Deno.mainModule), folders: string[] = [];
  for (let at = main; at.protocol === "file:"; at = new URL("..", at)) {
    folders.push(decodeURIComponent(at.pathname).replace(/\/$/, ""));
    if (at.pathname === "/") break;
  }
  return [...folders, Deno.execPath().replace(/\/[^/]*$/, "")];
}
/** The library that a program carries in one of the folders, under the name that it has in the cache. */
export function shippedLibrary(platform: Platform, folders: readonly string[] = foldersOfProgram()): string | null {
  const name = fileName(platform, MANIFEST.hash);
  return folders.map((folder) => `${folder}/${name}`).find(exists) ?? null;
}

/** What the program below prints: the library's path, or why there is none. */
type Answer = { readonly path: string } | { readonly failure: Failure };

/**
 * The path of a native library for this machine. `$DENIM_LIBRARY` overrides it. The first use on a machine builds the
 * library (about a minute, with progress on stderr unless `quiet`); later uses find it in a millisecond.
 * Throws `RuntimeLibraryError` if there is none and none can be built.
 */
export function libraryPath({ quiet = false }: { quiet?: boolean } = {}): string {
  try {
    if (Deno.env.get("DENIM_METAL") === "sim") offerCompiler();
    const given = Deno.env.get("DENIM_LIBRARY");
    if (given) return given;
    const platform = hostPlatform(), shipped = Deno.build.standalone ? shippedLibrary(platform) : null;
    return shipped ?? readyLibrary(platform) ?? buildInChild(platform, quiet);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return withoutPermission(error);
    throw error;
  }
}
/** Throws: Deno did not permit what finding, building or opening the library needs. */
export function withoutPermission(error: Deno.errors.NotCapable): never {
  return libraryFailure({
    cannot: "find and open the runtime",
    expected: "the permissions --allow-ffi --allow-env --allow-read, and --allow-run the first time, to build it",
    got: `from Deno: ${error.message}`,
    fix: "give what is missing, or start with deno run -A",
  });
}
/** Tells the simulator, which compiles kernels for this machine, where the compiler is. */
function offerCompiler(): void {
  if (Deno.env.get("DENIM_ZIG")) return;
  const { command, env } = zigAtHand();
  Deno.env.set("DENIM_ZIG", command);
  for (const [name, value] of Object.entries(env ?? {})) Deno.env.set(name, value);
}
function buildInChild(platform: Platform, quiet: boolean): string {
  const cannot = `build the runtime for ${platform}`;
  if (Deno.build.standalone) {
    libraryFailure({
      cannot,
      expected: `${fileName(platform, MANIFEST.hash)} in the program, beside it or in the cache, or DENIM_LIBRARY`,
      got: "a compiled program without it",
      fix:
        "copy the library (mx.deviceInfo().library) beside the main module, and give its name to deno compile --include",
    });
  }
  const args = ["run", "--allow-all", "--quiet", "--no-config", "--no-lock", import.meta.url, platform];
  const options: Deno.CommandOptions = { args, stdin: "null", stdout: "piped", stderr: quiet ? "null" : "inherit" };
  const { code, stdout } = new Deno.Command(Deno.execPath(), options).outputSync();
  const text = new TextDecoder().decode(stdout);
  if (!text) libraryFailure({ cannot, expected: "the build to end", got: `exit code ${code}`, fix: "try again" });
  const answer: Answer = JSON.parse(text);
  return "path" in answer ? answer.path : libraryFailure(answer.failure);
}
async function answer(platform: Platform): Promise<Answer> {
  try {
    return { path: await buildLibrary(platform, progress()) };
  } catch (error) {
    if (!(error instanceof DenimError)) throw error;
    const { cannot, expected, got, fix } = error;
    return { failure: { cannot, expected, got, fix } };
  }
}
if (import.meta.main) console.log(JSON.stringify(await answer(platformOf(Deno.args[0] ?? ""))));
