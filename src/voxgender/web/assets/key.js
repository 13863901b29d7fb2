// @ts-check
/** The visitor's API key: in this tab's sessionStorage, and in the header of each request. */

import { byId } from './element.js';

const NAME = 'voxgender.key';
/** What a header can carry as a key. */
const KEY = /^[\x21-\x7e]+$/;
const REASONS = {
  'key.missing': 'Ask whoever runs it for an API key, and enter it here.',
  'key.unknown': 'It does not know the key that was sent. Enter another one.',
  'key.expired': 'The key that was sent has expired. Enter another one.',
};

export class Key {
  constructor() {
    /** @type {Promise<void> | null} */
    this._asked = null;
    this._answer = () => {};
    byId('key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this._take();
    });
    byId('key-change').addEventListener('click', () => this._open('Change the key', 'It takes the place of the one that is kept.'));
    byId('key-keep').addEventListener('click', () => this._close());
    this._showChange();
  }

  /** @returns {Record<string, string>} */
  headers() {
    const key = sessionStorage.getItem(NAME);
    if (key !== null && !KEY.test(key)) sessionStorage.removeItem(NAME);
    return key !== null && KEY.test(key) ? { authorization: `Bearer ${key}` } : {};
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
    const isNew = this._asked === null;
    this._asked ??= new Promise((resolve) => (this._answer = resolve));
    if (isNew) this._open('This server asks for a key', REASONS[/** @type {keyof typeof REASONS} */ (reason)]);
    return this._asked;
  }

  /** Keep what was entered, without what a header cannot carry: a paste brings spaces, and signs that nobody sees. */
  _take() {
    const input = /** @type {HTMLInputElement} */ (byId('key-value'));
    const key = input.value.replaceAll(/[^\x21-\x7e]/g, '');
    input.value = '';
    if (!key) {
      byId('key-reason').textContent = 'That is no key.';
      input.focus();
      return;
    }
    sessionStorage.setItem(NAME, key);
    this._asked = null;
    this._close();
    this._answer();
  }

  /**
   * @param {string} title
   * @param {string} words
   */
  _open(title, words) {
    byId('key-title').textContent = title;
    byId('key-reason').textContent = words;
    byId('key').hidden = false;
    byId('key-keep').hidden = this._asked !== null;
    byId('key-value').focus();
    this._showChange();
  }

  _close() {
    byId('key').hidden = true;
    this._showChange();
  }

  /** A key that is kept can be changed, where the page does not ask for one anyway. */
  _showChange() {
    byId('key-change').hidden = !byId('key').hidden || !this.headers().authorization;
  }
}
