// @ts-check
/**
 * A probability as a ring. This and the other charts are plain SVG: a few shapes need no library, their texts stay texts
 * for screen readers, and the page's Content-Security-Policy needs no exception.
 */

import { svg } from './element.js';
import { percent } from './format.js';

const RADIUS = 20;
const AROUND = 2 * Math.PI * RADIUS;

/**
 * Return the chart of a result's probability.
 * @param {import('./item.js').View} view
 * @returns {SVGElement}
 */
export function ring(view) {
  const told = view.probability === null ? 'No probability' : `${view.likelier} ${percent(view.probability)}`;
  const chart = svg('svg', { class: `ring is-${view.gender}`, viewBox: '0 0 48 48', role: 'img', 'aria-label': told });
  chart.append(svg('circle', { class: 'ring-track', cx: 24, cy: 24, r: RADIUS }));
  if (view.probability === null) {
    chart.append(svg('text', { x: 24, y: 28.5 }, '–'));
    return chart;
  }
  const length = AROUND * view.probability;
  chart.append(
    svg('circle', {
      class: 'ring-value',
      cx: 24,
      cy: 24,
      r: RADIUS,
      'stroke-dasharray': `${length.toFixed(2)} ${(AROUND - length).toFixed(2)}`,
      transform: 'rotate(-90 24 24)',
    }),
    // Never 100: no voice is that sure.
    svg('text', { x: 24, y: 28.5 }, `${Math.min(99, Math.round(100 * view.probability))}`),
  );
  return chart;
}
