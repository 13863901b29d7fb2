// @ts-check
/** What a file holds: a voiceprint, as bytes or as Base64 text, or a recording. */

/** Bytes of the longest voiceprint as Base64, with room for line breaks. */
const MAX_BYTES = 64_000;
/** Files that are read at a time. */
const READS = 64;
/** The marker with which an object of UBJSON begins. */
const OBJECT = '{'.charCodeAt(0);

/**
 * @typedef {object} Content
 * @property {'recording' | 'voiceprint'} kind
 * @property {string} base64 The voiceprint as the API takes it; empty for a recording, which is not read.
 * @property {boolean} isText Whether the file holds that text itself.
 */

/**
 * Return what a file is. Small files are read whole, once: for thousands of them, that is what takes the time.
 * @param {File} file
 * @returns {Promise<Content>}
 */
export async function contentOf(file) {
  const recording = /** @type {Content} */ ({ kind: 'recording', base64: '', isText: false });
  if (file.size === 0 || file.size > MAX_BYTES) return recording;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const letters = lettersOf(bytes);
  const isText = bytes[0] !== OBJECT && /^\s*[A-Za-z0-9+/]{16}[A-Za-z0-9+/=\s]*$/.test(letters);
  if (isText) return { kind: 'voiceprint', base64: letters.replace(/\s+/g, ''), isText };
  // By its name alone it may be anything; the server says what is wrong with it.
  if (bytes[0] === OBJECT || /\.vp$/i.test(file.name)) return { kind: 'voiceprint', base64: btoa(letters), isText };
  return recording;
}

/**
 * Do something with each of many files, some at a time: one after the other takes far longer.
 * @template T, R
 * @param {T[]} list
 * @param {(one: T) => Promise<R>} read
 * @returns {AsyncGenerator<R>} The results, in order.
 */
export async function* readAll(list, read) {
  for (let at = 0; at < list.length; at += READS) yield* await Promise.all(list.slice(at, at + READS).map(read));
}

/** @param {Uint8Array} bytes Each becomes the letter of its number. */
function lettersOf(bytes) {
  let letters = '';
  for (let at = 0; at < bytes.length; at += 8192) letters += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return letters;
}
