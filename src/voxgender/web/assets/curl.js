// @ts-check
/** The request of a row as a command line. */

import { RECORDINGS, VOICEPRINTS } from './api.js';

/**
 * Return whether there is something that a command line could send: a file of the visitor's, or the text of a sample.
 * A clip from the microphone is in no file.
 * @param {import('./item.js').Item} item
 */
export function canCurl(item) {
  return item.kind !== null && (item.source === 'files' || item.base64 !== '');
}

/**
 * Return a shell script that sends a row, and asks for the result; where the server refuses, it prints why and fails.
 * @param {import('./item.js').Item} item
 * @param {import('./decision.js').Decision} decision
 * @param {boolean} hasKey Whether the server wants a key; its value is left to a variable.
 * @returns {string}
 */
export function curlOf(item, decision, hasKey) {
  const url = location.origin + (item.kind === 'voiceprint' ? VOICEPRINTS : RECORDINGS);
  const query = `?min_probability=${decision.minProbability}&male_prior=${decision.malePrior}`;
  const curl = `curl --silent --show-error${hasKey ? ' --header "Authorization: Bearer $VOXGENDER_KEY"' : ''}`;
  const name = item.name.replaceAll(/[\\"]/g, '\\$&');
  let send = `--form ${quoted(`file=@"${name}"`)}`;
  let before = '';
  if (item.kind === 'voiceprint') {
    const read = item.isText || !item.file ? `tr -d '[:space:]' < ${quoted(item.name)}` : `base64 < ${quoted(item.name)} | tr -d '\\n'`;
    const text = item.source === 'samples' ? item.base64 : `$(${read})`;
    before = `printf '{"voiceprints": ["%s"]}' "${text}" |\n  `;
    send = '--header "Content-Type: application/json" --data-binary @-';
  }
  return `answer=$(${before}${curl} \\
  ${quoted(url + query)} \\
  ${send})
id=$(printf %s "$answer" | sed -n 's/.*"task_id": *"\\([^"]*\\)".*/\\1/p')
if [ -n "$id" ]; then
  ${curl} --header "Prefer: wait=30" "${url}/$id"; echo
else
  printf '%s\\n' "$answer" >&2; false
fi
`;
}

/**
 * Return a text as one word of a shell.
 * @param {string} text
 */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
