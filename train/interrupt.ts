/**
 * Ctrl-C and `kill`: a signal cannot stop synchronous code, so the loop asks between two steps. A second signal ends the
 * process at once.
 * @module
 */
import { setImmediate } from "node:timers";

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
/** What shells give for a program that SIGINT ended. */
export const INTERRUPTED = 130;

/** Listens for signals until it is disposed of. */
export class Interrupts implements Disposable {
  #requested = false;
  readonly #listener = (): void => {
    if (this.#requested) Deno.exit(INTERRUPTED);
    this.#requested = true;
  };
  constructor() {
    for (const signal of SIGNALS) Deno.addSignalListener(signal, this.#listener);
  }
  /** Lets the event loop run, then says whether the run is to end. */
  async requested(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#requested;
  }
  [Symbol.dispose](): void {
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, this.#listener);
  }
}

/** A word as a shell reads it back. */
const quoted = (word: string): string => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
/** The command that starts this program again. */
export function ownCommand(): string {
  const main = Deno.mainModule, cwd = `file://${Deno.cwd()}/`;
  const script = main.startsWith(cwd) ? main.slice(cwd.length) : main.replace(/^file:\/\//, "");
  return ["deno", "run", "-A", decodeURIComponent(script), ...Deno.args].map(quoted).join(" ");
}
