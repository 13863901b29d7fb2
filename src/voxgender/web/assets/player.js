// @ts-check
/** Plays the file of a row, from the browser's memory. */

import { element, svg } from './element.js';
import { clock } from './format.js';

/** @type {HTMLAudioElement | null} */
let playing = null;

/**
 * Return a player: a button, a slider for the place, the time.
 * @param {File} file
 * @param {string} name
 * @returns {HTMLElement}
 */
export function player(file, name) {
  const icon = svg('path', { d: PLAY });
  const button = element('button', { type: 'button', class: 'play', 'aria-label': `Play ${name}` },
    svg('svg', { viewBox: '0 0 20 20', 'aria-hidden': 'true' }, icon));
  const place = element('input', { type: 'range', min: 0, max: 1, step: 'any', value: 0, hidden: true,
    'aria-label': `Place in ${name}` });
  const time = element('span', { class: 'player-time' });
  /** @type {HTMLAudioElement | null} */
  let audio = null;

  const show = () => {
    const isPlaying = audio !== null && !audio.paused;
    icon.setAttribute('d', isPlaying ? PAUSE : PLAY);
    button.setAttribute('aria-label', `${isPlaying ? 'Pause' : 'Play'} ${name}`);
    if (!audio || !Number.isFinite(audio.duration)) return;
    place.hidden = false;
    place.max = String(audio.duration);
    place.value = String(audio.currentTime);
    place.setAttribute('aria-valuetext', `${clock(audio.currentTime)} of ${clock(audio.duration)}`);
    time.textContent = `${clock(audio.currentTime)} / ${clock(audio.duration)}`;
  };
  const open = () => {
    const made = new Audio(URL.createObjectURL(file));
    for (const name of ['play', 'pause', 'timeupdate', 'loadedmetadata', 'ended']) made.addEventListener(name, show);
    made.addEventListener('error', () => {
      time.textContent = 'This browser cannot play it.';
      button.disabled = true;
    });
    return made;
  };
  button.addEventListener('click', () => {
    audio ??= open();
    if (!audio.paused) return audio.pause();
    if (playing !== audio) playing?.pause();
    playing = audio;
    // What cannot be played has told so as an event.
    audio.play().catch(() => {});
  });
  place.addEventListener('input', () => {
    if (audio) audio.currentTime = Number(place.value);
  });
  return element('div', { class: 'player' }, button, place, time);
}

const PLAY = 'M6 3.5v13l11-6.5z';
const PAUSE = 'M5 3.5h3.5v13H5zM11.5 3.5H15v13h-3.5z';
