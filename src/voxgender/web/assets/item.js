// @ts-check
/** One recording or voiceprint on the page, from the drop to its results. */

import { genderOf, isSame, maleProbability } from './decision.js';

/**
 * @typedef {import('./decision.js').Decision} Decision
 * @typedef {import('./decision.js').Gender} Gender
 * @typedef {'files' | 'microphone' | 'samples'} Source Where a file came from.
 * @typedef {'reading' | 'waiting' | 'sending' | 'pending' | 'running' | 'done' | 'error'} State
 *
 * @typedef {object} Score What the server told of one channel or voiceprint.
 * @property {number | null} channel Its number, from 0; null for a voiceprint.
 * @property {number} speechS Seconds of speech.
 * @property {number | null} llr Natural-log, of male against female; null without speech.
 * @property {number | null} male Probability of a male voice, under the decision it was asked with.
 * @property {Gender} gender
 *
 * @typedef {Score & {likelier: Gender, probability: number | null}} View
 *   A score under the decision of the page: `likelier` is the dominant gender, `probability` that gender's.
 */

let last = 0;

export class Item {
  /**
   * @param {string} name
   * @param {File | null} file None after a reload: the page keeps no audio.
   * @param {Source} source
   * @param {number} [id] Its place in the order of adding, where it has one from before a reload.
   */
  constructor(name, file, source, id = last + 1) {
    last = Math.max(last, id);
    this.id = id;
    this.name = name;
    this.file = file;
    this.source = source;
    /** @type {'recording' | 'voiceprint' | null} Null until the file has been looked at. */
    this.kind = null;
    /** The voiceprint as the API takes it; a recording stays in its file. */
    this.base64 = '';
    /** Whether a voiceprint's file holds that text itself. */
    this.isText = false;
    /** @type {State} */
    this.state = 'reading';
    /** Of the upload or of the work, 0 to 1; NaN where nobody knows. */
    this.progress = Number.NaN;
    /** What is to be said beside the row. */
    this.message = '';
    /** Whether an error may pass when the same is sent again. */
    this.mayPass = true;
    /** @type {Score[]} */
    this.scores = [];
    /** @type {Decision | null} The one it was asked with. */
    this.decision = null;
    /** @type {import('./task.js').Task | null} */
    this.task = null;
    /** Its place among the results of that. */
    this.place = 0;
    /** Grows with each change, so that what is drawn can be compared with it. */
    this.version = 0;
  }

  get isOpen() {
    return this.state !== 'done' && this.state !== 'error';
  }

  /** Whether the server does not have it yet, so that it is lost with the page. */
  get isHereAlone() {
    return this.state === 'reading' || this.state === 'waiting' || this.state === 'sending';
  }

  /**
   * Return the scores as the page is to tell them: the server's own numbers where the decision is the one they were
   * asked with, and recomputed from the LLR where it has changed since.
   * @param {Decision} decision
   * @returns {View[]}
   */
  views(decision) {
    const isAsTold = this.decision !== null && isSame(this.decision, decision);
    return this.scores.map((score) => {
      if (score.llr === null || score.male === null) return { ...score, likelier: 'unknown', probability: null };
      const male = isAsTold ? score.male : maleProbability(score.llr, decision);
      const gender = isAsTold ? score.gender : genderOf(male, decision);
      const likelier = male > 0.5 ? 'male' : male < 0.5 ? 'female' : 'unknown';
      return { ...score, male, gender, likelier, probability: Math.max(male, 1 - male) };
    });
  }
}

/**
 * Return what the API told of one channel or voiceprint.
 * @param {any} told
 * @returns {Score}
 */
export function scoreOf(told) {
  const male = told.scores.find((/** @type {any} */ one) => one.gender === 'male');
  return {
    channel: told.channel_number ?? null,
    speechS: told.speech_length,
    llr: male ? male.score_llr : null,
    male: male ? male.probability : null,
    gender: told.gender,
  };
}
