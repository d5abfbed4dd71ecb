/**
 * Models of texts and images with the images left out: a text model under the name `language_model`.
 * @module
 */
import type { NDArray } from "../core/mod.ts";
import type { Module } from "../nn/mod.ts";
import { type ForwardOptions, LanguageModel, type Weights } from "./model.ts";

const PREFIX = "language_model.", NESTED = "model.language_model.";
/** A model that is only its text model; its caches are plain. */
export abstract class TextPart<M extends LanguageModel> extends LanguageModel {
  language_model: M;
  constructor(text: M) {
    super();
    this.language_model = text;
  }
  get layers(): readonly Module[] {
    return this.language_model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.language_model.forward(tokens, options);
  }
  /** What belongs to images, by name. */
  protected isVision(name: string): boolean {
    return /(^|\.)(visual|vision_tower|multi_modal_projector)\./.test(name);
  }
  override sanitize(weights: Weights): Weights {
    const own: Weights = new Map();
    for (const [name, x] of weights) {
      if (this.isVision(name)) continue;
      own.set(
        name.startsWith(NESTED) ? `model.${name.slice(NESTED.length)}` : name.replace(/^language_model\./, ""),
        x,
      );
    }
    return new Map([...this.language_model.sanitize(own)].map(([name, x]) => [PREFIX + name, x]));
  }
}
