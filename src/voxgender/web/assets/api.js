// @ts-check
/** The public REST API, as this page uses it. */

export const RECORDINGS = '/api/technology/gender-identification';
export const VOICEPRINTS = '/api/technology/gender-identification-voiceprints';

/**
 * @typedef {object} Detail
 * @property {(string | number)[]} location
 * @property {string} message
 * @property {string} type
 * @property {Record<string, any>} context
 */

/** The server's refusal. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {any} body The error body of the contract, or anything else.
   * @param {number | null} retryAfterS Seconds after which to ask again, where the server tells.
   */
  constructor(status, body, retryAfterS) {
    super(body?.message || `The server answered with status ${status}.`);
    this.status = status;
    /** @type {Detail[]} */
    this.details = Array.isArray(body?.detail) ? body.detail : [];
    this.retryAfterS = retryAfterS;
  }
}

/** No answer came. */
export class NetworkError extends Error {}

export class Api {
  /** @param {import('./key.js').Key} key */
  constructor(key) {
    this._key = key;
  }

  /**
   * Return what the server tells of itself: version, models, limits, defaults.
   * @returns {Promise<any>}
   */
  async info() {
    return (await this._fetch('/api/system/info')).json();
  }

  /**
   * Poll a task.
   * @param {string} location
   * @param {number} waitS Seconds that the server may wait for its end.
   * @returns {Promise<any>}
   */
  async poll(location, waitS) {
    return (await this._fetch(location, { headers: { prefer: `wait=${waitS}` } })).json();
  }

  /**
   * Delete a task: cancel it, or forget its result.
   * @param {string} location
   */
  async remove(location) {
    await this._fetch(location, { method: 'DELETE', keepalive: true });
  }

  /**
   * Start a task. It is an XMLHttpRequest because fetch does not tell how much has been sent.
   * @param {string} path
   * @param {XMLHttpRequestBodyInit} body
   * @param {object} options
   * @param {string} [options.contentType] A form has its own.
   * @param {string} options.idempotencyKey With the same one, a repeat starts no second task.
   * @param {(progress: number) => void} options.onProgress Told 0 to 1 while the body is sent.
   * @param {AbortSignal} options.signal
   * @returns {Promise<string>} Where to poll it.
   */
  start(path, body, { contentType, idempotencyKey, onProgress, signal }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('POST', path);
      request.responseType = 'text';
      for (const [name, value] of Object.entries(this._key.headers())) request.setRequestHeader(name, value);
      if (contentType) request.setRequestHeader('content-type', contentType);
      request.setRequestHeader('idempotency-key', idempotencyKey);
      request.upload.addEventListener('progress', (event) => {
        if (event.lengthComputable) onProgress(event.loaded / event.total);
      });
      request.addEventListener('load', () => {
        const location = request.getResponseHeader('location');
        if (request.status === 202 && location) resolve(location);
        else reject(refusal(request.status, request.responseText, request.getResponseHeader('retry-after')));
      });
      request.addEventListener('error', () => reject(new NetworkError('The server cannot be reached.')));
      request.addEventListener('abort', () => reject(new DOMException('The upload was stopped.', 'AbortError')));
      signal.addEventListener('abort', () => request.abort());
      request.send(body);
    });
  }

  /**
   * @param {string} path
   * @param {RequestInit} [options]
   */
  async _fetch(path, options = {}) {
    let response;
    let text = '';
    try {
      response = await fetch(path, { ...options, headers: { ...options.headers, ...this._key.headers() } });
      if (!response.ok) text = await response.text();
    } catch {
      throw new NetworkError('The server cannot be reached.');
    }
    if (!response.ok) throw refusal(response.status, text, response.headers.get('retry-after'));
    return response;
  }
}

/**
 * @param {number} status
 * @param {string} text
 * @param {string | null} retryAfter
 */
function refusal(status, text, retryAfter) {
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // What is no JSON does not come from the service itself, but from something on the way; its status must do.
  }
  const seconds = Number(retryAfter);
  return new ApiError(status, body, retryAfter !== null && seconds >= 0 ? seconds : null);
}
