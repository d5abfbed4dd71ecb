/**
 * Learning a vocabulary: merges and ids as recorded from the trainer of `tokenizers` (Python), any text there and back.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ValueError } from "../../core/errors.ts";
import { isRecord } from "../../core/io/json.ts";
import { trainBpe } from "../../lm/bpe.ts";
import { Tokenizer } from "../../lm/tokenizer.ts";

const TEXTS = [
  "low lower lowest, so low and so slow",
  "aaaa aa aaa\n\n  It's 2048: they'll räumen 東京 東京 東京!\t!!",
  "abc bc abc ab bc abcabc",
];
/** Ties, repeats of one letter, letters of several bytes, and `abc` by the two ways that lead to it. */
const MERGES = "a a,b c,l o,lo w,a bc,± ä,º ¬,æ Ŀ,Ġ s,Ġ low,Ġ æĿ,±ä º¬,ĠæĿ ±äº¬,Ġ a,Ġ aa,Ġ bc,Ġ abc,Ġs o,Ġlow e".split(
  ",",
);
const IDS = [
  [261, 276, 83, 276, 84, 85, 13, 275, 267, 271, 79, 69, 275, 266, 261],
  // deno-fmt-ignore
  [258, 258, 272, 272, 66, 200, 200, 222, 222, 42, 85, 8, 84, 222, 19, 17, 21, 25, 27, 222, 85, 73, 70, 90, 8, 77, 77,
    222, 83, 129, 99, 86, 78, 70, 79, 270, 270, 270, 2, 199, 2, 2],
  [262, 273, 274, 271, 67, 273, 274, 262],
];
const learned = (vocabSize: number, minFrequency = 2) =>
  trainBpe(TEXTS, { vocabSize, minFrequency, specialTokens: ["<s>", "</s>"] });
const merges = (json: ReturnType<typeof trainBpe>): unknown => isRecord(json.model) && json.model.merges;

Deno.test("merges and ids are those of the original trainer", () => {
  const json = learned(290), tokenizer = new Tokenizer(json, { eos_token: "</s>" });
  assertEquals(merges(json), MERGES);
  assertEquals(tokenizer.size, 258 + MERGES.length);
  assertEquals(TEXTS.map((text) => tokenizer.encode(text)), IDS);
  assertEquals(tokenizer.eosTokenId, 1);
  assertEquals(tokenizer.encode("low</s>"), [261, 1]);
});
Deno.test("the vocabulary ends at its size, or where no pair is frequent", () => {
  assertEquals(merges(learned(262)), MERGES.slice(0, 4));
  assertEquals(merges(learned(290, 5)), MERGES.slice(0, 4));
});
Deno.test("every text comes back", () => {
  const tokenizer = new Tokenizer(learned(290), {});
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => tokenizer.decode(tokenizer.encode(text)) === text));
});
Deno.test("a vocabulary has room for all bytes", () => {
  const { message } = assertThrows(() => learned(257), ValueError);
  assert(message.includes("at least 258"), message);
});
