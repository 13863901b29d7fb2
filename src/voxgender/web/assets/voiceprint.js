// @ts-check
/** What a file holds: a voiceprint, as bytes or as Base64 text, or a recording. */

/** Bytes of the longest voiceprint as Base64, with room for line breaks. */
const MAX_BYTES = 64_000;
/** The marker with which an object of UBJSON begins. */
const OBJECT = '{'.charCodeAt(0);

/**
 * Return what a file is.
 * @param {File} file
 * @returns {Promise<{kind: 'recording' | 'voiceprint', isText: boolean}>}
 */
export async function sniff(file) {
  const isNamed = /\.vp$/i.test(file.name);
  if (file.size === 0 || file.size > MAX_BYTES) return { kind: 'recording', isText: false };
  const bytes = new Uint8Array(await file.slice(0, 512).arrayBuffer());
  if (bytes[0] === OBJECT) return { kind: 'voiceprint', isText: false };
  const isText = /^\s*[A-Za-z0-9+/]{16}[A-Za-z0-9+/=\s]*$/.test(String.fromCharCode(...bytes));
  return { kind: isText || isNamed ? 'voiceprint' : 'recording', isText };
}

/**
 * Return the Base64 text of a voiceprint's file.
 * @param {File} file
 * @param {boolean} isText Whether it holds such a text.
 * @returns {Promise<string>}
 */
export async function base64Of(file, isText) {
  if (isText) return (await file.text()).replace(/\s+/g, '');
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}
