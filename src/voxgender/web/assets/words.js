// @ts-check
/** Errors in words, for the row that they concern. */

import { ApiError, NetworkError } from './api.js';
import { size } from './format.js';

/**
 * Return what went wrong and what can be done.
 * @param {unknown} error
 * @returns {string}
 */
export function wordsOf(error) {
  if (error instanceof NetworkError) return 'The server cannot be reached. Is it running, and are you online?';
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.status === 413) return tooLarge(error);
  if (error.status === 404) return 'The server does not have this task, or not for this key. Add the file again.';
  const told = error.details.map(detailWords).filter(Boolean);
  if (told.length) return told.slice(0, 3).join(' ');
  if (error.status === 507) return 'The server’s store is full. Try again later, or clear results that you no longer need.';
  if (error.status === 503) return 'The server cannot take requests now. Try again later.';
  return error.message;
}

/**
 * Return what the server says of a task that was rejected or failed.
 * @param {{message: string, detail: import('./api.js').Detail[]}} error
 * @returns {string}
 */
export function taskWords(error) {
  return error.detail?.map(detailWords).join(' ') || error.message;
}

/**
 * Return a detail of a refusal as a sentence.
 * @param {import('./api.js').Detail} detail
 */
export function detailWords(detail) {
  if (detail.type === 'key.capacity-exceeded') return 'This is more than your key has left. Ask whoever runs the server for more, or change the key.';
  if (detail.type === 'licensing.capacity-exceeded') return 'The server’s licence is used up for now.';
  // What is no voiceprint at all is said before where that showed.
  const message = detail.message.replace(/^not a voiceprint(?: of this format)?: /, 'This is no voiceprint file: ');
  return message && !/[.!?]$/.test(message) ? `${message}.` : message;
}

/** @param {ApiError} error */
function tooLarge(error) {
  const context = error.details[0]?.context ?? {};
  const most = context.max_file_size ?? context.max_body_size;
  return most ? `Too large: the server takes ${size(most)} at most.` : 'Too large for the server.';
}
