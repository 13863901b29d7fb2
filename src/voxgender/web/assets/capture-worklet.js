// @ts-check
/** Runs on the browser's audio thread: hands on what the microphone gives, as 16-bit samples, a tenth of a second each. */

// @ts-ignore The types of a worklet's scope are not those of a page.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    // @ts-ignore
    this._block = new Int16Array(Math.round(sampleRate / 10));
    this._filled = 0;
    this._peak = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    for (const sample of inputs[0][0] ?? []) {
      const held = Math.max(-1, Math.min(1, sample));
      this._peak = Math.max(this._peak, Math.abs(held));
      this._block[this._filled++] = Math.round(held * 32767);
      if (this._filled < this._block.length) continue;
      // @ts-ignore
      this.port.postMessage({ samples: this._block.slice(), peak: this._peak });
      this._filled = 0;
      this._peak = 0;
    }
    return true;
  }
}

// @ts-ignore
registerProcessor('capture', Capture);
