// @ts-check
/** Jobs that wait for their turn; a few are done at a time. */

export class Queue {
  /** @param {number} slots Jobs at a time. */
  constructor(slots) {
    this._free = slots;
    /** @type {(() => void)[]} */
    this._waiting = [];
  }

  /**
   * Do a job when its turn has come.
   * @template T
   * @param {() => Promise<T>} job
   * @returns {Promise<T>}
   */
  async run(job) {
    if (this._free > 0) this._free -= 1;
    else await new Promise((resolve) => this._waiting.push(() => resolve(undefined)));
    try {
      return await job();
    } finally {
      const next = this._waiting.shift();
      if (next) next();
      else this._free += 1;
    }
  }
}
