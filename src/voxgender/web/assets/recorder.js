// @ts-check
/** Records the microphone as WAV, which every installation of the server reads. */

import { wavOf } from './wav.js';

const QUIET_DB = -60;

export class Recorder {
  /**
   * Ask for the microphone and begin.
   * @param {(seconds: number, level: number) => void} onLevel Told some times a second: length, and level in dB.
   * @returns {Promise<Recorder>}
   */
  static async open(onLevel) {
    // What makes speech pleasant to hear in a call changes the voice.
    const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule('/page/capture-worklet.js');
      return new Recorder(stream, context, onLevel);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      throw error;
    }
  }

  /**
   * @param {MediaStream} stream
   * @param {AudioContext} context
   * @param {(seconds: number, level: number) => void} onLevel
   */
  constructor(stream, context, onLevel) {
    this._stream = stream;
    this._context = context;
    /** @type {Int16Array[]} */
    this._blocks = [];
    this._samples = 0;
    const capture = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0 });
    capture.port.addEventListener('message', ({ data }) => {
      this._blocks.push(data.samples);
      this._samples += data.samples.length;
      onLevel(this._samples / context.sampleRate, Math.max(QUIET_DB, 20 * Math.log10(data.peak || 1e-9)));
    });
    capture.port.start();
    context.createMediaStreamSource(stream).connect(capture);
  }

  /**
   * Stop, and let go of the microphone.
   * @returns {Promise<Blob>} A WAV file.
   */
  async close() {
    this._stream.getTracks().forEach((track) => track.stop());
    await this._context.close();
    return wavOf(this._blocks, this._context.sampleRate);
  }
}
