// @ts-check
/** The rows that are shown: filtered, sorted, and not more than are of use. */

import { byId } from './element.js';
import { count } from './format.js';
import { Row } from './row.js';
import { scaleEnd } from './scale.js';

/** Rows drawn at first, and with each "Show more": a browser lays out thousands of charts too slowly to be of use. */
const STEP = 100;

/**
 * @typedef {import('./item.js').Item} Item
 * @typedef {import('./item.js').View} View
 * @typedef {{item: Item, views: View[]}} Shown
 */

export class Table {
  /** @param {import('./row.js').Actions} actions */
  constructor(actions) {
    this._actions = actions;
    this._table = /** @type {HTMLTableElement} */ (document.querySelector('table.rows'));
    /** @type {WeakMap<Item, Row>} */
    this._rows = new WeakMap();
    this._most = STEP;
    byId('more-button').addEventListener('click', () => {
      const before = this._most;
      this._most += STEP;
      this.onMore();
      // The button may be gone now, and what the visitor asked for begins here.
      const row = this._table.tBodies[before]?.querySelector('button');
      if (row instanceof HTMLElement) row.focus();
    });
    /** @type {() => void} Called when more rows are asked for. */
    this.onMore = () => {};
  }

  /**
   * Draw these rows in this order.
   * @param {Shown[]} shown
   * @param {import('./decision.js').Decision} decision
   */
  draw(shown, decision) {
    const seen = shown.slice(0, this._most);
    const end = scaleEnd(seen.reduce((most, { views }) => views.reduce((one, view) => Math.max(one, Math.abs(view.llr ?? 0)), most), 0));
    let place = this._table.tHead?.nextElementSibling ?? null;
    for (const { item, views } of seen) {
      let row = this._rows.get(item);
      if (!row) this._rows.set(item, (row = new Row(item, this._actions)));
      row.draw(views, decision, end);
      if (place === row.element) place = place.nextElementSibling;
      else this._table.insertBefore(row.element, place);
    }
    while (place) {
      const next = place.nextElementSibling;
      place.remove();
      place = next;
    }
    byId('more').hidden = shown.length <= seen.length;
    byId('more-text').textContent =
      `The first ${count(seen.length, 'row')} of ${shown.length.toLocaleString('en')} are drawn. The overview and exports have all.`;
  }
}

/**
 * Return the items that a filter lets through, sorted; of several channels, those that it lets through.
 * @param {Iterable<Item>} items
 * @param {import('./decision.js').Decision} decision
 * @param {{name: string, kind: string, sort: string}} wish What the controls say.
 * @returns {Shown[]}
 */
export function chosen(items, decision, wish) {
  const name = wish.name.trim().toLowerCase();
  const shown = [];
  for (const item of items) {
    if (name && !item.name.toLowerCase().includes(name)) continue;
    const views = item.views(decision).filter((view) => isOfKind(view, wish.kind));
    if (isWanted(item, views, wish.kind)) shown.push({ item, views });
  }
  const order = ORDERS[/** @type {keyof typeof ORDERS} */ (wish.sort)];
  return order ? shown.sort((one, other) => order(one, other) || one.item.id - other.item.id) : shown;
}

/**
 * @param {Item} item
 * @param {View[]} views
 * @param {string} kind
 */
function isWanted(item, views, kind) {
  if (kind === 'all') return true;
  if (kind === 'open') return item.isOpen;
  if (kind === 'error') return item.state === 'error';
  return views.length > 0;
}

/**
 * @param {View} view
 * @param {string} kind
 */
function isOfKind(view, kind) {
  return view.gender === kind || !GENDERS.has(kind);
}

const GENDERS = new Set(['female', 'male', 'unknown']);

/** Items without a value come last; of several channels, the first in that order counts. */
const ORDERS = {
  name: (/** @type {Shown} */ one, /** @type {Shown} */ other) => one.item.name.localeCompare(other.item.name, 'en', { numeric: true }),
  speech: by((view) => -view.speechS),
  sure: by((view) => (view.probability === null ? null : -view.probability)),
  unsure: by((view) => view.probability),
  male: by((view) => (view.llr === null ? null : -view.llr)),
  female: by((view) => view.llr),
};

/** @param {(view: View) => number | null} value */
function by(value) {
  const least = (/** @type {Shown} */ { views }) => views.reduce((best, view) => Math.min(best, value(view) ?? Infinity), Infinity);
  return (/** @type {Shown} */ one, /** @type {Shown} */ other) => {
    const [a, b] = [least(one), least(other)];
    return a === b ? 0 : a < b ? -1 : 1;
  };
}
