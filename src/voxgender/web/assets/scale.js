// @ts-check
/** An LLR on its scale, with the band in which a voice is told as unknown. */

import { unknownBand } from './decision.js';
import { svg } from './element.js';
import { signed } from './format.js';
import { mark } from './mark.js';

const WIDTH = 280;
const EDGE = 14;
const AXIS = 30;

/**
 * Return the LLR at the right end of the scale.
 * @param {number} most Largest amount that is shown.
 */
export function scaleEnd(most) {
  return Math.max(6, Math.ceil(most));
}

/**
 * Return the chart of a result's LLR.
 * @param {import('./item.js').View & {llr: number}} view
 * @param {import('./decision.js').Decision} decision
 * @param {number} end Of {@link scaleEnd}.
 * @returns {SVGElement}
 */
export function scale(view, decision, end) {
  const x = (/** @type {number} */ llr) => {
    const held = Math.max(-end, Math.min(end, llr));
    return EDGE + ((held + end) / (2 * end)) * (WIDTH - 2 * EDGE);
  };
  const [low, high] = unknownBand(decision);
  const inside = view.llr > low && view.llr < high ? 'inside' : 'outside';
  const label = `LLR ${signed(view.llr)} on a scale from −${end}, female, to +${end}, male; ${inside} the band of unknown,
    ${signed(low)} to ${signed(high)}`.replace(/\s+/g, ' ');
  const chart = svg('svg', { class: 'scale', viewBox: `0 0 ${WIDTH} 52`, role: 'img', 'aria-label': label });
  if (high > low) {
    const band = { x: x(low), y: AXIS - 11, width: Math.max(0, x(high) - x(low)), height: 22, rx: 3 };
    chart.append(svg('rect', { class: 'band', ...band }), svg('rect', { class: 'band-hatch', ...band }));
  }
  chart.append(svg('line', { class: 'axis', x1: EDGE, x2: WIDTH - EDGE, y1: AXIS, y2: AXIS }));
  const step = end > 8 ? end / 2 : 3;
  for (let at = -Math.floor(end / step) * step; at <= end; at += step) {
    const height = at === 0 ? 7 : 4;
    chart.append(svg('line', { class: 'tick', x1: x(at), x2: x(at), y1: AXIS - height, y2: AXIS + height }));
  }
  chart.append(
    svg('text', { class: 'end', x: EDGE, y: 50 }, 'female'),
    svg('text', { class: 'end is-middle', x: x(0), y: 50 }, '0'),
    svg('text', { class: 'end is-last', x: WIDTH - EDGE, y: 50 }, 'male'),
    mark(view.gender, x(view.llr), AXIS),
    svg('text', { class: 'value', x: Math.max(34, Math.min(WIDTH - 34, x(view.llr))), y: 13 }, signed(view.llr)),
  );
  return chart;
}
