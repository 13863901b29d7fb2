// @ts-check
/** Says what has happened to whoever listens instead of looks; many things at once in one sentence. */

import { byId } from './element.js';

const PAUSE_MS = 800;
const MOST = 3;

export class Announcer {
  constructor() {
    /** @type {string[]} */
    this._words = [];
    this._isWaiting = false;
    this._summary = () => this._words.slice(-MOST).join(' ');
  }

  /**
   * @param {string} words One sentence.
   * @param {() => string} [summary] What is said instead of very many such sentences.
   */
  say(words, summary) {
    this._words.push(words);
    this._summary = summary ?? this._summary;
    if (this._isWaiting) return;
    this._isWaiting = true;
    setTimeout(() => {
      byId('live').textContent = this._words.length > MOST ? this._summary() : this._words.join(' ');
      this._words = [];
      this._isWaiting = false;
    }, PAUSE_MS);
  }
}
