// @ts-check
/** The tasks of this tab on the server: followed to their end, remembered over a reload, deleted with their rows. */

import { Item, scoreOf } from './item.js';
import { remember, remembered } from './memory.js';
import { Poller } from './poller.js';
import { Queue } from './queue.js';
import { Task } from './task.js';
import { taskWords } from './words.js';

const DELETIONS = 2;
/** Thousands of tasks would otherwise be written down thousands of times. */
const REMEMBER_MS = 200;

export class Tasks {
  /**
   * @param {import('./api.js').Api} api
   * @param {import('./key.js').Key} key
   * @param {import('./items.js').Items} items
   */
  constructor(api, key, items) {
    this._api = api;
    this._items = items;
    /** @type {Set<Task>} */
    this._tasks = new Set();
    this._deletions = new Queue(DELETIONS);
    this._isToRemember = false;
    addEventListener('pagehide', () => remember(this._tasks));
    this._poller = new Poller(api, key, {
      answer: (task, answer) => this._take(task, answer),
      wait: (task, message) => task.rows.forEach((item) => items.change(item, { message })),
      failure: (task, error) => this._lose(task, error),
    });
  }

  /** Take up the tasks that this tab started before a reload. */
  resume() {
    const tasks = remembered().map((told) => {
      const { location, kind, source, names, ids, decision } = told;
      const items = names.map((name, place) => {
        if (name === null) return null;
        return Object.assign(new Item(name, null, source, ids[place] ?? undefined), { kind, decision, state: 'pending' });
      });
      return new Task(location, items, decision);
    });
    // As they were added, which is not the order of sending.
    this._items.add(tasks.flatMap((task) => task.rows).sort((one, other) => one.id - other.id));
    tasks.forEach((task) => this.follow(task));
  }

  /**
   * Follow a task until it is finished.
   * @param {Task} task
   */
  follow(task) {
    if (!task.rows.length) return this._forget(task);
    this._tasks.add(task);
    this._remember();
    this._poller.add(task);
  }

  /**
   * @param {Task} task
   * @param {any} answer
   */
  _take(task, answer) {
    const { state, progress } = answer.task;
    if (state === 'pending' || state === 'running') {
      for (const item of task.rows) this._items.change(item, { state, progress: progress ?? Number.NaN, message: '' });
    } else if (answer.error) {
      const message = taskWords(answer.error);
      const mayPass = state !== 'rejected';
      for (const item of task.rows) this._items.end(item, { state: 'error', message, mayPass });
    } else {
      task.items.forEach((item, place) => {
        if (!item) return;
        const told = answer.result.channels ?? [answer.result.voiceprints[place]];
        this._items.end(item, { state: 'done', message: '', scores: told.map(scoreOf) });
      });
    }
  }

  /**
   * @param {Task} task
   * @param {unknown} error
   */
  _lose(task, error) {
    this._tasks.delete(task);
    this._remember();
    this._items.fail(task.rows, error);
  }

  /**
   * Let go of a row; a task without rows is cancelled or deleted on the server.
   * @param {Item} item
   */
  release(item) {
    const task = item.task;
    if (!task) return;
    item.task = null;
    task.items[item.place] = null;
    task.left -= 1;
    if (task.left) this._remember();
    else this._forget(task);
  }

  /** @param {Task} task */
  _forget(task) {
    task.isForgotten = true;
    this._tasks.delete(task);
    this._remember();
    this._poller.remove(task);
    // What cannot be deleted now, the server forgets by itself after a while.
    this._deletions.run(() => this._api.remove(task.location)).catch(() => {});
  }

  /** Write down the tasks soon; when the page is left, it is done at once. */
  _remember() {
    if (this._isToRemember) return;
    this._isToRemember = true;
    setTimeout(() => {
      this._isToRemember = false;
      remember(this._tasks);
    }, REMEMBER_MS);
  }
}
