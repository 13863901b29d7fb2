// @ts-check
/** A task of the server, and the rows that it answers. */

/**
 * @typedef {import('./item.js').Item} Item
 * @typedef {import('./decision.js').Decision} Decision
 */

let last = 0;

export class Task {
  /**
   * @param {string} location Path at which it is polled.
   * @param {(Item | null)[]} items In the order of its results, null for a row that was removed; a recording is alone.
   * @param {Decision} decision The one it was asked with.
   */
  constructor(location, items, decision) {
    last += 1;
    /** Its place in the order of sending. */
    this.order = last;
    this.location = location;
    this.items = items;
    this.decision = decision;
    this.isRunning = false;
    this.polls = 0;
    this.lastPoll = 0;
    this.isForgotten = false;
    /** Rows that were not removed. */
    this.left = items.filter(Boolean).length;
    items.forEach((item, place) => {
      if (item) Object.assign(item, { task: this, place });
    });
  }

  /** The rows that are still there. @returns {Item[]} */
  get rows() {
    return /** @type {Item[]} */ (this.items.filter((item) => item !== null));
  }
}
