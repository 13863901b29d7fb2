// @ts-check
/**
 * Asks for tasks until they are finished.
 *
 * A browser opens six connections to a server, and a poll that waits holds one; so three polls at most are under way,
 * whatever the number of tasks. Those that run come first; of the others, the first sent, because the server works in
 * that order; each poll in vain moves a task back a little, so that none keeps the rest waiting.
 */

import { patiently } from './patience.js';

const SLOTS = 3;
const LONG_WAIT_S = 2;
const SHORT_WAIT_S = 1;

/** @typedef {import('./task.js').Task} Task */

export class Poller {
  /**
   * @param {import('./api.js').Api} api
   * @param {import('./key.js').Key} key
   * @param {object} on
   * @param {(task: Task, answer: any) => void} on.answer Told of each answer.
   * @param {(task: Task, message: string) => void} on.wait Told why a poll has to wait.
   * @param {(task: Task, error: unknown) => void} on.failure Told that no answer will come.
   */
  constructor(api, key, on) {
    this._api = api;
    this._key = key;
    this._on = on;
    /** @type {Task[]} */
    this._tasks = [];
    this._polling = 0;
  }

  /** @param {Task} task */
  add(task) {
    this._tasks.push(task);
    this._next();
  }

  /** @param {Task} task */
  remove(task) {
    this._tasks = this._tasks.filter((one) => one !== task);
  }

  _next() {
    while (this._polling < SLOTS && this._tasks.length) {
      const task = this._tasks.reduce((best, one) => (isBefore(one, best) ? one : best));
      this.remove(task);
      this._poll(task);
    }
  }

  /** @param {Task} task */
  async _poll(task) {
    this._polling += 1;
    const waitS = this._tasks.length ? SHORT_WAIT_S : LONG_WAIT_S;
    try {
      const answer = await patiently(() => this._api.poll(task.location, waitS), {
        key: this._key,
        onWait: (message) => this._on.wait(task, message),
        maxTries: Infinity,
      });
      task.polls += 1;
      task.lastPoll = performance.now();
      task.isRunning = answer.task.state === 'running';
      const isOpen = task.isRunning || answer.task.state === 'pending';
      if (isOpen && !task.isForgotten) this._tasks.push(task);
      this._on.answer(task, answer);
    } catch (error) {
      this._on.failure(task, error);
    } finally {
      this._polling -= 1;
      this._next();
    }
  }
}

/**
 * @param {Task} one
 * @param {Task} other
 */
function isBefore(one, other) {
  if (one.isRunning !== other.isRunning) return one.isRunning;
  if (one.isRunning) return one.lastPoll < other.lastPoll;
  return one.order + SLOTS * one.polls < other.order + SLOTS * other.polls;
}
