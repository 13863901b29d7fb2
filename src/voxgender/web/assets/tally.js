// @ts-check
/** How many results were told as what, in words and as one bar. */

import { element, svg } from './element.js';
import { markPicture } from './mark.js';

const GENDERS = /** @type {const} */ (['female', 'unknown', 'male']);

/**
 * Fill an element with the tally of views.
 * @param {HTMLElement} place
 * @param {import('./item.js').View[]} views
 */
export function drawTally(place, views) {
  const bar = svg('svg', { class: 'tally-bar', viewBox: '0 0 300 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const list = element('ul', { class: 'tally-list' });
  let x = 0;
  for (const gender of GENDERS) {
    const number = views.filter((view) => view.gender === gender).length;
    const width = views.length ? (300 * number) / views.length : 0;
    if (width) bar.append(svg('rect', { class: `bar is-${gender}`, x, y: 0, width, height: 10 }));
    x += width;
    list.append(
      element('li', {}, markPicture(gender), element('strong', {}, number.toLocaleString('en')), ` ${gender}`),
    );
  }
  place.hidden = !views.length;
  place.replaceChildren(list, bar);
}
