// @ts-check
/** The controls for a recording from the microphone. */

import { byId } from './element.js';
import { clock } from './format.js';
import { Recorder } from './recorder.js';

/** Longest recording, so that a forgotten one does not fill the memory. */
const MAX_S = 600;

export class RecordingForm {
  /**
   * @param {(file: File) => void} onFile
   * @param {(words: string) => void} onProblem
   */
  constructor(onFile, onProblem) {
    this._onFile = onFile;
    this._onProblem = onProblem;
    this._number = 0;
    /** @type {Recorder | null} */
    this._recorder = null;
    byId('record').addEventListener('click', () => this._start());
    byId('recording-stop').addEventListener('click', () => this._stop(true));
    byId('recording-discard').addEventListener('click', () => this._stop(false));
  }

  async _start() {
    this._onProblem('');
    if (!navigator.mediaDevices?.getUserMedia) {
      return this._onProblem('A browser lets a page listen only over HTTPS or on this machine itself (localhost). Choose a file instead.');
    }
    const button = /** @type {HTMLButtonElement} */ (byId('record'));
    button.disabled = true;
    try {
      this._recorder = await Recorder.open((seconds, level) => this._show(seconds, level));
    } catch (error) {
      const name = error instanceof DOMException ? error.name : '';
      this._onProblem(name === 'NotAllowedError'
        ? 'The microphone is blocked. Allow it for this page in your browser, and try again.'
        : 'No microphone was found, or another program holds it.');
      return;
    } finally {
      button.disabled = false;
    }
    byId('recording').hidden = false;
    button.hidden = true;
    byId('recording-stop').focus();
  }

  /**
   * @param {number} seconds
   * @param {number} level In dB, 0 the loudest.
   */
  _show(seconds, level) {
    byId('recording-time').textContent = clock(seconds);
    /** @type {HTMLMeterElement} */ (byId('recording-level')).value = level;
    if (seconds >= MAX_S) this._stop(true);
  }

  /** @param {boolean} isKept */
  async _stop(isKept) {
    const recorder = this._recorder;
    this._recorder = null;
    if (!recorder) return;
    const blob = await recorder.close();
    byId('recording').hidden = true;
    byId('record').hidden = false;
    byId('record').focus();
    this._show(0, -60);
    if (!isKept) return;
    this._number += 1;
    this._onFile(new File([blob], `Recording ${this._number}.wav`, { type: 'audio/wav' }));
  }
}
