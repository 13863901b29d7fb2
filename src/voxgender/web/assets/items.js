// @ts-check
/** All rows of the page, and who wants to know of a change. */

/** @typedef {import('./item.js').Item} Item */

export class Items {
  constructor() {
    /** @type {Set<Item>} */
    this.all = new Set();
    /** @type {() => void} */
    this.onChange = () => {};
    this._isTold = false;
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

  /** Tell once, however many changes there are before the next frame; a tab in the background has no frames. */
  _tell() {
    if (this._isTold) return;
    this._isTold = true;
    setTimeout(() => {
      this._isTold = false;
      this.onChange();
    }, 16);
  }
}
