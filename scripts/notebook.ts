/**
 * Runs a notebook with Deno's own Jupyter kernel, cell by cell, and shows or keeps what the cells give:
 *
 *     deno run -A scripts/notebook.ts examples/tour.ipynb [--write]
 *
 * Nothing else is needed: the kernel is `deno jupyter --kernel`, and `zmtp.ts` speaks to it.
 * @module
 */
import { parseArgs } from "node:util";
import { Socket } from "./zmtp.ts";

/** What a cell gave: text of `console.log`, values by media type, or an error. */
export interface Output {
  readonly output_type: "stream" | "display_data" | "execute_result" | "error";
  readonly name?: string;
  readonly text?: string | string[];
  readonly data?: Readonly<Record<string, string | string[]>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly execution_count?: number;
  readonly ename?: string;
  readonly evalue?: string;
  readonly traceback?: readonly string[];
}
/** A cell, as in the file. */
export interface Cell {
  readonly cell_type: "code" | "markdown" | "raw";
  readonly source: string | string[];
  outputs?: Output[];
  execution_count?: number | null;
}
/** The file. */
export interface Notebook {
  readonly cells: Cell[];
}
/** A message of the kernel, as far as it is looked at. */
interface Message {
  readonly type: string;
  readonly parent: string;
  readonly content: Output & { readonly execution_state?: string; readonly status?: string };
}

const DELIMITER = "<IDS|MSG>";
/** A cell's value may come after the kernel has said that the cell is done. No cell may take longer than PATIENCE_MS. */
const LATE_MS = 200, PATIENCE_MS = 120_000;
const encode = (x: unknown) => new TextEncoder().encode(JSON.stringify(x));
const joined = (text: string | readonly string[] = ""): string => typeof text === "string" ? text : text.join("");
/** The text of a cell. */
export const sourceOf = (cell: Cell): string => joined(cell.source);

/** As many ports as are asked for, which nobody listens on. */
function freePorts(n: number): number[] {
  const listeners = Array.from({ length: n }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((l) => l.addr.port);
  listeners.forEach((l) => l.close());
  return ports;
}

/** A kernel that runs in a folder. */
export class Kernel implements AsyncDisposable {
  readonly #session = crypto.randomUUID();
  readonly #told: Message[] = [];
  #ended: Error | null = null;
  #deadline = Infinity;
  private constructor(
    readonly process: Deno.ChildProcess,
    readonly file: string,
    readonly shell: Socket,
    readonly news: Socket,
  ) {}

  /** Starts one. */
  static async start(folder: string, env: Record<string, string> = {}): Promise<Kernel> {
    const [shell, news, stdin, control, heartbeat] = freePorts(5), file = await Deno.makeTempFile({ suffix: ".json" });
    const connection = {
      ip: "127.0.0.1",
      transport: "tcp",
      shell_port: shell,
      iopub_port: news,
      stdin_port: stdin,
      control_port: control,
      hb_port: heartbeat,
      signature_scheme: "hmac-sha256",
      key: "",
    };
    await Deno.writeTextFile(file, JSON.stringify(connection));
    const args = ["jupyter", "--kernel", "--conn", file];
    const process = new Deno.Command(Deno.execPath(), {
      args,
      cwd: folder,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      const sockets = await Promise.all([Socket.connect(shell!, "DEALER"), Socket.connect(news!, "SUB")]);
      return await new Kernel(process, file, ...sockets).#ready();
    } catch (e) {
      process.kill();
      await process.status;
      throw e;
    }
  }
  /** Listens. What is told before the subscription has arrived is lost: asks until something is told. */
  async #ready(): Promise<this> {
    void this.#listen();
    this.#deadline = Date.now() + PATIENCE_MS;
    while (!this.#told.length) {
      await this.#send("kernel_info_request", {});
      await this.#pause(100);
    }
    return this;
  }
  async #listen(): Promise<void> {
    try {
      for (;;) this.#told.push(parsed(await this.news.receive()));
    } catch (e) {
      this.#ended = e instanceof Error ? e : new Error(String(e));
    }
  }
  async #pause(milliseconds: number): Promise<void> {
    if (this.#ended) throw this.#ended;
    if (Date.now() > this.#deadline) throw new Error(`the kernel said nothing for ${PATIENCE_MS / 1e3} s`);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
  }
  /** Runs code as a cell; returns what it gave. */
  async execute(code: string): Promise<Output[]> {
    const request = { code, silent: false, store_history: true, user_expressions: {}, allow_stdin: false };
    this.#told.length = 0;
    this.#deadline = Date.now() + PATIENCE_MS;
    const id = await this.#send("execute_request", { ...request, stop_on_error: true }), outputs: Output[] = [];
    const over = ({ type, parent, content }: Message) =>
      parent === id && type === "status" && content.execution_state === "idle";
    while (!this.#told.some(over)) await this.#pause(10);
    await this.#pause(LATE_MS);
    for (const { type, parent, content } of this.#told) {
      if (parent !== id) continue;
      if (type === "stream") addText(outputs, content);
      const { data, execution_count, ename, evalue, traceback } = content;
      if (type === "display_data") outputs.push({ output_type: type, data, metadata: {} });
      if (type === "execute_result") outputs.push({ output_type: type, data, metadata: {}, execution_count });
      if (type === "error") outputs.push({ output_type: type, ename, evalue, traceback });
    }
    return outputs;
  }
  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.status;
    this.shell[Symbol.dispose]();
    this.news[Symbol.dispose]();
    await Deno.remove(this.file).catch(() => {});
  }
  async #send(type: string, content: unknown): Promise<string> {
    const id = crypto.randomUUID(), date = new Date().toISOString();
    const header = { msg_id: id, msg_type: type, session: this.#session, username: "denim", version: "5.3", date };
    const parts = [encode(header), encode({}), encode({}), encode(content)];
    await this.shell.send([new TextEncoder().encode(DELIMITER), new Uint8Array(0), ...parts]);
    return id;
  }
}
function parsed(frames: readonly Uint8Array[]): Message {
  const texts = frames.map((f) => new TextDecoder().decode(f)), at = texts.indexOf(DELIMITER);
  const [header, parent, , content] = texts.slice(at + 2).map((t) => JSON.parse(t));
  return { type: header.msg_type, parent: parent?.msg_id ?? "", content };
}
/** Pieces of one stream that follow one another are one output. */
function addText(outputs: Output[], { name, text }: Output): void {
  const last = outputs.at(-1);
  if (last?.output_type !== "stream" || last.name !== name) {
    outputs.push({ output_type: "stream", name, text: joined(text) });
  } else outputs[outputs.length - 1] = { ...last, text: joined(last.text) + joined(text) };
}

/** Runs all code cells in one kernel, in the notebook's folder; stops after the first that fails. */
export async function runNotebook(path: string, env: Record<string, string> = {}): Promise<Notebook> {
  const notebook: Notebook = JSON.parse(await Deno.readTextFile(path)),
    folder = path.slice(0, path.lastIndexOf("/") + 1);
  await using kernel = await Kernel.start(folder || ".", env);
  let count = 0;
  for (const cell of notebook.cells) {
    if (cell.cell_type !== "code") continue;
    cell.outputs = await kernel.execute(sourceOf(cell));
    cell.execution_count = ++count;
    if (cell.outputs.some((o) => o.output_type === "error")) break;
  }
  return notebook;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { write: { type: "boolean" } } });
  const [path] = positionals;
  if (!path) throw new Error("which notebook?");
  const notebook = await runNotebook(path);
  let failed = false;
  for (const { outputs = [] } of notebook.cells) {
    for (const { output_type, text, data, ename, evalue, traceback } of outputs) {
      failed ||= output_type === "error";
      if (ename !== undefined) console.log(`${ename}: ${evalue}\n${traceback?.join("\n")}`);
      else console.log(text === undefined ? Object.keys(data ?? {}).join(", ") : joined(text).trimEnd());
    }
  }
  if (values.write && !failed) await Deno.writeTextFile(path, `${JSON.stringify(notebook, null, 1)}\n`);
  if (failed) Deno.exit(1);
}
if (import.meta.main) await main();
