// @ts-check
/** Says what has happened to whoever listens instead of looks; many results at once in one sentence. */

import { byId } from './element.js';

const PAUSE_MS = 800;
const MOST = 3;

export class Announcer {
  /** @param {() => string} summary Returns what is said instead of very many results. */
  constructor(summary) {
    this._summary = summary;
    /** @type {string[]} */
    this._words = [];
    /** @type {string[]} */
    this._results = [];
    this._isWaiting = false;
  }

  /** @param {string} words What the visitor has just done, in one sentence. */
  say(words) {
    this._words.push(words);
    this._speakSoon();
  }

  /** @param {string} words What has become of a row, in one sentence. */
  sayResult(words) {
    this._results.push(words);
    this._speakSoon();
  }

  _speakSoon() {
    if (this._isWaiting) return;
    this._isWaiting = true;
    setTimeout(() => {
      const results = this._results.length > MOST ? [this._summary()] : this._results;
      byId('live').textContent = [...this._words, ...results].join(' ');
      this._words = [];
      this._results = [];
      this._isWaiting = false;
    }, PAUSE_MS);
  }
}
