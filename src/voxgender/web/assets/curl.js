// @ts-check
/** The request of a row as a command line. */

import { RECORDINGS, VOICEPRINTS } from './api.js';

/**
 * Return a shell script that sends what a row has sent, and asks for the result.
 * @param {import('./item.js').Item} item
 * @param {import('./decision.js').Decision} decision For a row that was not sent yet.
 * @param {boolean} hasKey Whether the server wants a key; its value is left to a variable.
 * @returns {string}
 */
export function curlOf(item, decision, hasKey) {
  const { minProbability, malePrior } = item.decision ?? decision;
  const path = item.kind === 'voiceprint' ? VOICEPRINTS : RECORDINGS;
  const url = `${location.origin}${path}?min_probability=${minProbability}&male_prior=${malePrior}`;
  const key = hasKey ? ' --header "Authorization: Bearer $VOXGENDER_KEY"' : '';
  const name = item.name.replaceAll(/[\\"]/g, '\\$&');
  let send = `--form ${quoted(`file=@"${name}"`)}`;
  let before = '';
  if (item.kind === 'voiceprint') {
    const read = item.isText || !item.file ? `tr -d '[:space:]' < ${quoted(item.name)}` : `base64 < ${quoted(item.name)} | tr -d '\\n'`;
    const text = item.isSample ? item.base64 : `$(${read})`;
    before = `printf '{"voiceprints": ["%s"]}' "${text}" |\n  `;
    send = '--header "Content-Type: application/json" --data-binary @-';
  }
  return `location=$(${before}curl --silent --show-error --output /dev/null --write-out '%header{location}' \\
  ${quoted(url)}${key} \\
  ${send})
curl${key} --header "Prefer: wait=30" "${location.origin}$location"
`;
}

/**
 * Return a text as one word of a shell.
 * @param {string} text
 */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
