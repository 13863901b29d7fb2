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
 * @property {import('./item.js').Source} source
 * @property {(string | null)[]} names In the order of the results; null for a row that was removed.
 * @property {(number | null)[]} ids Their places in the order of adding.
 * @property {import('./decision.js').Decision} decision
 */

/** @returns {Remembered[]} */
export function remembered() {
  try {
    const told = JSON.parse(sessionStorage.getItem(NAME) ?? '[]');
    return Array.isArray(told) ? told.filter((task) => Array.isArray(task.names) && Array.isArray(task.ids)) : [];
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
    source: task.rows[0].source,
    names: task.items.map((item) => item && item.name),
    ids: task.items.map((item) => item && item.id),
    decision: task.decision,
  }));
  try {
    sessionStorage.setItem(NAME, JSON.stringify(told));
  } catch {
    // The names of very many files do not fit; then a reload forgets them.
    sessionStorage.removeItem(NAME);
  }
}
