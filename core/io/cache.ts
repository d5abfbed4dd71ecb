/**
 * The user's cache folder, for the rooms above that keep files there: models, downloads.
 * @module
 */
export { cacheFolder } from "../../ffi/cache.ts";
