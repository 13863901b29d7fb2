// @ts-check
/** From LLRs to probabilities and a gender, as the server does it: docs of the API, `male_prior`, `min_probability`. */

/**
 * @typedef {'male' | 'female' | 'unknown'} Gender
 * @typedef {object} Decision
 * @property {number} malePrior Probability of a male voice before anything is heard.
 * @property {number} minProbability A gender under it is told as unknown.
 */

/**
 * Return the probability of a male voice: `sigmoid(llr + logit(prior))`.
 * @param {number} llr Natural-log likelihood ratio of male against female.
 * @param {Decision} decision
 */
export function maleProbability(llr, decision) {
  return 1 / (1 + Math.exp(-(llr + logit(decision.malePrior))));
}

/**
 * Return the gender that a probability speaks for; a tie is unknown.
 * @param {number} male Probability of a male voice.
 * @param {Decision} decision
 * @returns {Gender}
 */
export function genderOf(male, decision) {
  if (male > 0.5 && male >= decision.minProbability) return 'male';
  if (male < 0.5 && 1 - male >= decision.minProbability) return 'female';
  return 'unknown';
}

/**
 * Return the LLRs between which a voice is told as unknown.
 * @param {Decision} decision
 * @returns {[number, number]}
 */
export function unknownBand(decision) {
  const middle = -logit(decision.malePrior);
  const half = logit(decision.minProbability);
  return [middle - half, middle + half];
}

/**
 * Return whether two decisions are the same.
 * @param {Decision} one
 * @param {Decision} other
 */
export function isSame(one, other) {
  return one.malePrior === other.malePrior && one.minProbability === other.minProbability;
}

/** @param {number} probability */
function logit(probability) {
  return Math.log(probability) - Math.log1p(-probability);
}
