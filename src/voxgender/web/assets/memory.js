// @ts-check
/**
 * What a reload must not lose: the tasks of this tab, in its sessionStorage. Names and task ids, never audio and never a
 * voiceprint.
 */

const NAME = 'voxgender.tasks';

/**
 * @typedef {object} Remembered
 * @property {string} location
 * @property {'recording' | 'voiceprint'} kind
 * @property {(string | null)[]} names In the order of the results; null for a row that was removed.
 * @property {import('./decision.js').Decision} decision
 */

/** @returns {Remembered[]} */
export function remembered() {
  try {
    const told = JSON.parse(sessionStorage.getItem(NAME) ?? '[]');
    return Array.isArray(told) ? told : [];
  } catch {
    return [];
  }
}

/**
 * Remember these tasks, and no others.
 * @param {Iterable<import('./task.js').Task>} tasks
 */
export function remember(tasks) {
  const told = Array.from(tasks, (task) => ({
    location: task.location,
    kind: /** @type {'recording' | 'voiceprint'} */ (task.rows[0].kind),
    names: task.items.map((item) => item && item.name),
    decision: task.decision,
  }));
  try {
    sessionStorage.setItem(NAME, JSON.stringify(told));
  } catch {
    // The names of very many files do not fit; then a reload forgets them.
    sessionStorage.removeItem(NAME);
  }
}
