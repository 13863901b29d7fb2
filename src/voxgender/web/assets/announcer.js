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
  }

  /**
   * @param {string} words One sentence.
   * @param {() => string} summary What is said instead of very many.
   */
  say(words, summary = () => words) {
    this._words.push(words);
    if (this._isWaiting) return;
    this._isWaiting = true;
    setTimeout(() => {
      byId('live').textContent = this._words.length > MOST ? summary() : this._words.join(' ');
      this._words = [];
      this._isWaiting = false;
    }, PAUSE_MS);
  }
}
