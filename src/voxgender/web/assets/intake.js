// @ts-check
/** Where files come in: dropped anywhere on the page, chosen, pasted, recorded, or the samples. */

import { byId } from './element.js';
import { RecordingForm } from './recording-form.js';
import { sampleFiles } from './samples.js';
import { wordsOf } from './words.js';

export class Intake {
  /** @param {(files: File[], source: import('./item.js').Source) => void} onFiles */
  constructor(onFiles) {
    const input = /** @type {HTMLInputElement} */ (byId('files'));
    byId('choose').addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      if (input.files?.length) onFiles([...input.files], 'files');
      input.value = '';
    });
    byId('samples').addEventListener('click', async () => {
      this._tell('');
      try {
        onFiles(await sampleFiles(), 'samples');
      } catch (error) {
        this._tell(wordsOf(error));
      }
    });
    this._takeDrops(onFiles);
    new RecordingForm((file) => onFiles([file], 'microphone'), (words) => this._tell(words));
  }

  /** @param {(files: File[], source: import('./item.js').Source) => void} onFiles */
  _takeDrops(onFiles) {
    let depth = 0;
    const mark = () => document.body.classList.toggle('is-dropping', depth > 0);
    const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
    addEventListener('dragenter', (event) => {
      if (hasFiles(event)) depth += 1;
      mark();
    });
    addEventListener('dragleave', (event) => {
      if (hasFiles(event)) depth = Math.max(0, depth - 1);
      mark();
    });
    addEventListener('dragover', (event) => {
      if (hasFiles(event)) event.preventDefault();
    });
    addEventListener('drop', (event) => {
      depth = 0;
      mark();
      if (!event.dataTransfer || !hasFiles(event)) return;
      event.preventDefault();
      const files = [...event.dataTransfer.files];
      if (files.length) onFiles(files, 'files');
    });
  }

  /** @param {string} words What went wrong; nothing takes it away. */
  _tell(words) {
    const place = byId('intake-problem');
    place.hidden = !words;
    place.textContent = words;
  }
}
