// @ts-check
/** All rows of the page, and who wants to know of a change. */

import { ApiError } from './api.js';
import { wordsOf } from './words.js';

/** @typedef {import('./item.js').Item} Item */

export class Items {
  constructor() {
    /** @type {Set<Item>} */
    this.all = new Set();
    /** @type {() => void} */
    this.onChange = () => {};
    /** @type {(item: Item) => void} Told of each row that has ended, well or not. */
    this.onEnd = () => {};
    this._isTold = false;
    this._pauseMs = PAUSE_MS;
  }

  /** @param {Item[]} items */
  add(items) {
    for (const item of items) this.all.add(item);
    this._tell();
  }

  /** @param {Item} item */
  remove(item) {
    this.all.delete(item);
    this._tell();
  }

  /**
   * Change an item and have it drawn.
   * @param {Item} item
   * @param {Partial<Item>} values
   */
  change(item, values) {
    Object.assign(item, values);
    item.version += 1;
    this._tell();
  }

  /**
   * Change an item for the last time, unless it was removed meanwhile.
   * @param {Item} item
   * @param {Partial<Item>} values
   */
  end(item, values) {
    if (!this.all.has(item)) return;
    this.change(item, values);
    this.onEnd(item);
  }

  /**
   * End items with an error; what was stopped on purpose is none.
   * @param {Item[]} items
   * @param {unknown} error
   */
  fail(items, error) {
    if (error instanceof DOMException && error.name === 'AbortError') return;
    const message = wordsOf(error);
    const mayPass = !(error instanceof ApiError && HOPELESS.has(error.status));
    for (const item of items) this.end(item, { state: 'error', message, mayPass });
  }

  /**
   * Tell once of many changes. Not by requestAnimationFrame, which stops in the background; and the longer the last
   * drawing took, the longer the work in between goes on undisturbed.
   */
  _tell() {
    if (this._isTold) return;
    this._isTold = true;
    setTimeout(() => {
      const began = performance.now();
      this._isTold = false;
      this.onChange();
      this._pauseMs = Math.max(PAUSE_MS, 4 * (performance.now() - began));
    }, this._pauseMs);
  }
}

const PAUSE_MS = 16;
/** Refusals of what was sent, which the same will meet again. */
const HOPELESS = new Set([413, 422]);
