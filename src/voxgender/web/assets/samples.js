// @ts-check
/** Voiceprints for a visitor without files: of synthesised sounds, made by tools/make_sample_voiceprints.py. */

const NAMES = ['low-voice-1', 'low-voice-2', 'high-voice-1', 'high-voice-2', 'in-between', 'silence'];

/**
 * Return the samples as files.
 * @returns {Promise<File[]>}
 */
export async function sampleFiles() {
  return Promise.all(
    NAMES.map(async (name) => {
      const response = await fetch(`/page/samples/${name}.vp`);
      if (!response.ok) throw new Error('The samples could not be loaded. Load the page again.');
      return new File([await response.blob()], `${name}.vp`);
    }),
  );
}
