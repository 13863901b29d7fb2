// @ts-check
/** The page: what is on it, and who tells whom. */

import { Announcer } from './announcer.js';
import { Api } from './api.js';
import { curlOf } from './curl.js';
import { DecisionForm } from './decision-form.js';
import { isSame } from './decision.js';
import { byId } from './element.js';
import { exportAs } from './export.js';
import { count, duration, percent } from './format.js';
import { drawHistogram } from './histogram.js';
import { Intake } from './intake.js';
import { Items } from './items.js';
import { Key } from './key.js';
import { Outbox } from './outbox.js';
import { patiently } from './patience.js';
import { chosen, Table } from './table.js';
import { drawTally } from './tally.js';
import { Tasks } from './tasks.js';

import { wordsOf } from './words.js';

const key = new Key();
const api = new Api(key);
const items = new Items();
const announcer = new Announcer(summary);
const decisionForm = new DecisionForm(draw);
const tasks = new Tasks(api, key, items);
const outbox = new Outbox(api, key, items, tasks, () => decisionForm.value);
const table = new Table({ remove: removeRow, retry: (item) => outbox.retry(item), copy: copyRequest });

/** What the controls over the table say. */
function wish() {
  return {
    name: /** @type {HTMLInputElement} */ (byId('filter-name')).value,
    kind: /** @type {HTMLSelectElement} */ (byId('filter-kind')).value,
    sort: /** @type {HTMLSelectElement} */ (byId('sort')).value,
  };
}

/** Let all rows be shown again. */
function showAll() {
  /** @type {HTMLInputElement} */ (byId('filter-name')).value = '';
  /** @type {HTMLSelectElement} */ (byId('filter-kind')).value = 'all';
  draw();
}

function draw() {
  const decision = decisionForm.value;
  const all = [...items.all];
  const views = all.flatMap((item) => item.views(decision));
  const shown = chosen(all, decision, wish());
  const open = all.filter((item) => item.isOpen).length;
  const parts = [count(views.length, 'result')];
  if (open) parts.push(`${open.toLocaleString('en')} under way`);
  const errors = all.filter((item) => item.state === 'error').length;
  if (errors) parts.push(`${errors.toLocaleString('en')} with an error`);
  if (shown.length < all.length) parts.push(`${shown.length.toLocaleString('en')} of ${count(all.length, 'row')} shown`);
  byId('results').hidden = !all.length;
  byId('none').hidden = shown.length > 0;
  byId('clear').textContent = `Clear all ${all.length.toLocaleString('en')}`;
  document.body.classList.toggle('has-rows', all.length > 0);
  byId('results-count').textContent = parts.join(', ');
  drawTally(byId('tally'), views);
  drawHistogram(byId('histogram'), views, decision);
  table.draw(shown, decision);
  const isChanged = all.some((item) => item.scores.length && item.decision && !isSame(item.decision, decision));
  byId('decision-note').textContent = isChanged ? RECOMPUTED : SENT;
}

const SENT = 'Both are sent with each request. The LLR is the evidence of the voice alone, and neither changes it.';
const RECOMPUTED = 'Results that were asked for with other numbers are recomputed here from their LLRs: sigmoid(LLR + logit(prior)). '
  + 'New requests are sent with these numbers.';

/** @param {import('./item.js').Item} item */
function tellEnd(item) {
  const words = item.views(decisionForm.value).map((view) => {
    if (view.probability === null) return 'unknown, no speech';
    return view.gender === 'unknown' ? 'unknown' : `${view.gender}, ${percent(view.probability)}`;
  });
  announcer.sayResult(`${item.name}: ${item.state === 'error' ? item.message : `${words.join('; ')}.`}`);
}

/** What is said instead of very many results. */
function summary() {
  const open = [...items.all].filter((item) => item.isOpen).length;
  return open ? `${count(open, 'row')} of ${items.all.size} under way.` : `All ${items.all.size} rows are done.`;
}

/** @param {import('./item.js').Item} item */
function removeRow(item) {
  outbox.remove([item]);
  announcer.say(`${item.name} was removed.`);
  byId(items.all.size ? 'results' : 'choose').focus();
}

/** @param {import('./item.js').Item} item */
async function copyRequest(item) {
  const text = curlOf(item, decisionForm.value, Object.keys(key.headers()).length > 0);
  const isCopied = await copy(text);
  announcer.say(isCopied ? 'The request was copied as curl.' : 'This browser did not let the page copy.');
  const button = document.querySelector(`tbody[data-id="${item.id}"] [data-action="copy"]`);
  if (!button) return;
  button.textContent = isCopied ? 'Copied' : 'Not copied';
  setTimeout(() => (button.textContent = 'Copy as curl'), 2000);
}

/**
 * Copy a text; the modern way is not there on a page over plain HTTP.
 * @param {string} text
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'visually-hidden';
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    if (before instanceof HTMLElement) before.focus();
    return isCopied;
  }
}

/** Learn the server's limits and defaults; without them, the page goes by the contract's. */
async function learn() {
  const info = await patiently(() => api.info(), { key, onWait: () => {} });
  outbox.limits = { ...outbox.limits, ...info.limits };
  decisionForm.preset(info.defaults);
  byId('server').append(` The server keeps results for ${duration(info.limits.task_ttl_s)} unless you remove them.`);
  byId('server').append(` This is voxgender ${info.version} with the model ${info.models.join(', ')}.`);
  draw();
}

items.onChange = draw;
items.onEnd = tellEnd;
table.onMore = draw;
for (const id of ['filter-name', 'filter-kind', 'sort']) byId(id).addEventListener('input', draw);
byId('clear').addEventListener('click', () => {
  outbox.remove([...items.all]);
  // What comes next must not be hidden by what was looked for before.
  showAll();
  announcer.say('All rows were removed.');
  byId('choose').focus();
});
byId('none-button').addEventListener('click', () => {
  showAll();
  byId('results').focus();
});
for (const button of document.querySelectorAll('[data-export]')) {
  button.addEventListener('click', async () => {
    const shown = chosen(items.all, decisionForm.value, wish());
    try {
      await exportAs(button.getAttribute('data-export') ?? 'csv', shown, decisionForm.value);
    } catch (error) {
      announcer.say(wordsOf(error));
    }
  });
}
new Intake((files, source) => {
  announcer.say(`${count(files.length, 'file')} added.`);
  outbox.take(files, source);
});
addEventListener('beforeunload', (event) => {
  if ([...items.all].some((item) => item.isHereAlone)) event.preventDefault();
});
tasks.resume();
learn().catch(() => {
  // Without an answer the contract's own limits stand; what is wrong is told beside the first row that is sent.
});
