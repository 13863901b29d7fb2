// @ts-check
/** When to try again: what the server says, and more and more seldom where it says nothing. */

import { ApiError, NetworkError } from './api.js';

const MAX_TRIES = 6;
const MAX_PAUSE_S = 30;
const PASSING = new Set([429, 502, 503, 504, 507]);

/**
 * Do something until it succeeds; give up where a repeat cannot help.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {object} options
 * @param {import('./key.js').Key} options.key Asked for where the server demands one.
 * @param {(message: string) => void} options.onWait Told why it waits, and nothing (`''`) when it goes on.
 * @param {AbortSignal} [options.signal]
 * @param {number} [options.maxTries] Failures after which it gives up; a rate limit's do not count.
 * @returns {Promise<T>}
 */
export async function patiently(attempt, { key, onWait, signal, maxTries = MAX_TRIES }) {
  let failures = 0;
  for (;;) {
    const sent = key.headers().authorization;
    try {
      return await attempt();
    } catch (error) {
      const reason = key.reason(error);
      if (reason) {
        // Another request may have asked for it while this one was on its way.
        if (key.headers().authorization !== sent) continue;
        onWait('Waiting for a key');
        await key.ask(reason);
      } else {
        const isLimit = error instanceof ApiError && error.status === 429;
        if (!isLimit) failures += 1;
        if (!mayPass(error) || failures >= maxTries) throw error;
        const pauseS = pause(error, failures);
        onWait(`${why(error)} Trying again in ${Math.ceil(pauseS)} s.`);
        await sleep(pauseS, signal);
      }
      onWait('');
    }
  }
}

/** @param {unknown} error */
function mayPass(error) {
  return error instanceof NetworkError || (error instanceof ApiError && PASSING.has(error.status));
}

/**
 * @param {unknown} error
 * @param {number} failures
 */
function pause(error, failures) {
  // Many rows wait at once; a little chance keeps them from coming back together.
  const jitter = 1 + 0.2 * Math.random();
  if (error instanceof ApiError && error.retryAfterS !== null) return Math.max(0.2, error.retryAfterS) * jitter;
  return Math.min(2 ** Math.max(0, failures - 1), MAX_PAUSE_S) * jitter;
}

/** @param {unknown} error */
function why(error) {
  if (error instanceof NetworkError) return 'No connection to the server.';
  const status = /** @type {ApiError} */ (error).status;
  if (status === 429) return 'The server takes no more for now.';
  return status === 507 ? 'The server’s store is full.' : 'The server is not ready.';
}

/**
 * @param {number} seconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('It was stopped.', 'AbortError'));
    });
  });
}
