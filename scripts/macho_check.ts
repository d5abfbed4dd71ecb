/**
 * Reads the library for aarch64-macos and refuses what a Mac would: a symbol that no library of the system exports by the
 * stubs in `runtime/macos/`, a library that has no stub there, another platform or oldest system than 13.0, no
 * signature. So a function that a Mac lacks is found here and not by a user. Builds the library if need be;
 * `deno run -A scripts/macho_check.ts [path]`. No Mac is needed.
 * @module
 */
import { buildLibrary, progress, readyLibrary } from "../ffi/build.ts";

/** A symbol that a Mach-O file takes from a library. */
export interface Wanted {
  readonly name: string;
  readonly library: string;
}
/** What a Mach-O file is, and what it takes from elsewhere. */
export interface MachO {
  readonly wanted: readonly Wanted[];
  readonly libraries: readonly string[];
  /** Platform and oldest system, as in `macos 13.0`. */
  readonly system: string;
  readonly signed: boolean;
}
/** What libraries export, by the path they are installed at. */
export type Stubs = ReadonlyMap<string, ReadonlySet<string>>;

const SYSTEM = "macos 13.0";
const [MAGIC_64, ARM64] = [0xfeedfacf, 0x0100000c];
const [SYMTAB, LOAD_DYLIB, WEAK_DYLIB, SIGNATURE, BUILD_VERSION] = [0x2, 0xc, 0x80000018, 0x1d, 0x32];
const [STAB, TYPE, EXTERNAL] = [0xe0, 0x0e, 0x01];

/** Reads a 64-bit Mach-O file for Apple's processors. */
export function readMachO(file: Uint8Array<ArrayBuffer>): MachO {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u32 = (at: number) => view.getUint32(at, true);
  const text = (at: number) => new TextDecoder().decode(file.subarray(at, file.indexOf(0, at)));
  if (u32(0) !== MAGIC_64 || u32(4) !== ARM64) throw new Error("no 64-bit Mach-O file for arm64");
  const [taken, libraries]: [{ name: string; ordinal: number }[], string[]] = [[], []];
  let system = "unknown", signed = false;
  for (let i = 0, at = 32; i < u32(16); i++, at += u32(at + 4)) {
    const command = u32(at);
    if (command === LOAD_DYLIB || command === WEAK_DYLIB) libraries.push(text(at + u32(at + 8)));
    if (command === SIGNATURE) signed = true;
    if (command === BUILD_VERSION) {
      const version = u32(at + 12);
      system = `${u32(at + 8) === 1 ? "macos" : "another platform"} ${version >> 16}.${(version >> 8) & 255}`;
    }
    if (command !== SYMTAB) continue;
    const [table, count, strings] = [u32(at + 8), u32(at + 12), u32(at + 16)];
    for (let entry = table; entry < table + 16 * count; entry += 16) {
      const type = view.getUint8(entry + 4);
      const undefinedHere = (type & STAB) === 0 && (type & TYPE) === 0 && (type & EXTERNAL) !== 0;
      // The high byte of the description counts the libraries from 1: the one that the linker found the symbol in.
      if (undefinedHere) taken.push({ name: text(strings + u32(entry)), ordinal: view.getUint8(entry + 7) });
    }
  }
  const wanted = taken.map(({ name, ordinal }) => ({ name, library: libraries[ordinal - 1] ?? "no library" }));
  return { wanted: wanted.sort((a, b) => a.name < b.name ? -1 : 1), libraries, system, signed };
}

/** Reads a stub: `[installed path, exported symbols]`. */
export function readStub(text: string): [string, Set<string>] {
  const path = text.match(/^install-name:\s*'(.*)'/m)?.[1] ?? "";
  const lists = [...text.matchAll(/symbols:\s*\[([^\]]*)\]/g)].map((list) => list[1]!);
  return [path, new Set(lists.join(",").split(",").map((name) => name.trim()).filter((name) => name !== ""))];
}
/** All stubs of a folder and the folders in it. */
export function readStubs(folder: URL): Stubs {
  const stubs = new Map<string, ReadonlySet<string>>();
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) { for (const stub of readStubs(new URL(`${name}/`, folder))) stubs.set(...stub); }
    else if (name.endsWith(".tbd")) stubs.set(...readStub(Deno.readTextFileSync(new URL(name, folder))));
  }
  return stubs;
}

/** What of it a Mac would refuse, or has no stub. */
export function refused({ wanted, libraries, system, signed }: MachO, stubs: Stubs): string[] {
  return [
    ...wanted.filter(({ name, library }) => !stubs.get(library)?.has(name))
      .map(({ name, library }) => `${name} of ${library} is in no stub: see that macOS 13 has it, then add it there`),
    ...libraries.filter((name) => !stubs.has(name)).map((name) => `${name} has no stub`),
    ...system === SYSTEM ? [] : [`it is built for ${system} and not ${SYSTEM}`],
    ...signed ? [] : ["it is not signed"],
  ];
}

if (import.meta.main) {
  const path = Deno.args[0] ?? readyLibrary("aarch64-macos") ?? await buildLibrary("aarch64-macos", progress());
  const found = readMachO(await Deno.readFile(path));
  const faults = refused(found, readStubs(new URL("../runtime/macos/", import.meta.url)));
  for (const fault of faults) console.error(`${path}: ${fault}`);
  if (faults.length > 0) Deno.exit(1);
  console.log(`${path}: ${found.system}, ${found.signed ? "signed" : ""}`);
  for (const library of found.libraries) {
    const names = found.wanted.filter((wanted) => wanted.library === library).map((wanted) => wanted.name);
    console.log(`${library}: ${names.length} symbols: ${names.join(" ")}`);
  }
}
