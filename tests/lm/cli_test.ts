/**
 * The command line as a program: what goes to standard output and what to standard error, exit codes, signals, broken
 * pipes.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as lm from "../../lm/mod.ts";
import { inFolder, tinyConfig, tinyModel, writeModel } from "./tiny.ts";

const CLI = new URL("../../lm/cli.ts", import.meta.url).pathname;
/** A run of the command line. */
function command(args: readonly string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CLI, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}
interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
async function run(args: readonly string[], input = ""): Promise<Output> {
  const child = command(args).spawn(), stdin = child.stdin.getWriter(), decoder = new TextDecoder();
  await stdin.write(new TextEncoder().encode(input));
  await stdin.close();
  const { code, stdout, stderr } = await child.output();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}
/** Runs with the folder of a small model. */
function withModel(test: (folder: string) => Promise<void>): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      const config = tinyConfig();
      await writeModel(folder, tinyModel(config), config);
      await test(folder);
    });
}

Deno.test(
  "standard output is the text, standard error has the numbers",
  withModel(async (folder) => {
    const { model, tokenizer } = await lm.load(folder), maxTokens = 9;
    const ids = tokenizer.applyChatTemplate([{ role: "user", content: "- hi\n" }], { addGenerationPrompt: true });
    const text = await lm.generate(model, tokenizer, ids, { maxTokens });
    const flags = ["--model", folder, "-m", "9"];
    const { code, out, err } = await run(["generate", ...flags, "--prompt", "- hi\\n"]);
    assertEquals([code, out], [0, text]);
    assert(/^Prompt: \d+ tokens, .*\nGeneration: 9 tokens, .*\nPeak memory: .* GB\n$/.test(err), err);
    assertEquals(await run([...flags, "-p", "-", "--verbose", "False"], "- hi\n"), { code: 0, out: text, err: "" });
    const raw = await run([...flags, "-p", "- hi\n", "--ignore-chat-template", "--verbose"]);
    assertEquals(raw.out, await lm.generate(model, tokenizer, "- hi\n", { maxTokens }));
    assert(raw.err.endsWith("Compiled steps: 10 calls, 1 traces, 1 programs\n"), raw.err);
  }),
);
Deno.test(
  "a prompt goes on with the text of a cache file",
  withModel(async (folder) => {
    const { model, tokenizer } = await lm.load(folder), path = `${folder}/cache.safetensors`, text = "- hi\n";
    const cache = lm.makePromptCache(model), rest = tokenizer.encode("more");
    model.forward(mx.array(tokenizer.encode(text), mx.int32).reshape([1, -1]), { cache });
    await lm.savePromptCache(path, cache, { model: folder, "tokenizer_config": "{}" });
    const flags = ["--prompt-cache-file", path, "-p", "more", "--ignore-chat-template", "-m", "6"];
    const expected = await lm.generate(model, tokenizer, rest, { promptCache: cache, maxTokens: 6 });
    assertEquals((await run(flags)).out, expected);
    assertEquals((await run(["--kv-bits", "8", "--kv-group-size", "32", ...flags])).out, expected, "not yet quantized");
    const wrong = await run([...flags, "--model", "another"]);
    assertEquals([wrong.code, wrong.out], [2, ""]);
    assert(wrong.err.includes("is not the model of the prompt cache"), wrong.err);
    const quantized = cache.map(() => new lm.QuantizedKVCache({ groupSize: 32, bits: 8 }));
    await lm.savePromptCache(path, quantized, { model: folder });
    assert((await run(flags)).err.includes("--kv-group-size has to be that of the prompt cache, 32"));
    assert((await run([...flags, "--kv-bits", "4"])).err.includes("--kv-bits has to be that of the prompt cache, 8"));
  }),
);
Deno.test(
  "flags of sampling, chats and end tokens reach the model",
  withModel(async (folder) => {
    const { model, tokenizer } = await lm.load(folder);
    const ids = tokenizer.applyChatTemplate([{ role: "system", content: "Be brief" }, {
      role: "user",
      content: "hello",
    }], {
      addGenerationPrompt: true,
    });
    const tokens: number[] = [];
    for await (const { token } of lm.streamGenerate(model, tokenizer, ids, { maxTokens: 20 })) tokens.push(token);
    const end = tokens[8] ?? 0,
      at = tokens.indexOf(end),
      flags = ["--model", folder, "--system-prompt", "Be brief", "-m", "20"];
    const { code, err } = await run([...flags, "--extra-eos-token", String(end)]);
    assert(code === 0 && err.includes(`Generation: ${at + 1} tokens`), err);
    const drawn = () => run([...flags, "--temp", "1.5", "--top-k", "40", "--seed", "3"]);
    const [first, second] = [await drawn(), await drawn()];
    assertEquals([first.code, first.out], [0, second.out]);
  }),
);
Deno.test("help and version need no model", async () => {
  const { code, out, err } = await run(["--help"]);
  assert(code === 0 && err === "" && out.startsWith("usage: generate [flags]\n") && out.includes("--max-tokens N"));
  assert(/^\d+\.\d+\.\d+\n$/.test((await run(["--version"])).out));
});
Deno.test("errors are one line without a trace", async () => {
  const fails = async (args: readonly string[], code: number, line: string) =>
    assertEquals(await run(args), { code, out: "", err: `${line}\n` });
  await fails(["--tokens", "3"], 2, "error: Unknown option '--tokens'; --help lists the flags");
  await fails(["--model", "x"], 1, await modelError());
  await fails(["--temp", "warm"], 2, 'error: --temp takes a number, got "warm"; --help lists the flags');
  await fails(["--seed", "1.5"], 2, 'error: --seed takes an integer, got "1.5"; --help lists the flags');
  await fails(["--device", "tpu"], 2, 'error: --device takes cpu or gpu, got "tpu"; --help lists the flags');
});
/** What a name that is no model's gives. */
async function modelError(): Promise<string> {
  try {
    await lm.load("x");
  } catch (error) {
    if (error instanceof Error) return `error: ${error.message}`;
  }
  return "no error";
}
Deno.test(
  "Ctrl-C keeps the text so far and exits with 130",
  withModel(async (folder) => {
    const child = command(["--model", folder, "-m", "-1"]).spawn(), reader = child.stdout.getReader();
    const first = await reader.read();
    assert(first.value && first.value.length > 0);
    child.kill("SIGINT");
    while (!(await reader.read()).done);
    const { code } = await child.status, err = await new Response(child.stderr).text();
    await child.stdin.close();
    assertEquals(code, 130);
    assert(err.includes("Generation: ") && !err.includes("error"), err);
  }),
);
Deno.test(
  "a broken pipe ends it silently",
  withModel(async (folder) => {
    const child = command(["--model", folder, "-m", "-1"]).spawn(), reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    const err = await new Response(child.stderr).text(), { code } = await child.status;
    await child.stdin.close();
    assertEquals([code, err], [0, ""]);
  }),
);
