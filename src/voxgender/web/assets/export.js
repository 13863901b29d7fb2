// @ts-check
/** Results as files: CSV, XLSX, JSON. One row for each channel or voiceprint. */

/**
 * @typedef {import('./table.js').Shown} Shown
 * @typedef {import('./decision.js').Decision} Decision
 * @typedef {Record<string, string | number | null>} Line
 */

const COLUMNS = [
  'name', 'channel', 'speech_length', 'gender', 'male_probability', 'female_probability', 'male_llr',
  'min_probability', 'male_prior', 'state', 'error',
];

const WRITER = '/page/vendor/write-excel-file.min.js';

/**
 * Save results as a file.
 * @param {string} form `csv`, `xlsx` or `json`.
 * @param {Shown[]} shown
 * @param {Decision} decision
 */
export async function exportAs(form, shown, decision) {
  const lines = linesOf(shown, decision);
  if (form === 'json') return save(new Blob([`${JSON.stringify(lines, null, 1)}\n`], { type: 'application/json' }), 'json');
  if (form === 'csv') return save(new Blob(['\ufeff', csvOf(lines)], { type: 'text/csv' }), 'csv');
  save(await xlsxOf(lines), 'xlsx');
}

/**
 * @param {Shown[]} shown
 * @param {Decision} decision
 * @returns {Line[]}
 */
function linesOf(shown, decision) {
  /** @param {Shown} one @returns {Line[]} */
  const lines = ({ item, views }) => {
    const rest = {
      min_probability: decision.minProbability,
      male_prior: decision.malePrior,
      state: item.state,
      error: item.state === 'error' ? item.message : null,
    };
    if (!views.length) {
      return [{ ...Object.fromEntries(COLUMNS.map((name) => [name, null])), name: item.name, ...rest }];
    }
    return views.map((view) => ({
      name: item.name,
      channel: view.channel,
      speech_length: view.speechS,
      gender: view.gender,
      male_probability: rounded(view.male),
      female_probability: view.male === null ? null : rounded(1 - view.male),
      male_llr: view.llr,
      ...rest,
    }));
  };
  return shown.flatMap(lines);
}

/**
 * Return a probability with the digits that the API writes.
 * @param {number | null} probability
 */
function rounded(probability) {
  return probability === null ? null : Number(probability.toFixed(6));
}

/**
 * Return lines as CSV (RFC 4180).
 * @param {Line[]} lines
 */
function csvOf(lines) {
  const rows = [COLUMNS, ...lines.map((line) => COLUMNS.map((name) => line[name]))];
  return rows.map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
}

/** @param {string | number | null} value */
function csvCell(value) {
  if (typeof value !== 'string') return value === null ? '' : String(value);
  // A spreadsheet would run a file's name as a formula; the quote has it take it for text. A program gets the name back
  // by removing one quote wherever a cell begins with one.
  const text = /^[=+\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]/.test(value) ? `'${value}` : value;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Return lines as an Excel workbook.
 * @param {Line[]} lines
 * @returns {Promise<Blob>}
 */
async function xlsxOf(lines) {
  // It is loaded when it is asked for first. The file is no module: it leaves its function in the global scope.
  await import(WRITER);
  const head = COLUMNS.map((name) => ({ value: name, fontWeight: 'bold' }));
  const rows = lines.map((line) => COLUMNS.map((name) => line[name]));
  const options = {
    sheet: 'voxgender',
    columns: COLUMNS.map((name) => ({ width: name === 'name' || name === 'error' ? 32 : 18 })),
    stickyRowsCount: 1,
  };
  const write = /** @type {any} */ (globalThis).writeXlsxFile;
  return write([head, ...rows], options).toBlob();
}

/**
 * @param {Blob} blob
 * @param {string} suffix
 */
function save(blob, suffix) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `voxgender-results.${suffix}`;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
