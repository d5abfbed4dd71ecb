/**
 * A process of `peers.py`: one library of Python that does works on request.
 * @module
 */
import { TextLineStream } from "./lines.ts";

/** What the process answers. */
type Answer = { readonly ready: true } | { readonly missing: string } | { readonly samples: readonly number[] };

/** One library in a process of its own. */
export class Python {
  readonly #process: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  /** Starts `python peers.py library threads`. */
  constructor(
    python: string,
    /** `numpy`, `torch` or `mlx`. */
    readonly library: string,
    threads: number,
  ) {
    const n = String(threads), program = new URL("peers.py", import.meta.url).pathname;
    const env = { OMP_NUM_THREADS: n, OPENBLAS_NUM_THREADS: n, MKL_NUM_THREADS: n };
    const options: Deno.CommandOptions = { args: [program, library, n], env, stdin: "piped", stdout: "piped" };
    this.#process = new Deno.Command(python, options).spawn();
    this.#requests = this.#process.stdin.getWriter();
    this.#answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
  }
  async #ask(request: object): Promise<Answer> {
    await this.#requests.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const { value, done } = await this.#answers.read();
    if (done) throw new Error(`the process for ${this.library} ended at ${JSON.stringify(request)}`);
    const answer: Answer = JSON.parse(value);
    return answer;
  }
  /** Makes the inputs of a work; false if the library does not have it. */
  async prepare(work: string): Promise<boolean> {
    return "ready" in await this.#ask({ work });
  }
  /** Seconds of the samples of about so long a time. */
  async measure(seconds: number): Promise<readonly number[]> {
    const answer = await this.#ask({ seconds });
    if (!("samples" in answer)) throw new Error(`${this.library}: ${JSON.stringify(answer)}`);
    return answer.samples;
  }
  /** Ends the process. */
  async close(): Promise<void> {
    await this.#requests.close();
    await this.#answers.cancel();
    await this.#process.status;
  }
}
