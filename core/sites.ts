/**
 * Which line of the user's made an array. While debugging is on, each new node remembers the nearest frame of the stack
 * that is not one of Denim's own, and what a transform makes of a node takes over that node's line. While it is off, one
 * boolean is asked, and nothing else happens.
 * @module
 */
import type { Node } from "./graph.ts";

/** Where a node comes from. */
export interface Site {
  /** `file:///…/train.ts:12:5 in loss`. */
  readonly line: string;
  /** What a transform made it for: "the gradient of log"; "" for what was written as it is. */
  readonly role: string;
}
/** The lines of a program's instructions. */
export interface SiteTable {
  /** The number that the runtime gives back when an instruction fails. */
  readonly tag: number;
  /** For each instruction. */
  readonly lines: readonly string[];
  /** Of the instruction with the largest result. */
  readonly largest: string;
}

/** Is debugging on? */
export let debugging = false;
/** Turns it on or off; returns what it was. */
export function setDebugging(on: boolean): boolean {
  const before = debugging;
  debugging = on;
  return before;
}

const sites = new WeakMap<Node, Site>(), known = new Map<string, Site>();
/** The site of a node that is made of another one now, if one is. */
let origin: Site | null = null;

function siteFor(line: string, role: string): Site {
  const key = `${line}\n${role}`, site = known.get(key) ?? { line, role };
  known.set(key, site);
  return site;
}
/** The node is made now. */
export function note(n: Node): void {
  sites.set(n, here());
}
/** The node takes the place of another one, whose line it has if that is known. */
export function noteLike(n: Node, like: Node): void {
  const site = sites.get(like);
  if (site) sites.set(n, site);
}
/** Where the node comes from; null where it was made while debugging was off. */
export function siteOf(n: Node): Site | null {
  return sites.get(n) ?? null;
}
/** The same as text, "" where nothing is known. */
export function lineOf(n: Node): string {
  const site = siteOf(n);
  return site ? textOf(site) : "";
}
function textOf({ line, role }: Site): string {
  return role ? `${line}, for ${role}` : line;
}

/** Calls `f` for each node: what it makes meanwhile belongs to the node's line, as `role` of that node. */
export function forEachAt<N extends Node>(nodes: Iterable<N>, f: (n: N) => void, role = ""): void {
  if (!debugging) {
    for (const n of nodes) f(n);
    return;
  }
  const before = origin;
  try {
    for (const n of nodes) {
      const site = siteOf(n);
      origin = site && role ? siteFor(site.line, `${role} ${site.role || n.prim.name}`) : site;
      f(n);
    }
  } finally {
    origin = before;
  }
}

const ROOT = new URL("../", import.meta.url).href, OWN = /^(mod\.ts|(core|ffi|nn|optimizers|data|train|lm)\/)/;
/** Deep enough for modules within modules. */
const FRAMES = 200;
/** A frame of the stack, as V8 shows it: a string of all frames costs ten times as much. */
interface Frame {
  getScriptNameOrSourceURL(): string | null;
  getFunctionName(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}
function isFrames(x: unknown): x is readonly Frame[] {
  return Array.isArray(x);
}
function framesOfStack(): readonly Frame[] {
  const key = "prepareStackTrace", limit = Error.stackTraceLimit, before: unknown = Reflect.get(Error, key);
  Error.stackTraceLimit = FRAMES;
  Reflect.set(Error, key, (_error: unknown, frames: unknown) => frames);
  const stack: unknown = new Error().stack;
  Reflect.set(Error, key, before);
  Error.stackTraceLimit = limit;
  return isFrames(stack) ? stack : [];
}

/**
 * The nearest line that is the user's. A function of the user's that is run again by a transform comes before the node
 * that the transform is at. Where there is no such line, the outermost one of Denim's is the best.
 */
function here(): Site {
  let outermost: Frame | null = null;
  for (const frame of framesOfStack()) {
    const file = frame.getScriptNameOrSourceURL() ?? "";
    if (file === "" || /^(ext|node|native):/.test(file)) continue;
    if (!file.startsWith(ROOT) || !OWN.test(file.slice(ROOT.length))) return siteFor(shown(frame), "");
    if (file === import.meta.url) {
      if (origin && frame.getFunctionName() === forEachAt.name) return origin;
    } else outermost = frame;
  }
  return siteFor(outermost ? shown(outermost) : "an unknown line", "");
}
function shown(frame: Frame): string {
  const name = frame.getFunctionName();
  const where = `${frame.getScriptNameOrSourceURL()}:${frame.getLineNumber()}:${frame.getColumnNumber()}`;
  return name ? `${where} in ${name}` : where;
}

/** So many programs' lines are remembered: failures may be met long after their program was submitted. */
const MOST_TABLES = 4096;
const tables = new Map<number, SiteTable>();
let nextTag = 1;
/** The lines of a program: for each instruction the nodes that it computes, and the bytes of its result. */
export function tableOf(
  instructions: readonly { readonly nodes: readonly Node[]; readonly nbytes: number }[],
): SiteTable {
  const lines = instructions.map((i) => [...new Set(i.nodes.map(lineOf).filter((l) => l !== ""))].join(" and "));
  let at = 0;
  instructions.forEach((i, k) => i.nbytes > instructions[at]!.nbytes && (at = k));
  return { tag: nextTag++, lines, largest: lines[at] ?? "" };
}
/** A program with these lines is about to run. */
export function running(table: SiteTable): void {
  tables.delete(table.tag);
  tables.set(table.tag, table);
  for (const oldest of tables.keys()) {
    if (tables.size <= MOST_TABLES) break;
    tables.delete(oldest);
  }
}
/** The line of what the runtime calls "tag instruction"; "" where nothing is known. */
export function lineOfInstruction(text: string): string {
  const [tag, instruction] = text.split(" ").map(Number);
  return tables.get(tag!)?.lines[instruction!] ?? "";
}
