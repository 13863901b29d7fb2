// @ts-check
/** The visitor's API key: in this tab's sessionStorage, and in the header of each request. */

import { byId } from './element.js';

const NAME = 'voxgender.key';
const REASONS = {
  'key.missing': 'Ask whoever runs it for an API key, and enter it here.',
  'key.unknown': 'It does not know the key that was sent. Enter another one.',
  'key.expired': 'The key that was sent has expired. Enter another one.',
};

export class Key {
  constructor() {
    /** @type {Promise<void> | null} */
    this._asked = null;
  }

  /** @returns {Record<string, string>} */
  headers() {
    const key = sessionStorage.getItem(NAME);
    return key ? { authorization: `Bearer ${key}` } : {};
  }

  /**
   * Return why a refusal is about the key; null where it is not.
   * @param {unknown} error
   * @returns {string | null}
   */
  reason(error) {
    const details = /** @type {import('./api.js').ApiError} */ (error).details ?? [];
    return details.map((detail) => detail.type).find((type) => type in REASONS) ?? null;
  }

  /**
   * Ask the visitor for a key, and return once there is one; whoever asks meanwhile waits for the same.
   * @param {string} reason Of {@link reason}.
   * @returns {Promise<void>}
   */
  ask(reason) {
    const section = byId('key');
    const input = /** @type {HTMLInputElement} */ (byId('key-value'));
    byId('key-reason').textContent = REASONS[/** @type {keyof typeof REASONS} */ (reason)];
    this._asked ??= new Promise((resolve) => {
      section.hidden = false;
      input.focus();
      byId('key-form').addEventListener('submit', (event) => {
        event.preventDefault();
        sessionStorage.setItem(NAME, input.value.trim());
        input.value = '';
        section.hidden = true;
        this._asked = null;
        resolve();
      }, { once: true });
    });
    return this._asked;
  }
}
