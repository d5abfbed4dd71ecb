/**
 * The model of this project, `models/storyteller`, which was trained: what only a model with knowledge shows. Its text is
 * more probable than words in disorder, and all ways to compute the next token agree.
 * @module
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as lm from "../../lm/mod.ts";
import * as nn from "../../nn/mod.ts";

const FOLDER = new URL("../../models/storyteller", import.meta.url).pathname, MEGABYTE = 1e6;
const STORY = "Once upon a time there was a little girl, and she went into the wood. " +
  '"I do not know what to do," said the old man, "but you must go to the king."';
const { model, tokenizer, config } = await lm.load("storyteller");

/** The mean of -log p over the tokens of a text but the first. */
function loss(text: string): number {
  const ids = mx.array(tokenizer.encode(text), mx.int32).expandDims(0);
  const logits = model.forward(ids.index("..., :-1"));
  return Number(nn.losses.crossEntropy(logits, ids.index("..., 1:"), { reduction: "mean" }).item());
}

Deno.test("the folder is small, quantized and whole", async () => {
  let bytes = 0;
  for await (const { name } of Deno.readDir(FOLDER)) bytes += (await Deno.stat(`${FOLDER}/${name}`)).size;
  assertLess(bytes, 6 * MEGABYTE);
  assertEquals(config.model_type, "llama");
  assert([...model.namedModules()].some(([, m]) => m instanceof nn.QuantizedLinear));
  assertEquals(tokenizer.decode(tokenizer.encode(STORY)), STORY);
});
Deno.test("it knows English: a story is far more probable than its words in disorder, or than by guessing", () => {
  const shuffled = STORY.split(" ").sort().join(" ");
  assertLess(loss(STORY), 4.2);
  assertLess(loss(STORY) + 0.8, loss(shuffled));
});
Deno.test("token by token, in a batch, by a draft of its own and from a cache it writes the same", async () => {
  const maxTokens = 24, prompts = ["The old woman said", "Once upon a time there was a little"];
  const single = await Promise.all(prompts.map((prompt) => lm.generate(model, tokenizer, prompt, { maxTokens })));
  for (const text of single) assert(/^[^\ufffd]{20,}$/.test(text), text);
  const { texts } = await lm.batchGenerate(model, tokenizer, prompts.map((p) => tokenizer.encode(p)), { maxTokens });
  // A batch is decoded as a whole, with the space that streams leave out.
  assertEquals(texts.map((text) => text.trimStart()), single);
  assertEquals(await lm.generate(model, tokenizer, prompts[0]!, { maxTokens, draftModel: model }), single[0]);
  const promptCache = lm.makePromptCache(model), ids = tokenizer.encode(prompts[0]!);
  model.forward(mx.array(ids.slice(0, 2), mx.int32).expandDims(0), { cache: promptCache });
  assertEquals(await lm.generate(model, tokenizer, ids.slice(2), { maxTokens, promptCache }), single[0]);
});
Deno.test("the command line finds it by its name, in any folder", async () => {
  const args = ["run", "-A", "--no-check", new URL("../../lm/cli.ts", import.meta.url).pathname];
  const flags = ["generate", "--model", "storyteller", "--prompt", "The old woman said", "-m", "12"];
  const cwd = await Deno.makeTempDir();
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args: [...args, ...flags], cwd }).output();
  const expected = await lm.generate(model, tokenizer, "The old woman said", { maxTokens: 12 });
  assertEquals([code, new TextDecoder().decode(stdout)], [0, expected]);
});
