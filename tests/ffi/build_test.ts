/**
 * Finding and building the library: the cache's lock and atomic writes, stamps, two processes at once, what a failed
 * compilation says, and a package that is imported from the web. Uses small packages of its own in temporary folders.
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { cacheFolder, exists, locked, writeAtomic } from "../../ffi/cache.ts";
import { fileName, hostPlatform, platformOf } from "../../ffi/platform.ts";
import { hashSources, sha256, sourceFiles } from "../../ffi/source.ts";
import { RuntimeLibraryError } from "../../ffi/errors.ts";

const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

/**
 * A package with the real `ffi/` and `build.zig`, three source files, and a cache that borrows the compiler of the real
 * one.
 */
async function smallPackage(source: string): Promise<{ root: string; env: Record<string, string> }> {
  const root = await Deno.makeTempDir({ prefix: "denim-test-" });
  await Deno.mkdir(`${root}/ffi`);
  await Deno.mkdir(`${root}/runtime/cpu`, { recursive: true });
  for (const { name } of Deno.readDirSync(`${ROOT}/ffi`)) {
    await Deno.copyFile(`${ROOT}/ffi/${name}`, `${root}/ffi/${name}`);
  }
  await Deno.copyFile(`${ROOT}/runtime/build.zig`, `${root}/runtime/build.zig`);
  await Deno.writeTextFile(`${root}/runtime/rt.cc`, source);
  await Deno.writeTextFile(`${root}/runtime/cpu/k.cc`, "namespace denim::DENIM_ISA { int k() { return 1; } }\n");
  await Deno.mkdir(`${root}/runtime/linalg`);
  await Deno.writeTextFile(`${root}/runtime/linalg/l.cc`, "namespace denim { int l() { return 1; } }\n");
  await writeManifest(root, {});
  await Deno.mkdir(`${root}/cache`);
  for (const { name } of Deno.readDirSync(cacheFolder())) {
    if (/^(zig|cmeel-eigen)-[\d.]+$/.test(name)) {
      await Deno.symlink(`${cacheFolder()}/${name}`, `${root}/cache/${name}`);
    }
  }
  return { root, env: { DENIM_CACHE: `${root}/cache`, NO_COLOR: "1" } };
}
async function writeManifest(root: string, prebuilt: Record<string, string>): Promise<void> {
  const text = JSON.stringify({ ...await hashSources(root), prebuilt });
  await Deno.writeTextFile(`${root}/runtime/manifest.json`, text);
}
const GOOD = 'extern "C" __attribute__((visibility("default"))) int rt_answer() { return 42; }\n';

/** Asks a package for its library in a process of its own. */
async function ask(base: string, env: Record<string, string>): Promise<{ code: number; out: string; err: string }> {
  const program = `import { libraryPath } from "${base}/ffi/build.ts"; console.log(libraryPath());`;
  const args = ["run", "-A", "--quiet", "--no-config", "--no-lock", `--reload=${base}`, "data:text/typescript,"];
  args[args.length - 1] += encodeURIComponent(program);
  // From data: URLs nothing local may be imported, so packages in folders are asked through a file.
  if (base.startsWith("file:")) {
    const path = new URL(`${base}/ask.ts`).pathname;
    await Deno.writeTextFile(path, program);
    args[args.length - 1] = path;
  }
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout).trim(), err: decoder.decode(stderr) };
}
function callAnswer(path: string): number {
  const library = Deno.dlopen(path, { rt_answer: { parameters: [], result: "i32" } });
  const answer = library.symbols.rt_answer();
  library.close();
  return answer;
}

Deno.test("locked runs one at a time, and clears what an interrupted one left", async () => {
  const events: string[] = [];
  const work = (name: string) => async (temporary: string) => {
    assertEquals([...Deno.readDirSync(temporary)].length, 0);
    await Deno.writeTextFile(`${temporary}/half`, "done");
    events.push(`${name} in`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    events.push(`${name} out`);
  };
  const before = Deno.env.get("DENIM_CACHE");
  const folder = await Deno.makeTempDir();
  Deno.env.set("DENIM_CACHE", folder);
  try {
    await Deno.mkdir(`${folder}/tmp/left/over`, { recursive: true });
    let waited = 0;
    await Promise.all(["a", "b", "c"].map((name) => locked(work(name), () => waited++)));
    assertEquals(waited, 2);
    for (let i = 0; i < 6; i += 2) assertEquals(events[i]?.replace("in", "out"), events[i + 1]);
    await assertRejects(() => locked(() => Promise.reject(new Error("broken")), () => {}), Error, "broken");
    assert(!exists(`${folder}/tmp`));
  } finally {
    if (before === undefined) Deno.env.delete("DENIM_CACHE");
    else Deno.env.set("DENIM_CACHE", before);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("writeAtomic replaces a file and leaves nothing beside it", async () => {
  const folder = await Deno.makeTempDir();
  await writeAtomic(`${folder}/a/b`, "one");
  await writeAtomic(`${folder}/a/b`, new TextEncoder().encode("two"));
  assertEquals(Deno.readTextFileSync(`${folder}/a/b`), "two");
  assertEquals([...Deno.readDirSync(`${folder}/a`)].map((entry) => entry.name), ["b"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("platformOf names the platforms that there are", async () => {
  await assertRejects(
    () => Promise.resolve().then(() => platformOf("sparc-sunos")),
    RuntimeLibraryError,
    "[ffi] cannot build for sparc-sunos: expected x86_64-linux, aarch64-linux, aarch64-macos, x86_64-linux-sim, got " +
      "sparc-sunos. Fix: ",
  );
});

Deno.test("sources leave out the tests and the manifest", () => {
  const files = sourceFiles(ROOT);
  assert(files.includes("build.zig") && files.includes("cpu/dispatch.cc") && files.includes("kernel.h"));
  assertEquals(files.filter((path) => path.startsWith("tests/") || path === "manifest.json"), []);
});

Deno.test("two processes that start at once build once; a touched source is noticed, an edited one is built", async () => {
  const { root, env } = await smallPackage(GOOD);
  const [a, b] = await Promise.all([ask(`file://${root}`, env), ask(`file://${root}`, env)]);
  assertEquals([a.code, b.code], [0, 0], a.err + b.err);
  assertEquals(a.out, b.out);
  assertEquals((a.err + b.err).match(/denim: built the runtime/g)?.length, 1);
  assertEquals(callAnswer(a.out), 42);
  const again = await ask(`file://${root}`, env);
  assertEquals([again.out, again.err], [a.out, ""]);
  await Deno.utime(`${root}/runtime/rt.cc`, new Date(0), new Date(0));
  assertEquals((await ask(`file://${root}`, env)).out, a.out);
  await Deno.writeTextFile(`${root}/runtime/rt.cc`, GOOD.replace("42", "43"));
  const edited = await ask(`file://${root}`, env);
  assertMatch(edited.err, /^denim: building the runtime for [\w-]+ \.\.\.\n(.*\n)*denim: built the runtime/);
  assertEquals(callAnswer(edited.out), 43);
  await Deno.remove(root, { recursive: true });
});

Deno.test("a build that is interrupted leaves nothing that the next one trips over", async () => {
  const { root, env } = await smallPackage(GOOD);
  const path = `${root}/ask.ts`;
  await Deno.writeTextFile(
    path,
    `import { buildLibrary } from "./ffi/build.ts";
    import { hostPlatform } from "./ffi/platform.ts";
    await buildLibrary(hostPlatform(), () => console.log("started"));`,
  );
  const args = ["run", "-A", "--quiet", "--no-config", "--no-lock", path];
  const child = new Deno.Command(Deno.execPath(), { args, env, stdout: "piped", stderr: "null" }).spawn();
  const reader = child.stdout.getReader();
  await reader.read(); // it says what it does: the lock is held, the compiler is about to run
  child.kill("SIGINT");
  assertEquals((await child.status).success, false);
  await reader.cancel();
  assert(!exists(`${root}/cache/lib`));
  const next = await ask(`file://${root}`, env);
  assertEquals(next.code, 0, next.err);
  assertEquals(callAnswer(next.out), 42);
  assert(!exists(`${root}/cache/tmp`));
  await Deno.remove(root, { recursive: true });
});

Deno.test("a source that does not compile is an error with the compiler's words", async () => {
  const { root, env } = await smallPackage("int broken( { return 1; }\n");
  const { code, err } = await ask(`file://${root}`, env);
  assertEquals(code, 1);
  assertStringIncludes(err, `RuntimeLibraryError: [ffi] cannot build the runtime for ${hostPlatform()}: expected`);
  assertMatch(err, /rt\.cc:1:\d+: error: /);
  assert(!exists(`${root}/cache/lib`) && !exists(`${root}/cache/tmp`));
  await Deno.remove(root, { recursive: true });
});

Deno.test("DENIM_LIBRARY is taken as it is", async () => {
  const { root, env } = await smallPackage(GOOD);
  const { out } = await ask(`file://${root}`, { ...env, DENIM_LIBRARY: "/somewhere/else.so" });
  assertEquals(out, "/somewhere/else.so");
  await Deno.remove(root, { recursive: true });
});

/** Serves a folder on this machine. */
function serve(root: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    try {
      const path = new URL(request.url).pathname;
      const type = path.endsWith(".ts")
        ? "text/typescript"
        : path.endsWith(".json")
        ? "application/json"
        : "text/plain";
      return new Response(await Deno.readFile(root + path), { headers: { "content-type": type } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
}

Deno.test("a package on the web fetches its sources and builds, and refuses a changed file", async () => {
  const { root, env } = await smallPackage(GOOD);
  const server = serve(root);
  const base = `http://127.0.0.1:${server.addr.port}`;
  const rt = `${root}/runtime/rt.cc`;
  await Deno.writeTextFile(rt, GOOD.replace("42", "7"));
  const changed = await ask(base, env);
  assertMatch(
    changed.err,
    /RuntimeLibraryError: \[ffi\] cannot fetch http:\S+rt\.cc: expected a file with SHA-256 \w{64}, got \w{64}/,
  );
  await Deno.writeTextFile(rt, GOOD);
  const built = await ask(base, env);
  assertEquals(built.code, 0, built.err);
  assertEquals(callAnswer(built.out), 42);
  await server.shutdown();
  await Deno.remove(root, { recursive: true });
});

Deno.test("a prebuilt library is taken where the release carries one", async () => {
  const { root, env } = await smallPackage(GOOD);
  const { hash } = await hashSources(root);
  const body = new TextEncoder().encode("stands for a library");
  const name = fileName(hostPlatform(), hash);
  await Deno.mkdir(`${root}/prebuilt`);
  await Deno.writeFile(`${root}/prebuilt/${name}`, body);
  await writeManifest(root, { [hostPlatform()]: await sha256(body) });
  const server = serve(root);
  for (const base of [`file://${root}`, `http://127.0.0.1:${server.addr.port}`]) {
    const { out, err } = await ask(base, env);
    assertStringIncludes(out, `/lib/${name}`, err);
    assertEquals(await Deno.readFile(out), body);
    await Deno.remove(`${root}/cache/lib`, { recursive: true });
  }
  await server.shutdown();
  await Deno.remove(root, { recursive: true });
});
