// @ts-check
/** How many results lie where on the scale of LLRs, as bars and as a table. */

import { unknownBand } from './decision.js';
import { element, svg } from './element.js';
import { count, signed } from './format.js';
import { scaleEnd } from './scale.js';

/** Fewer results are seen one by one. */
export const MIN_RESULTS = 5;

const WIDTH = 460;
const HEIGHT = 132;
const EDGE = 12;
const FLOOR = 104;
const TOP = 16;
const BINS = 24;
const GENDERS = /** @type {const} */ (['female', 'unknown', 'male']);

/**
 * Fill a figure with the histogram of views.
 * @param {HTMLElement} figure
 * @param {import('./item.js').View[]} views
 * @param {import('./decision.js').Decision} decision
 */
export function drawHistogram(figure, views, decision) {
  const heard = /** @type {(import('./item.js').View & {llr: number})[]} */ (views.filter((view) => view.llr !== null));
  figure.hidden = heard.length < MIN_RESULTS;
  if (figure.hidden) return;
  const end = scaleEnd(heard.reduce((most, view) => Math.max(most, Math.abs(view.llr)), 0));
  const bins = Array.from({ length: BINS }, (_, at) => ({
    from: -end + (at * 2 * end) / BINS,
    to: -end + ((at + 1) * 2 * end) / BINS,
    female: 0,
    unknown: 0,
    male: 0,
  }));
  for (const view of heard) {
    const at = Math.floor(((view.llr + end) / (2 * end)) * BINS);
    bins[Math.max(0, Math.min(BINS - 1, at))][view.gender] += 1;
  }
  // What is open stays open when the figure is drawn again.
  const isOpen = figure.querySelector('details')?.open ?? false;
  figure.replaceChildren(
    element('figcaption', {}, `LLRs of ${count(heard.length, 'result')}`),
    bars(bins, end, decision, heard.length),
    element('details', { open: isOpen }, element('summary', {}, 'The same as a table'), table(bins)),
  );
}

/**
 * @typedef {{from: number, to: number, female: number, unknown: number, male: number}} Bin
 * @param {Bin[]} bins
 * @param {number} end
 * @param {import('./decision.js').Decision} decision
 * @param {number} total
 */
function bars(bins, end, decision, total) {
  const x = (/** @type {number} */ llr) => {
    return EDGE + ((Math.max(-end, Math.min(end, llr)) + end) / (2 * end)) * (WIDTH - 2 * EDGE);
  };
  const most = Math.max(...bins.map(sum));
  const highest = bins.find((bin) => sum(bin) === most);
  const [low, high] = unknownBand(decision);
  const counts = GENDERS.map((gender) => `${bins.reduce((all, bin) => all + bin[gender], 0)} ${gender}`).join(', ');
  const label = `Histogram of ${total} LLRs from −${end} to +${end}: ${counts}. The table below has the numbers.`;
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label });
  if (high > low) {
    const band = { x: x(low), y: TOP, width: Math.max(0, x(high) - x(low)), height: FLOOR - TOP };
    chart.append(svg('rect', { class: 'band', ...band }), svg('rect', { class: 'band-hatch', ...band }));
  }
  for (const bin of bins) {
    let y = FLOOR;
    for (const gender of GENDERS) {
      const height = (bin[gender] / most) * (FLOOR - TOP);
      y -= height;
      const width = x(bin.to) - x(bin.from) - 2;
      if (height) chart.append(svg('rect', { class: `bar is-${gender}`, x: x(bin.from) + 1, y, width, height, rx: 2 }));
    }
    if (bin === highest && most > 1) {
      chart.append(svg('text', { class: 'value', x: x((bin.from + bin.to) / 2), y: TOP - 5 }, `${most}`));
    }
  }
  chart.append(svg('line', { class: 'axis', x1: EDGE, x2: WIDTH - EDGE, y1: FLOOR, y2: FLOOR }));
  for (const at of [-end, -end / 2, 0, end / 2, end]) {
    const place = at === -end ? ' is-first' : at === end ? ' is-last' : ' is-middle';
    const words = at === -end ? `−${end} female` : at === end ? `male +${end}` : at === 0 ? '0' : signed(at).replace('.00', '');
    chart.append(
      svg('line', { class: 'tick', x1: x(at), x2: x(at), y1: FLOOR, y2: FLOOR + 4 }),
      svg('text', { class: `end${place}`, x: x(at), y: FLOOR + 18 }, words),
    );
  }
  return chart;
}

/** @param {Bin[]} bins */
function table(bins) {
  const head = element('tr', {}, ...['LLR', ...GENDERS].map((name) => element('th', { scope: 'col' }, name)));
  const rows = bins.filter(sum).map((bin) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, `${signed(bin.from)} to ${signed(bin.to)}`),
      ...GENDERS.map((gender) => element('td', {}, `${bin[gender]}`)),
    ),
  );
  return element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows));
}

/** @param {Bin} bin */
function sum(bin) {
  return bin.female + bin.unknown + bin.male;
}
