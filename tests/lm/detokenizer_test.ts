/**
 * Streaming detokenizers against recorded segments of mlx-lm.
 * @module
 */
import { assertEquals } from "@std/assert";
import { makeDetokenizer, NaiveStreamingDetokenizer, type StreamingDetokenizer } from "../../lm/detokenizer.ts";
import { Tokenizer } from "../../lm/tokenizer.ts";
import { recordedTokenizers } from "./recorded.ts";

/** The new text after each token, then after the end. */
function segments(detokenizer: StreamingDetokenizer, ids: readonly number[]): string[] {
  const found: string[] = [];
  for (const id of ids) {
    detokenizer.addToken(id);
    found.push(detokenizer.lastSegment());
  }
  detokenizer.finalize();
  return [...found, detokenizer.lastSegment()];
}

for (const [name, { tokenizer: json, config, detokenizer, texts, sequences }] of Object.entries(recordedTokenizers())) {
  Deno.test(`${name}: segments are mlx-lm's`, () => {
    const tokenizer = new Tokenizer(json, config);
    assertEquals(tokenizer.detokenizer().constructor.name, detokenizer);
    for (const { ids, segments: want } of [...texts, ...sequences]) {
      const stream = tokenizer.detokenizer();
      assertEquals(segments(stream, ids), [...want], JSON.stringify(ids));
      assertEquals(stream.tokens, [...ids]);
      // Cleaned spaces change what was already shown.
      if (name !== "wordpiece") assertEquals(stream.text, want.join(""));
    }
  });
}

Deno.test("the decoder section decides the kind", () => {
  const tokens = ["a", "\u0120", "\u00e2", "<0xE2>"];
  const tokenizer = {
    size: tokens.length,
    idToToken: (id: number) => tokens[id],
    encode: () => [0],
    decode: () => "a ,b",
  };
  const kind = (decoder: Parameters<typeof makeDetokenizer>[1]): string =>
    makeDetokenizer(tokenizer, decoder).constructor.name;
  const spm = [{ type: "Replace", pattern: { String: "\u2581" }, content: " " }, { type: "ByteFallback" }, {
    type: "Fuse",
  }];
  assertEquals(kind({ type: "ByteLevel", trim_offsets: true }), "BPEStreamingDetokenizer");
  assertEquals(kind({ type: "Sequence", decoders: spm }), "SPMStreamingDetokenizer");
  assertEquals(
    kind({ decoders: [...spm, { stop: 0, start: 1, content: " ", type: "Strip" }], type: "Sequence" }),
    "SPMStreamingDetokenizer",
  );
  assertEquals(kind({ type: "Sequence", decoders: spm.slice(0, 2) }), "NaiveStreamingDetokenizer");
  assertEquals(kind(null), "NaiveStreamingDetokenizer");
  // A token beyond the vocabulary is the padding of a model's output.
  assertEquals(segments(makeDetokenizer(tokenizer, { type: "ByteLevel" }), [0, 1, 0, 9, 2]), [
    "a",
    "",
    " a",
    "!",
    "",
    "\ufffd",
  ]);
});

Deno.test("the naive detokenizer holds back what may still change, line by line", () => {
  const parts = ["a", "\ufffd", "\n", "b"];
  const stream = new NaiveStreamingDetokenizer({
    size: 4,
    idToToken: (id) => parts[id],
    encode: () => [],
    decode: (ids) => ids.map((id) => parts[id]).join(""),
  });
  assertEquals(segments(stream, [0, 1, 2, 3]), ["a", "", "\ufffd\n", "b", ""]);
});
