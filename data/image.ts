/**
 * Pictures as arrays, and arrays as pictures. The package `sharp` decodes and encodes them (PNG, JPEG, WebP, AVIF, GIF,
 * TIFF, SVG) on threads of its own; it is loaded with the first picture.
 * @module
 */
import { array, CheckpointError, fail, type NDArray, ShapeError, uint8 } from "../core/mod.ts";
import { writeAtomic } from "../core/io/atomic.ts";

/** By a name that is no literal: a literal one would be fetched with this module, by programs without pictures too. */
const SHARP = "npm:sharp@0.35.5";
async function loadSharp(): Promise<typeof import("sharp").default> {
  const loaded: typeof import("sharp") = await import(SHARP);
  return loaded.default;
}

/** Options of {@linkcode loadImage}. */
export interface ImageOptions {
  /** Height and width to scale to. Default: as it is. */
  readonly size?: readonly [height: number, width: number] | null;
  /** What is done where the proportions differ: cut the edges ("cover"), add black ones ("contain"), or stretch ("fill"). */
  readonly fit?: "cover" | "contain" | "fill";
  /** 1 for grey, 3 for colours, 4 for colours with opacity. Default 3. */
  readonly channels?: 1 | 3 | 4;
}
/**
 * The picture in a file, or in its bytes, as uint8 [height, width, channels]; turned upright where it says how it was
 * taken. A transparent picture without its opacity stands on black.
 * @throws CheckpointError where it cannot be decoded.
 *
 * @example
 * ```ts ignore
 * import { loadImage } from "@denim/ml/data";
 * const x = await loadImage("cat.jpg", { size: [224, 224] }); // uint8[224, 224, 3]
 * ```
 */
export async function loadImage(source: string | Uint8Array, options: ImageOptions = {}): Promise<NDArray> {
  const { size = null, fit = "cover", channels = 3 } = options;
  const sharp = await loadSharp();
  try {
    const upright = sharp(source).rotate();
    let picture = channels === 4
      ? upright.toColourspace("srgb").ensureAlpha()
      : upright.flatten({ background: "#000" }).toColourspace(channels === 1 ? "b-w" : "srgb");
    if (size) picture = picture.resize({ height: size[0], width: size[1], fit, background: "#000" });
    const { data, info } = await picture.raw().toBuffer({ resolveWithObject: true });
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return array(pixels, uint8).reshape([info.height, info.width, info.channels]);
  } catch (error) {
    return fail(CheckpointError, "data.loadImage", {
      cannot: `decode ${typeof source === "string" ? source : `${source.length} bytes`}`,
      expected: "a picture (PNG, JPEG, WebP, AVIF, GIF, TIFF, SVG)",
      got: error instanceof Error ? error.message : String(error),
      fix: "check the path, and that the file is whole",
    });
  }
}

/**
 * Writes a picture, uint8 [height, width] or [height, width, channels], in the format that the file's name ends in. The
 * file appears whole or not at all.
 * @throws ShapeError for an array that is no picture.
 *
 * @example
 * ```ts ignore
 * import * as mx from "@denim/ml";
 * import { saveImage } from "@denim/ml/data";
 * await saveImage("grey.png", mx.full([8, 8], 128, mx.uint8));
 * ```
 */
export async function saveImage(path: string, image: NDArray): Promise<void> {
  const [height, width, channels = 1] = image.shape;
  const ok = image.dtype === uint8 && (image.ndim === 2 || image.ndim === 3) && channels >= 1 && channels <= 4;
  if (!ok || height === undefined || width === undefined) {
    return fail(ShapeError, "data.saveImage", {
      cannot: `write ${image.dtype}[${image.shape.join()}] as a picture`,
      expected: "uint8[height, width] or uint8[height, width, channels] with 1 to 4 channels",
      got: `${image.dtype}[${image.shape.join()}]`,
      fix: "scale to 0 to 255, cast with astype(mx.uint8), and reshape",
    });
  }
  const sharp = await loadSharp(), format = formatOf(path);
  const data = await image.data(), pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const raw = { width, height, channels: channelCount(channels) };
  const bytes = await sharp(pixels, { raw }).toFormat(format).toBuffer();
  await writeAtomic(path, (sink) => sink.write(bytes), "data.saveImage");
}
type Format = "png" | "jpeg" | "webp" | "avif" | "gif" | "tiff";
const FORMATS: Readonly<Record<string, Format>> = {
  png: "png",
  jpg: "jpeg",
  jpeg: "jpeg",
  webp: "webp",
  avif: "avif",
  gif: "gif",
  tif: "tiff",
  tiff: "tiff",
};
function formatOf(path: string): Format {
  const ending = path.split(".").at(-1)?.toLowerCase() ?? "";
  return FORMATS[ending] ?? fail(CheckpointError, "data.saveImage", {
    cannot: `write ${path}`,
    expected: `a name that ends in one of ${Object.keys(FORMATS).join(", ")}`,
    got: ending,
    fix: "change the name",
  });
}
const channelCount = (n: number): 1 | 2 | 3 | 4 => n === 1 ? 1 : n === 2 ? 2 : n === 3 ? 3 : 4;
