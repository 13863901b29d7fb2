// @ts-check
/** The controls for the minimum probability and the prior: a slider and a number for each. */

import { byId } from './element.js';

const NAMES = ['min-probability', 'male-prior'];

export class DecisionForm {
  /** @param {() => void} onChange Called when the visitor has changed something. */
  constructor(onChange) {
    this._isTouched = false;
    byId('decision').addEventListener('submit', (event) => event.preventDefault());
    byId('decision').addEventListener('input', () => (this._isTouched = true));
    for (const name of NAMES) {
      const [slider, number] = inputs(name);
      slider.addEventListener('input', () => {
        number.value = slider.value;
        onChange();
      });
      number.addEventListener('input', () => {
        if (!number.validity.valid || number.value === '') return;
        slider.value = number.value;
        onChange();
      });
      number.addEventListener('change', () => {
        // What is out of range is taken back to the last that was not.
        if (!number.validity.valid || number.value === '') number.value = slider.value;
      });
    }
  }

  /** @returns {import('./decision.js').Decision} */
  get value() {
    const [minProbability, malePrior] = NAMES.map((name) => {
      const [slider, number] = inputs(name);
      const told = number.validity.valid && number.value !== '' ? number.value : slider.value;
      return Number((Number(told) / 100).toFixed(6));
    });
    return { minProbability, malePrior };
  }

  /**
   * Show the server's defaults, unless the visitor was quicker.
   * @param {{min_probability: number, male_prior: number}} defaults
   */
  preset(defaults) {
    if (this._isTouched) return;
    const values = [defaults.min_probability, defaults.male_prior];
    NAMES.forEach((name, at) => {
      const [slider, number] = inputs(name);
      number.value = String(Number((100 * values[at]).toFixed(4)));
      slider.value = number.value;
    });
  }
}

/**
 * @param {string} name
 * @returns {[HTMLInputElement, HTMLInputElement]}
 */
function inputs(name) {
  return [byId(`${name}-range`), byId(name)];
}
