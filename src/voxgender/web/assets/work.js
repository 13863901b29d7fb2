// @ts-check
/** From files to results: what is sent when, and what becomes of it. */

import { ApiError, RECORDINGS, VOICEPRINTS } from './api.js';
import { size } from './format.js';
import { Item, scoreOf } from './item.js';
import { remember, remembered } from './memory.js';
import { patiently } from './patience.js';
import { Poller } from './poller.js';
import { Queue } from './queue.js';
import { Task } from './task.js';
import { contentOf, readAll } from './voiceprint.js';
import { taskWords, wordsOf } from './words.js';

/** Uploads at a time; the others wait. */
const UPLOADS = 2;
const DELETIONS = 2;
/** Thousands of tasks would otherwise be written down thousands of times. */
const REMEMBER_MS = 200;
/** Bytes of a request besides its voiceprints. */
const SPARE_BYTES = 1024;

/** @typedef {import('./decision.js').Decision} Decision */

export class Work {
  /**
   * @param {import('./api.js').Api} api
   * @param {import('./key.js').Key} key
   * @param {import('./items.js').Items} items
   * @param {() => Decision} decision Returns what the controls say.
   * @param {(item: Item) => void} onEnd Told of each row that has ended, well or not.
   */
  constructor(api, key, items, decision, onEnd) {
    this._api = api;
    this._key = key;
    this._items = items;
    this._decision = decision;
    this._onEnd = onEnd;
    this._uploads = new Queue(UPLOADS);
    this._deletions = new Queue(DELETIONS);
    this._isToRemember = false;
    addEventListener('pagehide', () => remember(this._tasks));
    /** @type {Set<Task>} */
    this._tasks = new Set();
    /** @type {Map<Item, AbortController>} */
    this._aborts = new Map();
    /** The server's, once it has told them. */
    this.limits = { max_voiceprints: 50_000, max_body_bytes: 128 * 1024 ** 2, max_file_bytes: Infinity };
    this._poller = new Poller(api, key, {
      answer: (task, answer) => this._take(task, answer),
      wait: (task, message) => task.rows.forEach((item) => this._items.change(item, { message })),
      failure: (task, error) => this._lose(task, error),
    });
  }

  /**
   * Take files: each is a row at once.
   * @param {File[]} files
   * @param {boolean} [areSamples] Whether the page brought them.
   */
  async take(files, areSamples = false) {
    const items = files.map((file) => Object.assign(new Item(file.name, file), { isSample: areSamples }));
    this._items.add(items);
    await this._sort(items);
  }

  /**
   * Send a row again.
   * @param {Item} item
   */
  async retry(item) {
    this._forgetRow(item);
    this._items.change(item, { state: 'reading', message: '', scores: [], progress: Number.NaN });
    await this._sort([item]);
  }

  /**
   * Remove rows; what runs for them on the server is cancelled, and their results are deleted there.
   * @param {Item[]} items
   */
  remove(items) {
    for (const item of items) {
      this._items.remove(item);
      this._aborts.get(item)?.abort();
      this._forgetRow(item);
    }
    this._remember();
  }

  /** Take up the tasks that this tab started before a reload. */
  resume() {
    for (const told of remembered()) {
      const items = told.names.map((name) => {
        return name === null ? null : Object.assign(new Item(name, null), { kind: told.kind, state: 'pending' });
      });
      const task = new Task(told.location, items, told.decision);
      for (const item of task.rows) item.decision = told.decision;
      this._items.add(task.rows);
      this._follow(task);
    }
  }

  /**
   * Look what each file is, and send it.
   * @param {Item[]} items
   */
  async _sort(items) {
    /** @type {Item[]} */
    const voiceprints = [];
    for await (const item of readAll(items, (item) => this._look(item))) {
      if (item?.kind === 'voiceprint') voiceprints.push(item);
      else if (item) this._uploads.run(() => this._sendRecording(item));
    }
    if (voiceprints.length) this._sendVoiceprints(voiceprints);
  }

  /**
   * Look what a file is; return its row, or null where there is nothing to send.
   * @param {Item} item
   */
  async _look(item) {
    try {
      const content = await contentOf(/** @type {File} */ (item.file));
      this._items.change(item, { ...content, state: 'waiting' });
      return this._items.all.has(item) ? item : null;
    } catch {
      this._end(item, { state: 'error', message: 'This browser cannot read the file. Has it been moved or changed?' });
      return null;
    }
  }

  /** @param {Item} item */
  async _sendRecording(item) {
    if (!this._items.all.has(item)) return;
    const file = /** @type {File} */ (item.file);
    const most = this.limits.max_file_bytes;
    if (file.size === 0) return this._end(item, { state: 'error', message: 'The file is empty.' });
    if (file.size > most) {
      const message = `Too large: it has ${size(file.size)}, and the server takes ${size(most)} at most.`;
      return this._end(item, { state: 'error', message });
    }
    const form = new FormData();
    form.append('file', file, file.name);
    try {
      await this._start(RECORDINGS, form, undefined, [item]);
    } catch (error) {
      this._fail([item], error);
    }
  }

  /**
   * Send voiceprints in as few requests as the server's limits allow.
   * @param {Item[]} items
   */
  _sendVoiceprints(items) {
    const send = (/** @type {Item[]} */ batch) => this._uploads.run(() => this._sendBatch(batch));
    let batch = /** @type {Item[]} */ ([]);
    let bytes = SPARE_BYTES;
    for (const item of items) {
      const more = item.base64.length + 3;
      if (batch.length && (batch.length >= this.limits.max_voiceprints || bytes + more > this.limits.max_body_bytes)) {
        send(batch);
        [batch, bytes] = [[], SPARE_BYTES];
      }
      batch.push(item);
      bytes += more;
    }
    send(batch);
  }

  /**
   * Send voiceprints together. The server takes all or none, and names those that are wrong: they are told so, and the
   * others are sent without them.
   * @param {Item[]} items
   */
  async _sendBatch(items) {
    let rows = items;
    for (;;) {
      rows = rows.filter((item) => this._items.all.has(item));
      if (!rows.length) return;
      const body = JSON.stringify({ voiceprints: rows.map((item) => item.base64) });
      try {
        await this._start(VOICEPRINTS, body, 'application/json', rows);
        return;
      } catch (error) {
        const wrong = wrongPlaces(error);
        if (!wrong.size) return void this._fail(rows, error);
        for (const [place, message] of wrong) this._end(rows[place], { state: 'error', message });
        rows = rows.filter((_, place) => !wrong.has(place));
      }
    }
  }

  /**
   * Start a task for rows and follow it.
   * @param {string} path
   * @param {XMLHttpRequestBodyInit} body
   * @param {string | undefined} contentType
   * @param {Item[]} rows
   */
  async _start(path, body, contentType, rows) {
    const decision = this._decision();
    const query = `?min_probability=${decision.minProbability}&male_prior=${decision.malePrior}`;
    const abort = new AbortController();
    const idempotencyKey = newKey();
    const tell = (/** @type {Partial<Item>} */ values) => rows.forEach((item) => this._items.change(item, values));
    // Voiceprints of one request share its upload: it ends only when all of them are gone.
    if (rows.length === 1) this._aborts.set(rows[0], abort);
    tell({ state: 'sending', progress: 0, message: '', decision });
    try {
      const onProgress = (/** @type {number} */ progress) => tell({ progress });
      const options = { contentType, idempotencyKey, onProgress, signal: abort.signal };
      const location = await patiently(() => this._api.start(path + query, body, options), {
        key: this._key,
        onWait: (message) => tell({ message, progress: Number.NaN }),
        signal: abort.signal,
      });
      const kept = rows.map((item) => (this._items.all.has(item) ? item : null));
      const task = new Task(location, kept, decision);
      tell({ state: 'pending', progress: Number.NaN, message: '' });
      this._follow(task);
    } finally {
      if (rows.length === 1) this._aborts.delete(rows[0]);
    }
  }

  /** @param {Task} task */
  _follow(task) {
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
      for (const item of task.rows) this._end(item, { state: 'error', message });
    } else {
      task.items.forEach((item, place) => {
        if (!item) return;
        const told = answer.result.channels ?? [answer.result.voiceprints[place]];
        this._end(item, { state: 'done', message: '', scores: told.map(scoreOf) });
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
    this._fail(task.rows, error);
  }

  /**
   * @param {Item[]} items
   * @param {unknown} error
   */
  _fail(items, error) {
    if (error instanceof DOMException && error.name === 'AbortError') return;
    const message = wordsOf(error);
    for (const item of items) this._end(item, { state: 'error', message });
  }

  /**
   * @param {Item} item
   * @param {Partial<Item>} values
   */
  _end(item, values) {
    if (!this._items.all.has(item)) return;
    this._items.change(item, values);
    this._onEnd(item);
  }

  /** @param {Item} item */
  _forgetRow(item) {
    const task = item.task;
    if (!task) return;
    item.task = null;
    task.items[item.place] = null;
    task.left -= 1;
    if (!task.left) this._forget(task);
  }

  /** @param {Task} task */
  _forget(task) {
    task.isForgotten = true;
    this._tasks.delete(task);
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

/**
 * Return what is wrong with voiceprints of a request, by their places; nothing where the refusal is not about them.
 * @param {unknown} error
 * @returns {Map<number, string>}
 */
function wrongPlaces(error) {
  const wrong = new Map();
  if (!(error instanceof ApiError) || error.status !== 422) return wrong;
  for (const { location, message } of error.details) {
    if (location[0] === 'body' && location[1] === 'voiceprints' && typeof location[2] === 'number') {
      wrong.set(location[2], message);
    }
  }
  return wrong;
}

/** A key for one request; crypto.randomUUID is not there on a page over plain HTTP. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
