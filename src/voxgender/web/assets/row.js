// @ts-check
/** One item as rows of the table: one for each channel that has a result. */

import { canCurl } from './curl.js';
import { element } from './element.js';
import { length, percent } from './format.js';
import { markPicture } from './mark.js';
import { player } from './player.js';
import { ring } from './ring.js';
import { scale } from './scale.js';

/**
 * @typedef {import('./item.js').Item} Item
 * @typedef {import('./item.js').View} View
 *
 * @typedef {object} Actions
 * @property {(item: Item) => void} remove
 * @property {(item: Item) => void} retry
 * @property {(item: Item) => void} copy
 */

export class Row {
  /**
   * @param {Item} item
   * @param {Actions} actions
   */
  constructor(item, actions) {
    this._item = item;
    this._actions = actions;
    this.element = element('tbody', { role: 'rowgroup', 'data-name': item.name, 'data-id': item.id });
    /** @type {HTMLElement | null} Kept, so that it plays on while the row is drawn again. */
    this._player = null;
    this._drawn = '';
  }

  /**
   * Draw the item as it is now, if anything has changed.
   * @param {View[]} views Its channels that are shown.
   * @param {import('./decision.js').Decision} decision
   * @param {number} end Of the scale.
   */
  draw(views, decision, end) {
    const item = this._item;
    const drawn = `${item.version} ${views.map((view) => view.channel)} ${decision.malePrior} ${decision.minProbability} ${end}`;
    if (drawn === this._drawn) return;
    this._drawn = drawn;
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    const action = focused?.getAttribute('data-action');
    this.element.dataset.state = item.state;
    const first = views.length ? this._result(views[0], decision, end) : [this._progress()];
    const rows = [element('tr', { role: 'row' }, this._name(views.length || 1), ...first, this._buttons(views.length || 1))];
    for (const view of views.slice(1)) rows.push(element('tr', { role: 'row' }, ...this._result(view, decision, end)));
    this.element.replaceChildren(...rows);
    // A row that is drawn again must not lose the keyboard's place.
    if (action) /** @type {HTMLElement | null} */ (this.element.querySelector(`[data-action="${action}"]`))?.focus();
    else if (focused instanceof HTMLElement && this.element.contains(focused)) focused.focus();
  }

  /** @param {number} rows */
  _name(rows) {
    const item = this._item;
    const cell = element('th', { role: 'rowheader', scope: 'rowgroup', rowspan: rows, class: 'cell-name' },
      element('span', { class: 'name' }, item.name));
    if (item.source === 'samples') cell.append(element('span', { class: 'hint' }, 'Sample, synthesised'));
    else if (item.kind === 'voiceprint') cell.append(element('span', { class: 'hint' }, 'Voiceprint'));
    if (item.kind === 'recording' && item.file && item.state !== 'error') {
      this._player ??= player(item.file, item.name);
      cell.append(this._player);
    }
    return cell;
  }

  /** What is told while there is no result. */
  _progress() {
    const { state, message, progress, name } = this._item;
    const cell = element('td', { role: 'cell', colspan: state === 'error' ? 2 : 3, class: 'cell-progress' });
    if (state === 'error') {
      cell.append(element('p', { class: 'problem' }, message || 'It did not work.'));
      return cell;
    }
    if (message) {
      // Nothing moves while it waits.
      cell.append(element('span', { class: 'state' }, message));
      return cell;
    }
    const isKnown = Number.isFinite(progress);
    const words = WORDS[state] + (isKnown ? ` ${Math.floor(100 * progress)} %` : '');
    cell.append(element('span', { class: 'state' }, words));
    if (state === 'sending' || state === 'running') {
      cell.append(element('progress', { max: 1, value: isKnown ? progress : undefined, 'aria-label': `${WORDS[state]}: ${name}` }));
    }
    return cell;
  }

  /**
   * @param {View} view
   * @param {import('./decision.js').Decision} decision
   * @param {number} end
   */
  _result(view, decision, end) {
    const isMany = this._item.scores.length > 1;
    const speech = element('td', { role: 'cell', class: 'cell-speech' });
    if (isMany) speech.append(element('span', { class: 'channel' }, `Channel ${view.channel}`));
    speech.append(element('span', { class: 'amount' }, length(view.speechS)), element('span', { class: 'of' }, ' of speech'));
    const words = element('span', { class: 'verdict' },
      element('strong', {}, markPicture(view.gender), capital(view.gender)),
      element('span', { class: 'hint' }, because(view, decision)));
    const chart = view.llr === null
      ? element('span', { class: 'hint' }, 'No LLR')
      : scale({ ...view, llr: view.llr }, decision, end);
    return [
      speech,
      element('td', { role: 'cell', class: 'cell-gender' }, element('div', { class: 'gender' }, ring(view), words)),
      element('td', { role: 'cell', class: 'cell-scale' }, chart),
    ];
  }

  /** @param {number} rows */
  _buttons(rows) {
    const item = this._item;
    // An error has no chart: its buttons have that place, side by side.
    const cell = element('td', { role: 'cell', rowspan: rows, colspan: item.state === 'error' ? 2 : 1, class: 'cell-actions' });
    const add = (/** @type {keyof Actions} */ action, /** @type {string} */ label) => {
      const button = element('button', { type: 'button', class: 'quiet', 'data-action': action, 'aria-label': `${label}: ${item.name}` }, label);
      button.addEventListener('click', () => this._actions[action](item));
      cell.append(button);
    };
    if (item.state === 'error' && item.file && item.mayPass) add('retry', 'Try again');
    if (canCurl(item)) add('copy', 'Copy as curl');
    add('remove', item.isOpen ? 'Cancel' : 'Remove');
    return cell;
  }
}

const WORDS = {
  reading: 'Reading',
  waiting: 'Waiting for its turn',
  sending: 'Sending',
  pending: 'Waiting for the server',
  running: 'Listening',
  done: 'Done',
  error: 'Error',
};

/** Under it, a gender is little better than a guess: one answer in four or more is wrong. */
const SURE = 0.75;

/**
 * Return what a gender rests on.
 * @param {View} view
 * @param {import('./decision.js').Decision} decision
 */
function because(view, decision) {
  if (view.probability === null) return 'no speech was found';
  if (view.gender !== 'unknown') return percent(view.probability) + (view.probability < SURE ? ', barely' : '');
  if (view.likelier === 'unknown') return 'both as likely';
  return `${view.likelier} ${percent(view.probability)}, under ${Number((100 * decision.minProbability).toFixed(1))} %`;
}

/** @param {string} word */
function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}
