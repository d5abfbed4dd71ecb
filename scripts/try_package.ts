/**
 * Tries the package as a new user does: `deno run -A scripts/try_package.ts [--python] [--fetch] [--compile[=DENO]]`. Copies
 * what would be published to a folder, serves it (by Deno, or by Python's `http.server`), and from empty folders and
 * empty caches imports it: the sources are fetched and checked, the library is built (with `--fetch` the compiler is
 * fetched, too), programs run; with `--compile` one of them as a single file, which this or the named Deno makes with a
 * part of itself from dl.deno.land, or with the file that `DENORT_BIN` names. Prints what each step took.
 * @module
 */
import { fileName, hostPlatform } from "../ffi/platform.ts";
import { cacheFolder, exists } from "../ffi/cache.ts";
import { MANIFEST, sha256 } from "../ffi/source.ts";
import { ZIG_VERSION } from "../ffi/zig.ts";
import { asPublished, dryRun, importMap } from "./published.ts";

const home = await Deno.makeTempDir({ prefix: "denim-package-" });
const web = `${home}/web`, project = `${home}/project`, library = fileName(hostPlatform(), MANIFEST.hash);

/** Writes the files as they are served. Returns how many bytes they have. */
async function copyPackage(): Promise<string> {
  const { files } = await dryRun();
  let bytes = 0;
  for (const path of files) {
    const body = asPublished(path);
    bytes += body.length;
    await Deno.mkdir(`${web}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeFile(`${web}/${path}`, body);
  }
  return `${files.length} files, ${(bytes / 1024).toFixed(0)} KiB`;
}
/** Serves the folder; python3's server is one that knows nothing of Deno. */
async function serve(): Promise<{ base: string; stop: () => void }> {
  const port = 20_000 + Math.floor(Math.random() * 20_000), base = `http://127.0.0.1:${port}`;
  if (!Deno.args.includes("--python")) {
    const types: Readonly<Record<string, string>> = { ts: "text/typescript", json: "application/json" };
    const server = Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
      const path = new URL(request.url).pathname, type = types[path.split(".").at(-1) ?? ""] ?? "text/plain";
      const body = await Deno.readFile(web + path).catch(() => null);
      return new Response(body, { status: body ? 200 : 404, headers: { "content-type": type } });
    });
    return { base, stop: () => void server.shutdown() };
  }
  // By the tables of many systems .ts is a translation of Qt.
  const program = `import http.server as h
h.SimpleHTTPRequestHandler.extensions_map['.ts'] = 'text/typescript'
h.test(h.SimpleHTTPRequestHandler, h.ThreadingHTTPServer, port=${port}, bind='127.0.0.1')`;
  const child = new Deno.Command("python3", { args: ["-c", program], cwd: web, stdout: "null", stderr: "null" })
    .spawn();
  const answers = () => fetch(base).then((response) => response.body?.cancel()).then(() => true, () => false);
  for (let i = 0; i < 100 && !await answers(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  return { base, stop: () => child.kill() };
}

/** Runs a program in the project's folder, which has caches of its own, and says what it took. */
async function run(step: string, program: string, expected: RegExp, flags: readonly string[] = ["-A"]): Promise<void> {
  await Deno.writeTextFile(`${project}/main.ts`, program);
  const env = { ...Deno.env.toObject(), DENO_DIR: `${home}/deno`, XDG_CACHE_HOME: `${home}/cache`, NO_COLOR: "1" };
  const args = ["run", "--no-prompt", ...flags, `${project}/main.ts`], started = performance.now();
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env, clearEnv: true, cwd: project })
    .output();
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout) +
    decoder.decode(stderr).split("\n").filter((line) => !/^Download/.test(line)).join("\n");
  tell(step, performance.now() - started, expected.test(output), output);
}
function tell(step: string, took: number, right: boolean, output: string): void {
  console.log(`${right ? "ok  " : "FAIL"} ${(took / 1000).toFixed(2).padStart(7)} s  ${step}`);
  if (right) return;
  console.log(output);
  failed = true;
}
/** Makes one file of a program and the library, and runs it where there is nothing else. */
async function compile(deno: string, program: string, expected: RegExp): Promise<void> {
  const empty = `${home}/empty`, file = `${empty}/program`, decoder = new TextDecoder();
  await Deno.mkdir(empty);
  await Deno.writeTextFile(`${project}/main.ts`, program);
  await Deno.copyFile(`${home}/cache/denim/lib/${library}`, `${project}/${library}`);
  const flags = ["--no-prompt", "-A", "--no-check", "--include", library, "-o", file];
  const env = { DENO_DIR: `${home}/deno`, NO_COLOR: "1" };
  const { stderr, success } = await new Deno.Command(deno, {
    args: ["compile", ...flags, "main.ts"],
    env,
    cwd: project,
  }).output();
  if (!success) return tell("deno compile", 0, false, decoder.decode(stderr));
  await Deno.rename(project, `${project}-away`);
  const bytes = (await Deno.stat(file)).size, started = performance.now();
  const ran = await new Deno.Command(file, { clearEnv: true, env: { HOME: empty }, cwd: empty }).output();
  const output = decoder.decode(ran.stdout) + decoder.decode(ran.stderr), took = performance.now() - started;
  tell(`one file of ${(bytes / 1e6).toFixed(1)} MB, alone in a folder`, took, expected.test(output), output);
  await Deno.rename(`${project}-away`, project);
}
/** Empties the caches. */
async function forget(): Promise<void> {
  for (const path of ["cache", "deno", "project/deno.lock"]) await Deno.remove(`${home}/${path}`, { recursive: true });
}
const sum = (from: string) =>
  `import * as mx from "${from}";\nconsole.log("sum", mx.arange(4).square().sum().item());\n`;

let failed = false;
await Deno.mkdir(project);
console.log(`package: ${await copyPackage()}`);
const { base, stop } = await serve();
try {
  const source = `${web}/runtime/rt.cc`, text = await Deno.readTextFile(source), right = /^sum 14/m;
  await Deno.writeTextFile(source, `${text}\n// changed`);
  await run(
    "a changed source is refused",
    sum(`${base}/mod.ts`),
    /cannot fetch http\S+rt\.cc: expected a file with SHA-256/,
  );
  await Deno.writeTextFile(source, text);
  const four = ["--allow-ffi", "--allow-env", "--allow-read", "--allow-run", `--allow-import=${base.slice(7)}`];
  const zig = `zig-${ZIG_VERSION}`;
  if (!Deno.args.includes("--fetch") && exists(`${cacheFolder()}/${zig}`)) {
    await Deno.mkdir(`${home}/cache/denim`, { recursive: true });
    await Deno.symlink(`${cacheFolder()}/${zig}`, `${home}/cache/denim/${zig}`);
  }
  await run("first start: fetches the sources, builds", sum(`${base}/mod.ts`), right, four);
  await run("second start", sum(`${base}/mod.ts`), right, four.filter((flag) => flag !== "--allow-run"));
  await Deno.writeTextFile(`${project}/deno.json`, JSON.stringify({ imports: importMap(base) }));
  await run("through an import map", sum("@denim/ml"), right);
  await run("with the language models", `${sum("@denim/ml")}import "@denim/ml/lm"; import "@denim/ml/nn";`, right);
  const compiler = Deno.args.find((arg) => /^--compile\b/.test(arg))?.split("=");
  if (compiler) await compile(compiler[1] ?? Deno.execPath(), sum("@denim/ml"), right);
  const body = await Deno.readFile(`${home}/cache/denim/lib/${library}`);
  await Deno.mkdir(`${web}/prebuilt`);
  await Deno.writeFile(`${web}/prebuilt/${library}`, body);
  const prebuilt = { [hostPlatform()]: await sha256(body) };
  await Deno.writeTextFile(`${web}/runtime/manifest.json`, JSON.stringify({ ...MANIFEST, prebuilt }));
  await forget();
  await run("first start with a library that the release carries", sum("@denim/ml"), right);
  await Deno.writeFile(`${web}/prebuilt/${library}`, body.subarray(1));
  await forget();
  await run("a changed library is refused", sum("@denim/ml"), /cannot fetch http\S+: expected a file with SHA-256/);
} finally {
  stop();
  await Deno.remove(home, { recursive: true });
}
if (failed) Deno.exit(1);
