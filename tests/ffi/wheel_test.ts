/**
 * Headers out of a wheel: fetched without pip from an index on this machine, unpacked, kept; another file than the
 * pinned one is refused with what everybody said.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Headers } from "../../ffi/wheel.ts";
import { sha256 } from "../../ffi/source.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const bytes = (text: string): Bytes => new TextEncoder().encode(text);

/** A zip archive of files that are deflated, but the first is stored. */
async function zip(files: Readonly<Record<string, string>>): Promise<Bytes> {
  const parts: Bytes[] = [], directory: Bytes[] = [];
  let at = 0, count = 0;
  for (const [name, text] of Object.entries(files)) {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    const data = count === 0 ? bytes(text) : new Uint8Array(await new Response(stream).arrayBuffer());
    const method = count++ === 0 ? 0 : 8;
    const head = (size: number, from: number, signature: number) => {
      const header = new Uint8Array(size), view = new DataView(header.buffer);
      view.setUint32(0, signature, true);
      view.setUint16(from + 2, method, true);
      view.setUint32(from + 12, data.length, true);
      view.setUint32(from + 16, text.length, true);
      view.setUint16(from + 20, name.length, true);
      return { header, view };
    };
    const local = head(30, 6, 0x04034b50), central = head(46, 8, 0x02014b50);
    central.view.setUint32(42, at, true);
    directory.push(central.header, bytes(name));
    parts.push(local.header, bytes(name), data);
    at += 30 + name.length + data.length;
  }
  const end = new Uint8Array(22), view = new DataView(end.buffer);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(10, count, true);
  view.setUint32(16, at, true);
  return new Uint8Array(await new Blob([...parts, ...directory, end]).arrayBuffer());
}
/** What a process without pip says that asks the index for these headers. */
async function ask(wanted: Headers, index: string, cache: string): Promise<string> {
  const wheel = new URL("../../ffi/wheel.ts", import.meta.url).href;
  const program = `import { findHeaders } from "${wheel}";
    const said = findHeaders(${JSON.stringify(wanted)}, "${cache}/tmp", () => {});
    console.log(await said.catch((error) => error.message));`;
  const env = { DENIM_CACHE: cache, PIP_INDEX_URL: index, HOME: cache, PATH: cache, NO_COLOR: "1" };
  const main = `${cache}/main.ts`;
  await Deno.writeTextFile(main, program);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", "--no-config", main],
    env: { ...env, DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno` },
    clearEnv: true,
  }).output();
  return new TextDecoder().decode(stdout).trim() + new TextDecoder().decode(stderr);
}

Deno.test("wheel: headers are fetched without pip, checked and kept", async () => {
  const body = await zip({ "in/a/one.h": "1", "in/two.h": "two ".repeat(100), "out/three.h": "3" });
  const file = "some_package-1.0-py3-none-any.whl";
  const page = `<a href="/files/x/${file}#sha256=0">${file}</a>`;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    return new URL(request.url).pathname.startsWith("/simple/some-package/")
      ? new Response(page, { headers: { "content-type": "text/html" } })
      : new Response(body);
  });
  const cache = await Deno.makeTempDir({ prefix: "denim-wheel-" });
  const wanted: Headers = {
    what: "Some",
    package: "some-package",
    version: "1.0",
    file,
    hash: await sha256(body),
    folder: "in",
    variable: "DENIM_SOME",
  };
  const index = `http://127.0.0.1:${server.addr.port}/simple`;
  try {
    const refusal = await ask({ ...wanted, hash: "0".repeat(64) }, index, cache);
    assertMatch(refusal, /cannot get the headers of Some/);
    assertMatch(refusal, /a file with SHA-256 \w+ instead of 0000/);
    assertMatch(refusal, /or set DENIM_SOME/);
    const home = await ask(wanted, index, cache);
    assertEquals(home, `${cache}/some-package-1.0`);
    assertEquals(Deno.readTextFileSync(`${home}/a/one.h`), "1");
    assertEquals(Deno.readTextFileSync(`${home}/two.h`), "two ".repeat(100));
    assert([...Deno.readDirSync(home)].every((entry) => entry.name !== "three.h"));
    assertEquals(await ask(wanted, "http://127.0.0.1:1/", cache), home);
  } finally {
    await server.shutdown();
    await Deno.remove(cache, { recursive: true });
  }
});
