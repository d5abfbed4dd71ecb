/**
 * The package as its users meet it: what is published, imported from a URL into an empty folder, with exactly the
 * permissions that the README names. A library built before stands in for the build, which `scripts/try_package.ts`
 * includes.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { libraryPath, shippedLibrary } from "../ffi/build.ts";
import { fileName, hostPlatform } from "../ffi/platform.ts";
import { MANIFEST } from "../ffi/source.ts";
import { asPublished, CONFIGURATION, dryRun, importMap, ROOT } from "../scripts/published.ts";

const TYPES: Readonly<Record<string, string>> = { ts: "text/typescript", json: "application/json" };
/** Serves the package from memory, one file at a time, as a registry does: there is no listing of folders. */
async function serve(): Promise<{ base: string; [Symbol.asyncDispose](): Promise<void> }> {
  const files = new Set((await dryRun(["--no-check"])).files);
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const path = new URL(request.url).pathname.slice(1);
    if (!files.has(path)) return new Response("not found", { status: 404 });
    const type = TYPES[path.split(".").at(-1) ?? ""] ?? "text/plain";
    return new Response(asPublished(path), { headers: { "content-type": type } });
  });
  return { base: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** An empty folder, caches of its own, and a library in the cache. */
class Machine implements AsyncDisposable {
  private constructor(readonly home: string, readonly base: string, readonly stop: () => Promise<void>) {}
  static async start(): Promise<Machine> {
    const home = await Deno.makeTempDir({ prefix: "denim-package-" }), server = await serve();
    await Deno.mkdir(`${home}/cache/denim/lib`, { recursive: true });
    await Deno.mkdir(`${home}/project`);
    await Deno.symlink(libraryPath(), `${home}/cache/denim/lib/${fileName(hostPlatform(), MANIFEST.hash)}`);
    return new Machine(home, server.base, () => server[Symbol.asyncDispose]());
  }
  /** The path of the library in the cache. */
  get library(): string {
    return `${this.home}/cache/denim/lib/${fileName(hostPlatform(), MANIFEST.hash)}`;
  }
  /** Runs a program in the empty folder; `BASE` in it is the package's URL. */
  async run(program: string, flags: readonly string[]): Promise<{ out: string; err: string; code: number }> {
    const file = `${this.home}/project/main.ts`;
    await Deno.writeTextFile(file, program.replaceAll("BASE", this.base));
    const env = {
      DENO_DIR: `${this.home}/deno`,
      XDG_CACHE_HOME: `${this.home}/cache`,
      PATH: Deno.env.get("PATH") ?? "",
      NO_COLOR: "1",
    };
    // The registry's own host needs no permission to import from.
    const args = ["run", "--quiet", "--no-prompt", `--allow-import=${new URL(this.base).host}`, ...flags, file];
    const options = { args, env, clearEnv: true, cwd: `${this.home}/project` };
    const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), options).output();
    return { out: new TextDecoder().decode(stdout).trim(), err: new TextDecoder().decode(stderr), code };
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.home, { recursive: true });
  }
}

Deno.test("what is published: sources and pages, no tests, fixtures or models, and no slow types", async () => {
  const { files, output, ok } = await dryRun(["--no-check"]);
  assert(ok, output);
  // Packages that only pictures and reports need are imported late, by names that no tool sees: in full, and as pinned.
  const late = [...output.matchAll(/^warning\[unanalyzable-dynamic-import\].*\n +--> .*\/(\w+\/\w+\.ts):/gm)].map((
    [, at],
  ) => at);
  assertEquals(late, ["data/image.ts", "train/report.ts", "train/report.ts"]);
  const named = [...new Set(late)].flatMap((path) =>
    [...Deno.readTextFileSync(`${ROOT}/${path}`).matchAll(/"(npm:[^"]+)"/g)].map(([, name]) => name!)
  );
  assertEquals(named.length, 3);
  for (const name of named) assert(Object.values(CONFIGURATION.imports).includes(name), name);
  const others = output.replace("Checking for slow types", "").replaceAll("warning[unanalyzable-dynamic-import]", "");
  assert(!/slow.type|warning/.test(others), output);
  const folders = [...new Set(files.map((path) => path.includes("/") ? path.split("/")[0] : path))];
  assertEquals(folders, [
    "LICENSE",
    "README.md",
    "core",
    "data",
    "deno.json",
    "docs",
    "ffi",
    "lm",
    "mod.ts",
    "nn",
    "optimizers",
    "runtime",
    "train",
  ]);
  const odd = files.filter((path) => !/^runtime\/|\.(ts|md|json)$|^LICENSE$/.test(path));
  assertEquals(odd, []);
  assertEquals(files.filter((path) => /tests?\/|_test|fuzz|fixture|safetensors$|gguf$/.test(path)), []);
  // Everything that the build needs, and nothing that it does not know.
  const sources = Object.keys(MANIFEST.files).map((path) => `runtime/${path}`);
  const published = files.filter((path) => path.startsWith("runtime/") && path !== "runtime/manifest.json");
  assertEquals(published, sources.sort());
});

const PROGRAM = 'import * as mx from "BASE/mod.ts";\nconsole.log(mx.arange(4).square().sum().item());\n';
const ENV = "--allow-env=DENIM_LIBRARY,DENIM_CACHE,DENIM_METAL,XDG_CACHE_HOME,HOME",
  ALL = ["--allow-ffi", ENV, "--allow-read"];

Deno.test("imported from a URL into an empty folder, alone and through an import map", async () => {
  await using machine = await Machine.start();
  const alone = await machine.run(PROGRAM, ALL);
  assertEquals([alone.out, alone.err], ["14", ""]);
  await Deno.writeTextFile(`${machine.home}/project/deno.json`, JSON.stringify({ imports: importMap(machine.base) }));
  const program = `import * as mx from "@denim/ml";
    import * as nn from "@denim/ml/nn";
    import * as optim from "@denim/ml/optimizers";
    const model = new nn.Linear(2, 1), optimizer = new optim.Adam(0.1);
    const step = nn.valueAndGrad(model, (x: mx.NDArray) => model.forward(x).square().mean());
    const [loss, gradients] = step(mx.ones([4, 2]));
    optimizer.update(model, gradients);
    mx.eval(loss, model);
    console.log(loss.shape.length, model.weight.shape.join());`;
  const mapped = await machine.run(program, ALL);
  assertEquals([mapped.out, mapped.err], ["0 1,2", ""]);
});

/** The rows of the README's table of permissions: what one does, and what it takes. */
Deno.test("each use works with the permissions of the README's table, and no others", async () => {
  await using machine = await Machine.start();
  const { home } = machine, read = `--allow-read=${home}/cache/denim`, ffi = "--allow-ffi";
  const weights = `${home}/project/weights.safetensors`;
  const expect = async (program: string, flags: readonly string[], out: string) => {
    const got = await machine.run(`import * as mx from "BASE/mod.ts";\n${program}`, flags);
    assertEquals([got.out, got.err], [out, ""], flags.join(" "));
  };
  // Building graphs opens no library.
  await expect("console.log(mx.ones([2, 3]).matmul(mx.ones([3, 4])).shape.join());", [], "2,4");
  const compute = "console.log(mx.ones([64, 64]).matmul(mx.ones([64, 64])).sum().item());";
  await expect(compute, [ffi, ENV, read], "262144");
  await expect(compute, [`${ffi}=${machine.library}`, ENV, read], "262144");
  await expect(
    `await mx.saveSafetensors("weights.safetensors", { a: mx.ones([3]) }); console.log("saved");`,
    [ffi, ENV, `${read},${home}/project`, `--allow-write=${home}/project`],
    "saved",
  );
  const load = `console.log(mx.load("${weights}").a!.sum().item());`;
  await expect(load, [ffi, ENV, `${read},${weights}`], "3");
  const worker = `const worker = new Worker(import.meta.resolve("./worker.ts"), { type: "module" });
    worker.onmessage = (e) => { console.log(e.data); worker.terminate(); };`;
  await Deno.writeTextFile(
    `${home}/project/worker.ts`,
    `import * as mx from "${machine.base}/mod.ts"; self.postMessage(mx.ones([3]).sum().item());`,
  );
  await expect(worker, [ffi, ENV, `${read},${home}/project`], "3");
});

Deno.test("a missing permission is an error that names it", async () => {
  await using machine = await Machine.start();
  const read = `--allow-read=${machine.home}/cache/denim`;
  const cases: [flags: string[], missing: RegExp][] = [
    [["--allow-ffi", read], /Requires env access to "DENIM_/],
    [["--allow-ffi", ENV], /Requires read access to/],
    [[ENV, read], /Requires ffi access to/],
  ];
  for (const [flags, missing] of cases) {
    const { err, code } = await machine.run(PROGRAM, flags);
    assertEquals(code, 1);
    assertMatch(err, /RuntimeLibraryError: \[ffi\] cannot find and open the runtime: .*Fix: give what is missing/);
    assertMatch(err, missing);
  }
  await Deno.remove(machine.library);
  assertMatch((await machine.run(PROGRAM, ["--allow-ffi", ENV, read])).err, /Requires (run|read) access to/);
});

Deno.test("a library of another version or machine is refused with what to do", async () => {
  await using machine = await Machine.start();
  await Deno.remove(machine.library);
  await Deno.writeTextFile(machine.library, "no library");
  const broken = await machine.run(PROGRAM, ALL);
  assertMatch(broken.err, /RuntimeLibraryError: \[ffi\] cannot open .*Fix: delete .*\.so, and it is built anew/);
});

Deno.test("a compiled program finds its library beside its main module, above it, or beside itself", async () => {
  const folder = await Deno.makeTempDir(), platform = hostPlatform();
  assertEquals(shippedLibrary(platform, [folder]), null);
  await Deno.mkdir(`${folder}/app/src`, { recursive: true });
  const path = `${folder}/app/${fileName(platform, MANIFEST.hash)}`;
  await Deno.writeTextFile(path, "");
  assertEquals(shippedLibrary(platform, [`${folder}/app/src`, `${folder}/app`, folder]), path);
  await Deno.remove(folder, { recursive: true });
});
