/**
 * The platforms that the library is built for, and the names of their files.
 * @module
 */
import { libraryFailure } from "./errors.ts";

/** Name of a platform, as `runtime/build.zig` knows it. */
export type Platform = "x86_64-linux" | "aarch64-linux" | "aarch64-macos";
/** All platforms; each can be built on any of them. */
export const PLATFORMS: readonly Platform[] = ["x86_64-linux", "aarch64-linux", "aarch64-macos"];

/** The platform of that name. */
export function platformOf(name: string): Platform {
  return PLATFORMS.find((platform) => platform === name) ?? libraryFailure({
    cannot: `build for ${name}`,
    expected: PLATFORMS.join(", "),
    got: name,
    fix: "use one of these platforms",
  });
}
/** The platform of this machine. */
export function hostPlatform(): Platform {
  return platformOf(`${Deno.build.arch}-${Deno.build.os === "darwin" ? "macos" : Deno.build.os}`);
}
const extension = (platform: Platform) => platform.endsWith("macos") ? "dylib" : "so";
/** Name of the library as the build leaves it. */
export function builtName(platform: Platform): string {
  return `libdenim.${extension(platform)}`;
}
/**
 * Name of the library once it is kept, in the cache or in `prebuilt/`: the hash says which sources it is built from.
 */
export function fileName(platform: Platform, hash: string): string {
  return `denim-${platform}-${hash}.${extension(platform)}`;
}
