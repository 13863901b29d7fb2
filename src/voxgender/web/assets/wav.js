// @ts-check
/** WAV files: RIFF with 16-bit PCM, one channel. */

const HEAD_BYTES = 44;
const PCM = 1;

/**
 * Return a WAV file.
 * @param {Int16Array[]} blocks Samples, one block after the other.
 * @param {number} rateHz
 * @returns {Blob}
 */
export function wavOf(blocks, rateHz) {
  const bytes = 2 * blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(HEAD_BYTES + bytes));
  const text = (/** @type {number} */ at, /** @type {string} */ word) => {
    [...word].forEach((letter, place) => view.setUint8(at + place, letter.charCodeAt(0)));
  };
  text(0, 'RIFF');
  view.setUint32(4, HEAD_BYTES - 8 + bytes, true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rateHz, true);
  view.setUint32(28, 2 * rateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, 'data');
  view.setUint32(40, bytes, true);
  let at = HEAD_BYTES;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(at, sample, true);
      at += 2;
    }
  }
  return new Blob([view.buffer], { type: 'audio/wav' });
}
