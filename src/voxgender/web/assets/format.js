// @ts-check
/** Numbers and times as the page writes them. */

/**
 * Return a probability in per cent, rounded to one digit.
 * @param {number} probability 0 to 1.
 */
export function percent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}

/**
 * Return an LLR with its sign.
 * @param {number} llr
 */
export function signed(llr) {
  const digits = Math.abs(llr).toFixed(2);
  if (Number(digits) === 0) return digits;
  return (llr < 0 ? '−' : '+') + digits;
}

/**
 * Return a length of time like `7.6 s` or `2:05 min`.
 * @param {number} seconds
 */
export function length(seconds) {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${clock(seconds)} min`;
}

/**
 * Return a time like `1:05`.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/**
 * Return a size like `3.2 MB`.
 * @param {number} bytes
 */
export function size(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  let step = 0;
  let amount = bytes;
  while (amount >= 1000 && step < units.length - 1) {
    amount /= 1000;
    step += 1;
  }
  return `${step && amount < 100 ? amount.toFixed(1) : Math.round(amount)} ${units[step]}`;
}

/**
 * Return a length of time in the largest unit that it is a whole number of, like `1 hour` or `90 minutes`.
 * @param {number} seconds
 */
export function duration(seconds) {
  for (const [unit, noun] of UNITS) if (seconds >= unit && seconds % unit === 0) return count(seconds / unit, noun);
  return count(seconds, 'second');
}

const UNITS = /** @type {[number, string][]} */ ([[86_400, 'day'], [3600, 'hour'], [60, 'minute']]);

/**
 * Return a number of things, like `1 file` or `5,000 files`.
 * @param {number} number
 * @param {string} noun
 */
export function count(number, noun) {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}
