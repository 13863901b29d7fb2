// @ts-check
/** From files to tasks: what is sent when, and in how many requests. */

import { ApiError, RECORDINGS, VOICEPRINTS } from './api.js';
import { size } from './format.js';
import { Item } from './item.js';
import { patiently } from './patience.js';
import { Queue } from './queue.js';
import { Task } from './task.js';
import { contentOf, readAll } from './voiceprint.js';
import { detailWords } from './words.js';

/** Uploads at a time; the others wait. */
const UPLOADS = 2;
/** Bytes of a request besides its voiceprints. */
const SPARE_BYTES = 1024;

/** @typedef {import('./decision.js').Decision} Decision */

export class Outbox {
  /**
   * @param {import('./api.js').Api} api
   * @param {import('./key.js').Key} key
   * @param {import('./items.js').Items} items
   * @param {import('./tasks.js').Tasks} tasks
   * @param {() => Decision} decision Returns what the controls say.
   */
  constructor(api, key, items, tasks, decision) {
    this._api = api;
    this._key = key;
    this._items = items;
    this._tasks = tasks;
    this._decision = decision;
    this._uploads = new Queue(UPLOADS);
    /** @type {Map<Item, AbortController>} */
    this._aborts = new Map();
    /** The server's, once it has told them. */
    this.limits = { max_voiceprints: 50_000, max_body_bytes: 128 * 1024 ** 2, max_file_bytes: Infinity };
  }

  /**
   * Take files: each is a row at once.
   * @param {File[]} files
   * @param {import('./item.js').Source} source
   */
  async take(files, source) {
    const items = files.map((file) => new Item(file.name, file, source));
    this._items.add(items);
    await this._sort(items);
  }

  /**
   * Send a row again.
   * @param {Item} item
   */
  async retry(item) {
    this._tasks.release(item);
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
      this._tasks.release(item);
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
      this._items.end(item, { state: 'error', message: 'This browser cannot read the file. Has it been moved or changed?' });
      return null;
    }
  }

  /** @param {Item} item */
  async _sendRecording(item) {
    if (!this._items.all.has(item)) return;
    const file = /** @type {File} */ (item.file);
    const most = this.limits.max_file_bytes;
    if (file.size === 0) return this._items.end(item, { state: 'error', message: 'The file is empty.', mayPass: false });
    if (file.size > most) {
      const message = `Too large: it has ${size(file.size)}, and the server takes ${size(most)} at most.`;
      return this._items.end(item, { state: 'error', message, mayPass: false });
    }
    const form = new FormData();
    form.append('file', file, file.name);
    try {
      await this._start(RECORDINGS, form, undefined, [item]);
    } catch (error) {
      this._items.fail([item], error);
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
        if (!wrong.size) return void this._items.fail(rows, error);
        for (const [place, message] of wrong) this._items.end(rows[place], { state: 'error', message, mayPass: false });
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
      this._tasks.follow(task);
    } finally {
      if (rows.length === 1) this._aborts.delete(rows[0]);
    }
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
  for (const detail of error.details) {
    const { location } = detail;
    if (location[0] === 'body' && location[1] === 'voiceprints' && typeof location[2] === 'number') {
      wrong.set(location[2], detailWords(detail));
    }
  }
  return wrong;
}

/** A key for one request; crypto.randomUUID is not there on a page over plain HTTP. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
