/**
 * What the reference runners share: command line, one line of progress, and the summary, which separates what the
 * library lacks from wrong values and from wrong or missing errors.
 * @module
 */
import { RuntimeLibraryError } from "../../core/errors.ts";
import { Missing } from "./library.ts";
import { perturbation } from "./perturb.ts";

/** How a case ended. */
export type Outcome =
  | { readonly kind: "passed" }
  | { readonly kind: Kind; readonly why: string };
/** Kinds of failures: "float64" is what a GPU cannot compute, MLX's either. */
type Kind = "missing" | "value" | "error" | "no error" | "float64";
/** The outcome of a case that is as recorded. */
export const passed: Outcome = { kind: "passed" };

/** Errors of the JavaScript engine about a program that is wrong: never the error that a case expects. */
const INTERNAL =
  /is not a function|Cannot (read|set) prop|is not iterable|is not defined|is not a constructor|Cannot (access|destructure|mix)|undefined \(|Maximum call stack/;

/** Whether an error is a mistake of the library or the runner, or a broken build, instead of a message to the user. */
export function isInternal(e: unknown): boolean {
  if (e instanceof RuntimeLibraryError) return true;
  const native = e instanceof TypeError || e instanceof ReferenceError || e instanceof SyntaxError ||
    e instanceof RangeError;
  return !(e instanceof Error) || (native && INTERNAL.test(e.message));
}
/** Whether an error is what a case that has to fail asks for. */
export const isExpected = (e: unknown): boolean => !(e instanceof Missing) && !isInternal(e);
/** What a thrown error makes of a case. */
export function outcomeOf(e: unknown): Outcome {
  if (e instanceof Missing) return { kind: "missing", why: e.what };
  const text = e instanceof Error ? `${e.name}: ${e.message}` : String(e);
  if (/cannot run float64 on the GPU/.test(text)) return { kind: "float64", why: text };
  const at = isInternal(e) && e instanceof Error
    ? ` (${e.stack?.split("\n").find((l) => /^\s+at /.test(l))?.trim()})`
    : "";
  return { kind: "error", why: text + at };
}

/** Folders and options of a command line. */
export interface CommandLine {
  readonly folders: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  readonly flags: ReadonlySet<string>;
}
/** Reads `--name value`, `--flag` and folders; anything unknown ends the program with the usage. */
export function commandLine(
  args: readonly string[],
  usage: string,
  known: { options: readonly string[]; flags: readonly string[] },
): CommandLine {
  const folders: string[] = [], options = new Map<string, string>(), flags = new Set<string>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "", [name = "", inline] = arg.replace(/^--/, "").split(/=(.*)/s);
    if (!arg.startsWith("--")) folders.push(arg);
    else if (known.flags.includes(name)) flags.add(name);
    else if (known.options.includes(name) && (inline ?? args[i + 1]) !== undefined) {
      options.set(name, inline ?? args[++i] ?? "");
    } else {
      console.error(usage);
      Deno.exit(2);
    }
  }
  return { folders, options, flags };
}

const SHOWN = 40;

/** Counts outcomes and prints them. */
export class Report {
  private passes = 0;
  private done = 0;
  private readonly groups = new Map<Outcome["kind"], Map<string, number>>();
  private readonly shown = new Map<string, number>();
  private readonly live: boolean;
  constructor(private readonly total: number, private readonly quiet: boolean) {
    this.live = !quiet && Deno.stderr.isTerminal();
  }

  /** Counts a case; `name` is what the summary counts by. */
  add(id: string, name: string, outcome: Outcome): void {
    this.done++;
    if (outcome.kind === "passed") this.passes++;
    else this.failure(id, name, outcome.kind, outcome.why);
    if (this.live && (this.done % 16 === 0 || this.done === this.total)) {
      const line = `\r${this.done}/${this.total}  ${this.passes} passed  ${this.done - this.passes} failed\x1b[K`;
      Deno.stderr.writeSync(new TextEncoder().encode(this.done === this.total ? "\r\x1b[K" : line));
    }
  }
  private failure(id: string, name: string, kind: Kind, why: string): void {
    const counts = this.groups.get(kind) ?? new Map<string, number>(), key = kind === "missing" ? why : name;
    this.groups.set(kind, counts.set(key, (counts.get(key) ?? 0) + 1));
    const before = this.shown.get(key) ?? 0;
    this.shown.set(key, before + 1);
    if (this.quiet || kind === "missing" || before > SHOWN) return;
    if (this.live) Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K"));
    console.log(
      before === SHOWN ? `FAIL ${name}: and more` : `FAIL ${id}: ${kind === "value" ? "" : `${kind}: `}${why}`,
    );
  }

  /** Prints the summary and the last line; the exit code. */
  finish(): number {
    const titles = {
      missing: "missing functions",
      value: "wrong values",
      error: "unexpected errors",
      "no error": "errors not thrown",
      float64: "no float64 on the GPU",
    };
    for (const kind of ["missing", "value", "error", "no error", "float64"] as const) {
      const counts = [...this.groups.get(kind) ?? []].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
      if (this.quiet || counts.length === 0) continue;
      const sum = counts.reduce((n, [, k]) => n + k, 0);
      console.log(`${titles[kind]}: ${sum} cases, ${counts.map(([name, n]) => `${name} ${n}`).join(", ")}`);
    }
    console.log(`${this.passes} passed, ${this.done - this.passes} failed`);
    return this.done > this.passes ? 1 : 0;
  }
}

/** One check, ready to run: null, or why it failed. */
export interface Check {
  readonly id: string;
  /** What the summary counts by. */
  readonly group: string;
  readonly run: () => Promise<string | null>;
}
/** Runs checks one by one; of those that pass, the first `perturb.left` are run again against changed records. */
export async function runChecks(checks: readonly Check[], report: Report, perturb = { left: 0 }): Promise<void> {
  for (const check of checks) {
    let outcome = await outcomeOfCheck(check);
    if (perturb.left > 0 && outcome.kind === "passed") {
      perturbation.armed = true;
      const changed = await outcomeOfCheck(check);
      // A case that compares nothing, as one that must only throw, has nothing to change.
      if (!perturbation.armed) [outcome, perturb.left] = [changed, perturb.left - 1];
      perturbation.armed = false;
    }
    report.add(check.id, check.group, outcome);
  }
}
async function outcomeOfCheck({ run }: Check): Promise<Outcome> {
  try {
    const why = await run();
    return why === null ? passed : { kind: "value", why };
  } catch (e) {
    return outcomeOf(e);
  }
}
