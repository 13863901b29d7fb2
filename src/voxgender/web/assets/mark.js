// @ts-check
/** The mark of a gender: a shape of its own beside its colour, so that nothing hangs on colour alone. */

import { svg } from './element.js';

/**
 * Return the mark, drawn around a point.
 * @param {import('./decision.js').Gender} gender
 * @param {number} x
 * @param {number} y
 * @returns {SVGElement}
 */
export function mark(gender, x, y) {
  const style = { class: `mark is-${gender}` };
  if (gender === 'female') return svg('circle', { ...style, cx: x, cy: y, r: 6.5 });
  const side = gender === 'male' ? 11.5 : 10;
  const turn = gender === 'male' ? 0 : 45;
  const place = { x: x - side / 2, y: y - side / 2, width: side, height: side, rx: 1.5 };
  return svg('rect', { ...style, ...place, transform: `rotate(${turn} ${x} ${y})` });
}

/**
 * Return the mark as a picture of its own, for a line of text.
 * @param {import('./decision.js').Gender} gender
 * @returns {SVGElement}
 */
export function markPicture(gender) {
  return svg('svg', { class: 'mark-picture', viewBox: '0 0 18 18', 'aria-hidden': 'true' }, mark(gender, 9, 9));
}
